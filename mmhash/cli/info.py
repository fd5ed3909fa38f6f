"""`mmhash info`: what this build is, and what it chose on this machine."""

from __future__ import annotations

import argparse
import json

import mmhash
from mmhash.cli.console import write_stdout


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = "Print version, instruction sets, threads and tensor intake in use."
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")


def run(args: argparse.Namespace) -> int:
    """Print what `mmhash.info()` returns."""
    facts = mmhash.info()
    if args.json:
        write_stdout(json.dumps(facts, indent=2) + "\n")
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        write_stdout(f"{name:<{width}}  {_shown(value)}\n")
    return 0


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return " ".join(value) if isinstance(value, (list, tuple)) else str(value)
