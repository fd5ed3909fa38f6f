"""`mmhash info`: what this build is, and what it chose on this machine."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import mmhash
from mmhash.cli.console import write_out

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Declare the arguments."""
    text = "version, instruction sets, threads and tensor intake in use"
    parser = commands.add_parser("info", help=text, description=f"Print {text}.")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print what `mmhash.info()` returns."""
    facts = mmhash.info()
    if args.json:
        write_out(json.dumps(facts, indent=2) + "\n")
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        write_out(f"{name:<{width}}  {_shown(value)}\n")
    return 0


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return " ".join(value) if isinstance(value, (list, tuple)) else str(value)
