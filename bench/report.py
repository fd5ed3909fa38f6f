"""Writes the committed results into the documentation; with --check, says whether they are there.

    python bench/report.py            # tables into README.md and bench/README.md, plots into docs/
    python bench/report.py --check    # status 1 and a diff if that would change anything

A table stands between `<!-- table:NAME RESULT -->` and `<!-- /table -->`, where NAME is one of
TABLES of a tables*.py, or of RESULT_TYPES in an engines/*/tables.py, or `saves`, and RESULT a file
in bench/results without its `.json`; without it, the main one of that kind.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plots
import results
import tables
import tables_gpu
import tables_ranks
from engines import savings

from mmhash.demos.ranks import figure

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "bench" / "README.md", ROOT / "docs" / "ranks.md")
RANKS_FIGURE = ROOT / "docs" / "ranks.svg"  # of results.MAIN_RANKS
MARKED = re.compile(r"(<!-- table:(\S+)(?: (\S+))? -->\n).*?(<!-- /table -->)", re.DOTALL)


@dataclass(frozen=True)
class ResultType:
    """Results of one type and the tables that can be made of each."""

    tables: Mapping[str, Callable[[Any], str]]
    results: Mapping[str, Any]
    main: str

    def table(self, name: str, result: str | None) -> str:
        if (result or self.main) not in self.results:
            known = ", ".join(self.results) or "no results"
            raise ValueError(f"table:{name} {result}: expected one of {known}")
        return self.tables[name](self.results[result or self.main])


def result_types() -> list[ResultType]:
    return [
        ResultType(tables.TABLES, results.load_all(), results.MAIN),
        ResultType(tables_gpu.TABLES, results.load_json("cuda"), results.MAIN_GPU),
        ResultType(tables_ranks.TABLES, results.load_json("ranks"), results.MAIN_RANKS),
        *engines(),
    ]


def engines() -> list[ResultType]:
    """Those of each bench/engines/*/tables.py: an engine is found by its folder.

    And `saves`, one table of them all, with rows of the engines whose tables.py has SAVES.
    """
    found, saved = [], {}
    for path in sorted((ROOT / "bench" / "engines").glob("*/tables.py")):
        module = importlib.import_module(f"engines.{path.parent.name}.tables")
        found += [
            ResultType(made, results.load_json(kind), main)
            for kind, made, main in module.RESULT_TYPES
        ]
        if hasattr(module, "SAVES"):
            kind, result, saves = module.SAVES
            saved[path.parent.name] = saves(results.load_json(kind)[result])
    return [*found, ResultType({"saves": savings.saves}, {"engines": saved}, "engines")]


def with_tables(text: str, known: list[ResultType]) -> str:
    """The document with every table made anew. ValueError: no table in it, or an unknown one."""
    of_table = {name: kind for kind in known for name in kind.tables}

    def table(match: re.Match[str]) -> str:
        opening, name, result, closing = match.groups()
        if name not in of_table:
            raise ValueError(f"table:{name}: expected one of {', '.join(of_table)}")
        return f"{opening}\n{of_table[name].table(name, result)}\n\n{closing}"

    text, count = MARKED.subn(table, text)
    if count == 0 or count != text.count("<!-- table:"):
        raise ValueError("expected markers `<!-- table:NAME RESULT -->` … `<!-- /table -->`")
    return text


def outdated() -> dict[Path, tuple[str, str]]:
    """The files whose text, the first of the two, should be the second."""
    changes, known = {}, result_types()
    for path in DOCUMENTS:
        text = path.read_text()
        try:
            changes[path] = text, with_tables(text, known)
        except ValueError as error:
            raise SystemExit(f"{path.relative_to(ROOT)}: {error}") from None
    for result in results.load_all().values():
        for plot in plots.PLOTS:
            path = ROOT / "docs" / f"{plot}-{result.name}.svg"
            text = path.read_text() if path.exists() else ""
            if plots.origin(plot, result) not in text:
                changes[path] = text, plots.svg(plot, result)
    document = results.load_json("ranks")[results.MAIN_RANKS]
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
    changes = outdated()
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
