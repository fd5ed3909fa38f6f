"""`mmhash compare`: the features of one real image, hashed as engines do today and by mmhash.

Here are the arguments and the report; `comparison` does the work and needs NumPy and Pillow.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from mmhash.cli.checksum_lines import escape, printable
from mmhash.cli.console import print_error, write_stdout
from mmhash.cli.errors import UnusableFileError, reason, require
from mmhash.cli.table import render, significant

if TYPE_CHECKING:
    from mmhash.demos.compare.comparison import Check, Comparison

COLUMNS = 80
DEMO_EXTRA = "multimodal-hash[demo]"

DESCRIPTION = """\
Make the features of an image as Qwen2.5-VL's image processor does, time what SGLang 0.5.5 and
0.5.23 compute over them today (SHA-256), PyPI's xxhash and blake3, and mmhash by XXH3 and BLAKE3,
and verify that the same values have the same identity wherever they lie. Exit status 1 if an
identity is not as it must be."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "image", nargs="?", metavar="IMAGE", help="default: the photograph in matplotlib's samples"
    )
    parser.add_argument(
        "--repeat",
        type=_repeat,
        default=30,
        metavar="N",
        help="rounds of timing, at least 3 (default: %(default)s; fewer where they take over 6 s)",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")


def _repeat(text: str) -> int:
    number = int(text)
    if number < 3:
        raise argparse.ArgumentTypeError(f"expected at least 3, got {number}")
    return number


def run(args: argparse.Namespace) -> int:
    """Compare, and print the report. Returns the exit status."""
    path = args.image
    try:
        for module in ("numpy", "PIL.Image", "xxhash", "blake3"):
            require(module, "to compare", DEMO_EXTRA)
        path = path or default_image()
        from mmhash.demos.compare.comparison import compare

        result = compare(path, args.repeat)
    except (UnusableFileError, OSError, ValueError) as error:
        print_error(
            f"{escape(path)}: {printable(reason(error))}" if path else printable(reason(error))
        )
        return 1
    write_stdout(json.dumps(result.as_json(), indent=2) + "\n" if args.json else report(result))
    return 0 if all(check.mmhash for check in result.checks) else 1


def default_image() -> str:
    """The photograph of Grace Hopper, in the public domain, that comes with matplotlib."""
    matplotlib = require("matplotlib", "for its sample photograph", DEMO_EXTRA)
    path = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    if not path.exists():
        raise UnusableFileError(
            "matplotlib is installed without its sample photograph: name an image, as in "
            "`mmhash compare photo.jpg`"
        )
    return str(path)


def report(result: Comparison) -> str:
    """The comparison as text of at most 80 columns."""
    shape = ",".join(map(str, result.shape))
    facts = {
        "image": f"{escape(Path(result.image).name)}, {result.size}",
        "features": f"float32 [{shape}], {result.bytes / 1e6:.2f} MB, as for Qwen2.5-VL",
        "held in": result.container,
        "versions": ", ".join(f"{name} {text}" for name, text in result.versions.items()),
        "identity": result.identity,
    }
    blocks = ["\n".join(_fact(name, text) for name, text in facts.items())]
    rows = []
    for row in result.rows:
        ms, iqr = significant(row.timing.median_s * 1e3), significant(row.timing.iqr_s * 1e3, 2)
        rate, speedup = "-", "-"
        if row.gb_per_s:
            rate, speedup = significant(row.gb_per_s), f"{significant(result.speedup(row))}x"
        rows.append([row.name, ms, iqr, rate, speedup])
    repeats = result.rows[0].timing.repeats
    head = [f"median of {repeats}, interleaved", "ms", "IQR", "GB/s", "vs SGLang 0.5.23"]
    blocks.append(render(head, rows))
    blocks.append(_checks([check for check in result.checks if check.must_be_equal], "the same"))
    blocks.append(_checks([check for check in result.checks if not check.must_be_equal], "another"))
    return "\n\n".join(blocks) + "\n"


def _fact(name: str, text: str) -> str:
    return textwrap.fill(text, COLUMNS, initial_indent=f"{name:<10}", subsequent_indent=" " * 10)


def _checks(checks: list[Check], must_be: str) -> str:
    answer = {True: "yes", False: "NO", None: "-"}
    rows = [[check.name, answer[check.mmhash], answer[check.sglang]] for check in checks]
    return render([f"{must_be} identity, as it must be?", "mmhash", "SGLang 0.5.23"], rows)
