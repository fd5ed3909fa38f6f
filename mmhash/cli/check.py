"""`mmhash hash --check`: whether files still hold the values whose identities were noted."""

from __future__ import annotations

from collections.abc import Sequence

from mmhash.cli.algorithm_options import Verifier
from mmhash.cli.checksum_lines import Expected, Maker, escape, parse_line, printable
from mmhash.cli.console import Console
from mmhash.cli.entries import Notice, ReadOptions
from mmhash.cli.errors import reason
from mmhash.cli.files import STDIN, size_of
from mmhash.cli.records import Failure, hash_file


def check(lists: Sequence[str], options: ReadOptions, verifier: Verifier) -> int:
    """Verify every line of these lists, print `PATH: OK` or `FAILED`, and return the status.

    A file is hashed by what its lines name, once for each of those. Only what is listed is looked
    at: a tensor that was added to a file since is no failure.
    """
    expected: list[Expected] = []
    with Console(0) as console:
        malformed = sum(_read_list(console, path, expected) for path in lists)
    together: dict[tuple[str, Maker], list[Expected]] = {}
    for line in expected:
        together.setdefault((line.path, line.maker), []).append(line)
    failed, done = 0, 0
    with Console(sum(size_of(path) for path, _ in together)) as console:
        for (path, maker), lines in together.items():
            console.begin(path, done, size_of(path))
            verdicts = _verdicts(console, path, maker, lines, options, verifier)
            for line, verdict in zip(lines, verdicts, strict=True):
                where = escape(path) + (f" {escape(line.name)}" if line.name else "")
                console.out(f"{where}: {verdict}")
                failed += verdict != "OK"
            done += size_of(path)
        if failed:
            console.error(f"{failed} of {len(expected)} identities could not be confirmed")
        if not expected:
            console.error("nothing was checked: no line held an identity and a path")
    return 1 if failed or malformed or not expected else 0


def _read_list(console: Console, path: str, expected: list[Expected]) -> int:
    """Add the lines of one list to `expected`; return how many could not be used, and say why."""
    try:
        with open(0 if path == STDIN else path, "rb", closefd=path != STDIN) as file:
            lines = file.read().split(b"\n")
    except OSError as error:
        console.error(f"{escape(path)}: {reason(error)}")
        return 1
    wrong = 0
    for number, raw in enumerate(lines, 1):
        try:
            line = raw.decode().removesuffix("\r")
            if line:
                expected.append(parse_line(line))
        except ValueError as error:
            console.error(f"{escape(path)}:{number}: {printable(reason(error))}")
            wrong += 1
    return wrong


def _verdicts(
    console: Console,
    path: str,
    maker: Maker,
    lines: Sequence[Expected],
    options: ReadOptions,
    verifier: Verifier,
) -> list[str]:
    if path == STDIN:
        return ["FAILED (the standard input cannot be read once more)"] * len(lines)
    try:
        algorithm = verifier.opened(maker)
    except (ValueError, ImportError) as error:
        return [f"FAILED ({reason(error)})"] * len(lines)
    found: dict[str, str] = {}
    whole_file = ""
    for result in hash_file(path, options, algorithm, console.advance):
        if isinstance(result, Notice):
            console.warn(f"{escape(path)}: {printable(result.text)}")
        elif not isinstance(result, Failure):
            console.finish_value(result.nbytes or 0)
            found[result.name] = result.identity.hex()
        elif result.name:
            found[result.name] = f"FAILED ({printable(result.reason)})"
        else:
            whole_file = f"FAILED ({printable(result.reason)})"
    return [whole_file or _verdict(line, found) for line in lines]


def _verdict(line: Expected, found: dict[str, str]) -> str:
    if line.name not in found:
        return "FAILED (the file holds no value of this name)"
    actual = found[line.name]
    if actual == line.identity:
        return "OK"
    return actual if actual.startswith("FAILED") else f"FAILED (it is {actual} now)"
