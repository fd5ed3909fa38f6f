"""`mmhash ranks`: what hashing costs a server with several ranks, measured with real processes.

Here are the arguments and the report; `mmhash.demos.ranks` does the work and needs torch.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmhash.algorithms import NAMES
from mmhash.cli.checksum_lines import escape
from mmhash.cli.console import print_error, write_stdout
from mmhash.cli.errors import UnusableFileError, reason, require
from mmhash.cli.table import render, significant

if TYPE_CHECKING:
    from mmhash.demos.ranks.settings import Settings

EXTRA = "multimodal-hash[ranks]"
BLAKE3_EXTRA = "multimodal-hash[blake3]"
ALL = "all"
REPORT_COLUMNS = 80
MOST_COLUMNS = 120  # of the timelines, which take what the terminal has

DESCRIPTION = """\
Start the ranks of a tensor-parallel server as real processes (torch.distributed with gloo), and a
sender that has the features of images, as Qwen2.5-VL's: random numbers, different for each request.
All ranks get the same requests, and every rank needs the hash of every image. Strategies:

{strategies}

The transport is the same for all strategies. shm: as SGLang 0.5.23, the sender copies features into
shared memory and ranks map it. pickle: as 0.5.5, inside the message. Either way rank 0 receives a
request and broadcasts it, pickled, to the others.

Reported are requests a second; the time from receipt by rank 0 until every pad_value can be read on
the slowest rank (p50, p99), and in parentheses the same from when the sender had the features, so
that nothing is hidden by moving it to the sender; and processor time a request. The clock is
CLOCK_MONOTONIC, the same in all processes. There is no model and no image processing.
Exit status 1 if ranks disagree on a hash, or a process ends early."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from mmhash.demos.ranks.strategies import STRATEGIES

    listed = "\n".join(
        f"  {name:<10} {each.described('--algorithm')}" for name, each in STRATEGIES.items()
    )
    parser.description = DESCRIPTION.format(strategies=listed)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter

    def add(flag: str, kind: Callable[[str], Any], default: Any, text: str, metavar: str) -> None:
        text = text if default is None else f"{text} (default: %(default)s)"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=text)

    add("--ranks", int, 4, "number of ranks", "N")
    add("--strategy", _strategies, ALL, "all, or names separated by commas", "NAMES")
    add("--image-size", _image_size, "1120x700", "width and height in pixels", "WxH")
    add("--images", int, 1, "images in a request", "N")
    add("--requests", int, 100, "measured requests of each strategy", "N")
    add("--rounds", int, 5, "in so many rounds, strategies in turns", "N")
    add("--warm-up", int, 8, "requests of each strategy before, not counted", "N")
    add("--in-flight", int, 8, "requests under way at most", "N")
    add("--rate", float, 0.0, "requests a second; 0 for as fast as possible", "R")
    parser.add_argument(
        "--algorithm",
        choices=NAMES,
        default="xxh3",
        help="what mmhash hashes with, however it is configured (default: %(default)s)",
    )
    parser.add_argument(
        "--transport", choices=("shm", "pickle"), default="shm", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--copy",
        choices=("map", "write"),
        default="map",
        help="how the sender fills shared memory: through a mapping, as SGLang does, or with "
        "write(2), which is faster (default: %(default)s)",
    )
    parser.add_argument(
        "--clone",
        action="store_true",
        help="each rank copies the features out of shared memory first, as SGLang did before and "
        "does where there is no Linux",
    )
    add("--plot", _plot, None, "draw a figure into this .png or .svg file", "FILE")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead")


def _strategies(text: str) -> tuple[str, ...]:
    from mmhash.demos.ranks.strategies import STRATEGIES

    names = tuple(STRATEGIES) if text == ALL else tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in STRATEGIES:
            raise argparse.ArgumentTypeError(
                f"expected {ALL}, or some of {', '.join(STRATEGIES)} separated by commas, "
                f"got {name!r}"
            )
    return names


def _image_size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"expected width and height in pixels, such as 1120x700, got {text!r}"
        )
    return int(match[1]), int(match[2])


def _plot(text: str) -> Path:
    path = Path(text)
    if path.suffix not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"expected a name ending in .png or .svg, got {text!r}")
    return path


def run(args: argparse.Namespace) -> int:
    """Measure, and print the report. Returns the exit status."""
    try:
        settings = _settings(args)
    except (UnusableFileError, ValueError, OSError) as error:
        print_error(reason(error))
        return 2
    from mmhash.demos.ranks import document, figure
    from mmhash.demos.ranks.processes import ProcessDiedError
    from mmhash.demos.ranks.run import measure
    from mmhash.demos.ranks.summary import DisagreementError

    try:
        with _progress(settings) as progress:
            result = measure(settings, progress)
    except (ProcessDiedError, DisagreementError, OSError) as error:
        print_error(str(error))
        return 1
    found = document.make(result, "x".join(map(str, args.image_size)))
    # First the drawing: whoever reads the output may be gone.
    status = 0
    if args.plot is not None:
        try:
            figure.save(found, args.plot)
        except OSError as error:
            print_error(f"{escape(str(args.plot))}: {reason(error)}")
            status = 1
    write_stdout(document.dumps(found) if args.json else report(found))
    return status


