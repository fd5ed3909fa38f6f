"""Which algorithm and key count: by the options, else as the process is configured."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from mmhash import _core, algorithms, configuration
from mmhash.cli.checksum_lines import Maker, escape
from mmhash.cli.errors import UsageError, reason


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --algorithm and --key-file."""
    parser.add_argument(
        "--algorithm",
        choices=algorithms.NAMES,
        help="default: MMHASH_ALGORITHM, else xxh3; with --check: refuse lines by any other",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="the 32 bytes of a key, for blake3 and sha256; default: MMHASH_KEY_FILE, unless "
        "--algorithm is given; with --check: refuse lines by any other key, and by none",
    )


def chosen(args: argparse.Namespace) -> _core.Algorithm:
    """What to hash with. As in Python, who names an algorithm takes no key from the environment.

    UsageError: a key that cannot be used, a package that is missing.
    """
    if args.algorithm is None and args.key_file is None:
        return configuration.configured()
    key = _key_in(args)
    name = args.algorithm or configuration.configured().name
    if key is not None and name == "xxh3":
        raise UsageError(
            "--key-file: expected --algorithm blake3 or sha256 with it: xxh3 has no key"
        )
    try:
        return algorithms.opened(name, key)
    except ImportError as error:
        raise UsageError(reason(error)) from error


@dataclass(frozen=True)
class Verifier:
    """What lines of checksums may be verified with, each by the algorithm and key that it names.

    algorithm and keyed: which lines alone count, because the options name an algorithm or a key.
    The environment restricts nothing: there it only says which key is at hand.
    """

    algorithm: str | None
    keyed: bool
    key: bytes | None

    @classmethod
    def chosen(cls, args: argparse.Namespace) -> Verifier:
        """By the options. UsageError: a key that cannot be used."""
        key = _key_in(args)
        if key is not None and args.algorithm == "xxh3":
            raise UsageError("--key-file: expected lines by blake3 or sha256: xxh3 has no key")
        at_hand = os.environ.get("MMHASH_KEY_FILE")
        if key is None and at_hand:
            key = _read("MMHASH_KEY_FILE", at_hand)
        return cls(args.algorithm, args.key_file is not None, key)

    def opened(self, maker: Maker) -> _core.Algorithm:
        """What verifies a line by this maker. ValueError: why nothing does; ImportError."""
        if self.algorithm not in (None, maker.algorithm):
            raise ValueError(f"made by {maker.algorithm}, expected {self.algorithm}")
        if maker.key_id is None:
            if self.keyed:
                raise ValueError("made without a key, which anybody can do; expected one")
            return algorithms.opened(maker.algorithm)
        if self.key is None:
            raise ValueError(f"made with key {maker.key_id}: name its file by --key-file")
        found = algorithms.id_of_key(self.key)
        if found != maker.key_id:
            raise ValueError(f"made with key {maker.key_id}, the key given is {found}")
        return algorithms.opened(maker.algorithm, self.key)


def _key_in(args: argparse.Namespace) -> bytes | None:
    return None if args.key_file is None else _read("--key-file", args.key_file)


def _read(source: str, path: str) -> bytes:
    try:
        return configuration.read_key_file(path)
    except OSError as error:
        raise UsageError(f"{source}: {escape(path)}: {reason(error)}") from error
    except ValueError as error:
        raise UsageError(f"{source}: {reason(error)}") from error
