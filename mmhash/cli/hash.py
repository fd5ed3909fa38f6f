"""`mmhash hash`: the identity of every tensor, image and file that is named."""

from __future__ import annotations

import argparse
import json

from mmhash.cli import algorithm_options
from mmhash.cli.check import check
from mmhash.cli.checksum_lines import escape, format_record, printable
from mmhash.cli.console import Console
from mmhash.cli.entries import MAX_IMAGE_PIXELS, Notice, ReadOptions
from mmhash.cli.files import size_of
from mmhash.cli.records import Failure, hash_file

DESCRIPTION = """\
Print the identity of each file, one line a value: `IDENTITY  PATH`, and for tensors and images tabs
with name, dtype and shape. Arrays (.npy, .npz), checkpoints (.pt, .pth), .safetensors and images
are hashed as the values they hold, so a tensor has one identity in whatever file it lies; anything
else is hashed as its bytes. An identity that is not by xxh3 says what it is by, as in
mmhash-blake3:DIGITS."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file; - is the standard input")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print one JSON object a line instead")
    how.add_argument(
        "--check",
        action="store_true",
        help="read lines that this command printed from each PATH, and verify them",
    )
    algorithm_options.add_arguments(parser)
    parser.add_argument(
        "--max-image-pixels",
        type=_pixels,
        default=MAX_IMAGE_PIXELS,
        metavar="N",
        help="refuse larger images, which a small file can hold; 0: none (default: %(default)s)",
    )


def _pixels(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"expected a number of pixels, or 0, got {number}")
    return number


def run(args: argparse.Namespace) -> int:
    """Hash every file, or check. Returns the exit status."""
    options = ReadOptions(max_image_pixels=args.max_image_pixels)
    if args.check:
        return check(args.paths, options, algorithm_options.Verifier.chosen(args))
    algorithm = algorithm_options.chosen(args)
    sizes = [size_of(path) for path in args.paths]
    done, status = 0, 0
    with Console(sum(sizes)) as console:
        for path, size in zip(args.paths, sizes, strict=True):
            console.begin(path, done, size)
            for result in hash_file(path, options, algorithm, console.advance):
                if isinstance(result, Notice):
                    console.warn(f"{escape(path)}: {printable(result.text)}")
                elif isinstance(result, Failure):
                    where = escape(path) + (f": {escape(result.name)}" if result.name else "")
                    console.error(f"{where}: {printable(result.reason)}")
                    status = 1
                else:
                    text = json.dumps(result.as_json()) if args.json else format_record(result)
                    console.out(text)
                    console.finish_value(result.nbytes or 0)
            done += size
    return status
