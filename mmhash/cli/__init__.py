"""The command `mmhash`.

A subcommand is a module with two functions, `add_parser(commands)` and `run(args) -> int` (the exit
status), named in `COMMANDS` below. At its top such a module imports mmhash and the standard library
only: NumPy, torch, Pillow and the rest where they are first needed, so that hashing a plain file
starts as fast as Python does.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from mmhash._version import __version__
from mmhash.cli import compare, info, ranks
from mmhash.cli import hash as hash_command
from mmhash.cli.console import OutputError, complain, write_out

COMMANDS = (hash_command, compare, ranks, info)

# As a shell reports a tool that SIGINT or SIGPIPE ended: 128 plus the signal's number.
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mmhash` with these arguments (by default the process's) and return its exit status.

    Status 0: all is well. 1: a file could not be read, or an identity differs. 2: wrong usage.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        args.run = print_version
    elif args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = args.run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OutputError as error:
        # What is left in the buffer must not fail once more when the interpreter flushes it.
        silence_stdout()
        if isinstance(error.cause, BrokenPipeError):
            return BROKEN_PIPE  # quiet: `mmhash hash * | head` is no failure
        complain(f"standard output: {error}")
        return 1
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="mmhash",
        description="Identities of tensors, images and files: equal values, equal digests.",
        epilog="`mmhash COMMAND --help` tells more of one command.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    return parser


def print_version(_: argparse.Namespace) -> int:
    """`mmhash --version`."""
    write_out(f"mmhash {__version__}\n")
    return 0


def silence_stdout() -> None:
    """Point the standard output at the null device for the rest of the process."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