def _settings(args: argparse.Namespace) -> Settings:
    """What the arguments ask for. All that can be wrong is found here, before anything starts."""
    if importlib.util.find_spec("torch") is None:  # importing it here would take seconds
        raise UnusableFileError(
            f'torch is needed to start ranks, and it is not installed: pip install "{EXTRA}"'
        )
    if args.plot is not None:
        require("matplotlib.figure", "to draw", EXTRA)
    if args.algorithm == "blake3":
        require("blake3", "for --algorithm blake3", BLAKE3_EXTRA)
    for module in ("numpy", "PIL.Image"):
        require(module, "for the features of images", EXTRA)
    if args.plot is not None:
        _check_writable(args.plot)
    from mmhash.demos.qwen_features import FRAMES, PATCH, smart_resize
    from mmhash.demos.ranks import transport
    from mmhash.demos.ranks.settings import Settings
    from mmhash.demos.ranks.strategies import STRATEGIES

    width, height = args.image_size
    rows, columns = smart_resize(height, width)
    settings = Settings(
        strategies=tuple(STRATEGIES[name] for name in args.strategy),
        shape=(rows // PATCH * (columns // PATCH), 3 * FRAMES * PATCH * PATCH),
        **{name: getattr(args, name) for name in ("ranks", "transport", "copy", "clone")},
        **{name: getattr(args, name) for name in ("images", "requests", "rounds", "warm_up")},
        **{name: getattr(args, name) for name in ("in_flight", "rate", "algorithm")},
    )
    free = transport.free_bytes()
    if free is not None and settings.shared_bytes > free:
        raise ValueError(
            f"expected {settings.shared_bytes / 1e6:.0f} MB of shared memory, found "
            f"{free / 1e6:.0f} MB free in {transport.SHM_FOLDER}: lower --in-flight or --images, "
            "give a container more (docker run --shm-size), or use --transport pickle"
        )
    return settings


def _check_writable(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"--plot: expected a file, {escape(str(path))} is a directory")
    if not path.parent.is_dir():
        raise ValueError(
            f"--plot: expected a directory that exists, got {escape(str(path.parent))}: create it"
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(
            f"--plot: expected a file that can be written, {escape(str(path))} cannot: name another"
        )


@contextlib.contextmanager
def _progress(settings: Settings) -> Iterator[Callable[[int], None] | None]:
    """A progress bar on a terminal, if tqdm is installed."""
    tqdm = None
    if sys.stderr is not None and sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            tqdm = importlib.import_module("tqdm")
    if tqdm is None:
        yield None
        return
    total = len(settings.strategies) * (settings.requests + settings.warm_up)
    with tqdm.tqdm(
        total=total, unit="request", desc="starting ranks", leave=False, file=sys.stderr
    ) as bar:

        def show(done: int) -> None:
            bar.set_description_str("measuring", refresh=False)
            bar.update(done - bar.n)

        yield show


def report(found: dict[str, Any]) -> str:
    """The results as text."""
    from mmhash.demos.ranks import text_timelines

    columns = min(MOST_COLUMNS, shutil.get_terminal_size().columns)
    blocks = [_facts(found), _table(found), _notes(found)]
    blocks += [text_timelines.timelines(found, columns), text_timelines.legend()]
    return "\n\n".join(blocks) + "\n"


def _facts(found: dict[str, Any]) -> str:
    from mmhash.demos.ranks.document import environment_line

    settings, features = found["settings"], found["features"]
    shape = ",".join(map(str, features["shape"]))
    how = settings["transport"]
    if how == "shm":
        filled = {"map": "through a mapping", "write": "with write(2)"}[settings["copy"]]
        how += f": filled {filled}, {'cloned' if settings['clone'] else 'mapped'} by the ranks"
    speed = f"{significant(settings['rate'])} a second" if settings["rate"] else "at full speed"
    facts = {
        "ranks": f"{settings['ranks']}, and a sender",
        "request": f"{settings['images']} x {settings['image_size']}: float32 [{shape}], "
        f"{features['bytes'] / 1e6:.2f} MB each",
        "transport": how,
        "load": f"{settings['requests']} requests a strategy in {settings['rounds']} rounds, "
        f"{speed}, {settings['in_flight']} under way at most",
        "machine": environment_line(found["environment"]),
        "hashes": f"{found['hashes_agreed']} compared, all ranks agree",
    }
    return _listed(facts)


def _table(found: dict[str, Any]) -> str:
    def pair(one: float, other: float) -> str:
        return f"{significant(one * 1e3)} ({significant(other * 1e3)})"

    rows = []
    for each in found["strategies"]:
        latency, total, cpu = each["latency"], each["total"], each["cpu_per_request"]
        rows.append(
            [
                each["name"],
                significant(each["requests_per_s"]),
                f"{significant(min(each['rounds']))}..{significant(max(each['rounds']))}",
                pair(latency["p50"], total["p50"]),
                pair(latency["p99"], total["p99"]),
                significant(cpu["ranks"] * 1e3),
                significant(cpu["sender"] * 1e3),
            ]
        )
    head = ["", "req/s", "rounds", "p50 ms", "p99 ms", "CPU ms: ranks", "sender"]
    return render(head, rows, gap=2)


def _notes(found: dict[str, Any]) -> str:
    return _listed({each["name"]: each["what"] for each in found["strategies"]})


def _listed(texts: dict[str, str]) -> str:
    indent = " " * (max(map(len, texts)) + 2)
    lines = []
    for name, text in texts.items():
        wrapped = textwrap.wrap(text, REPORT_COLUMNS - len(indent))
        lines.append(name.ljust(len(indent)) + wrapped[0])
        lines += [indent + line for line in wrapped[1:]]
    return "\n".join(lines)
