"""Writes the committed results into the documentation; with --check, says whether they are there.

    python bench/report.py            # tables into README.md and bench/README.md, plots into docs/
    python bench/report.py --check    # status 1 and a diff if that would change anything

A table stands between `<!-- table:NAME RESULT -->` and `<!-- /table -->`, where NAME is one of
tables.TABLES and RESULT a file in bench/results without its `.json`; without it, results.MAIN. Or
NAME is one of tables_ranks.TABLES, and RESULT by default results.MAIN_RANKS; or one of
tables_sglang.TABLES, and results.MAIN_SGLANG.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plots
import results
import tables_ranks
import tables_sglang
from tables import TABLES

from mmhash.ranks import figure

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "bench" / "README.md", ROOT / "docs" / "ranks.md")
RANKS_FIGURE = ROOT / "docs" / "ranks.svg"  # of results.MAIN_RANKS
MARKED = re.compile(r"(<!-- table:(\S+)(?: (\S+))? -->\n).*?(<!-- /table -->)", re.DOTALL)


def chosen(name: str, tables: Mapping[str, Any], result: str, found: Mapping[str, Any]) -> str:
    if name not in tables or result not in found:
        raise ValueError(
            f"table:{name} {result}: expected one of {', '.join(tables)} and one of "
            f"{', '.join(found) or 'no results'}"
        )
    made: str = tables[name](found[result])
    return made


def with_tables(
    text: str,
    found: dict[str, results.Result],
    ranks: dict[str, dict[str, Any]],
    sglang: dict[str, dict[str, Any]],
) -> str:
    """The document with every table made anew. ValueError: no table in it, or an unknown one."""

    def table(match: re.Match[str]) -> str:
        opening, name, result, closing = match.groups()
        if name in tables_ranks.TABLES:
            text = chosen(name, tables_ranks.TABLES, result or results.MAIN_RANKS, ranks)
        elif name in tables_sglang.TABLES:
            text = chosen(name, tables_sglang.TABLES, result or results.MAIN_SGLANG, sglang)
        else:
            text = chosen(name, TABLES, result or results.MAIN, found)
        return f"{opening}\n{text}\n\n{closing}"

    text, count = MARKED.subn(table, text)
    if count == 0 or count != text.count("<!-- table:"):
        raise ValueError("expected markers `<!-- table:NAME RESULT -->` … `<!-- /table -->`")
    return text


def outdated(
    found: dict[str, results.Result],
    ranks: dict[str, dict[str, Any]],
    sglang: dict[str, dict[str, Any]],
) -> dict[Path, tuple[str, str]]:
    """The files whose text, the first of the two, should be the second."""
    changes = {}
    for path in DOCUMENTS:
        text = path.read_text()
        try:
            changes[path] = text, with_tables(text, found, ranks, sglang)
        except ValueError as error:
            raise SystemExit(f"{path.relative_to(ROOT)}: {error}") from None
    for result in found.values():
        for plot in plots.PLOTS:
            path = ROOT / "docs" / f"{plot}-{result.name}.svg"
            text = path.read_text() if path.exists() else ""
            if plots.origin(plot, result) not in text:
                changes[path] = text, plots.svg(plot, result)
    document = ranks[results.MAIN_RANKS]
    text = RANKS_FIGURE.read_text() if RANKS_FIGURE.exists() else ""
    if figure.origin(document) not in text:
        changes[RANKS_FIGURE] = text, figure.svg(document)
    return {path: (old, new) for path, (old, new) in changes.items() if old != new}


def show(path: Path, old: str, new: str) -> None:
    name = str(path.relative_to(ROOT))
    if path.suffix == ".svg":
        print(f"{name}: not drawn from bench/results as it is")
        return
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(before, after, name, f"{name} from bench/results"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; status 1 if outdated")
    check = parser.parse_args().check
    changes = outdated(results.load_all(), results.load_ranks(), results.load_sglang())
    for path, (old, new) in changes.items():
        if check:
            show(path, old, new)
        else:
            path.write_text(new)
            print(f"wrote {path.relative_to(ROOT)}")
    if check and changes:
        print("\nrun `python bench/report.py` and commit what it writes", file=sys.stderr)
    return int(check and bool(changes))


if __name__ == "__main__":
    sys.exit(main())
