"""The command `mmhash`: its entry point, its tools, and what all subcommands share.

A subcommand is a module with two functions, `configure(parser)` and `run(args) -> int` (the exit
status), registered in `COMMANDS` below. At its top such a module imports mmhash and the standard
library only: NumPy, torch, Pillow and the rest where they are first needed, so that hashing a plain
file starts as fast as Python does.

The tools (`hash`, `info`) lie here, the demonstrations in `mmhash.demos`. Those use the console and
the tables of this package, so nothing here may import them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

from mmhash._version import __version__
from mmhash.cli.console import OutputError, print_error, write_stdout
from mmhash.cli.errors import UsageError


class Command(NamedTuple):
    """A registered subcommand: the module that is imported when it is asked for, and its help."""

    module: str
    help: str

    def load(self) -> ModuleType:
        """Import its module."""
        return importlib.import_module(self.module)


# Entry points, by name, as packages register theirs: the demonstrations import this package, and an
# import statement here would close the circle. And who hashes a file loads no demonstration.
COMMANDS = {
    "hash": Command("mmhash.cli.hash", "identities of tensors, images and files"),
    "compare": Command(
        "mmhash.demos.compare.command",
        "time mmhash against today's hashes on a real image's features",
    ),
    "ranks": Command(
        "mmhash.demos.ranks.command",
        "measure what hashing costs several ranks, with real processes",
    ),
    "info": Command("mmhash.cli.info", "version, instruction sets, threads and tensor intake"),
}

# As a shell reports a tool that SIGINT or SIGPIPE ended: 128 plus the signal's number.
INTERRUPTED = 128 + 2
BROKEN_PIPE = 128 + 13


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mmhash` with these arguments (by default the process's) and return its exit status.

    Status 0: all is well. 1: a file could not be read, or an identity differs. 2: wrong usage.
    """
    arguments = sys.argv[1:] if argv is None else argv
    parser = build_parser(arguments)
    args = parser.parse_args(arguments)
    if args.version:
        args.run = print_version
    elif args.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = args.run(args)
    except UsageError as error:
        print_error(str(error))
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except OutputError as error:
        # What is left in the buffer must not fail once more when the interpreter flushes it.
        silence_stdout()
        if isinstance(error.cause, BrokenPipeError):
            return BROKEN_PIPE  # quiet: `mmhash hash * | head` is no failure
        print_error(f"standard output: {error}")
        return 1
    return status


def build_parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of all commands; of those that `arguments` name, with their own arguments too."""
    parser = argparse.ArgumentParser(
        prog="mmhash",
        description="Identities of tensors, images and files: equal values, equal digests.",
        epilog="`mmhash COMMAND --help` tells more of one command.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help)
        if name in arguments:  # the one that is meant, or a path that is called so
            module = command.load()
            module.configure(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def print_version(_: argparse.Namespace) -> int:
    """`mmhash --version`."""
    write_stdout(f"mmhash {__version__}\n")
    return 0


def silence_stdout() -> None:
    """Point the standard output at the null device for the rest of the process."""
    if sys.stdout is not None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
