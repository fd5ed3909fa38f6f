"""Writes the committed results into the documentation; with --check, says whether they are there.

    python bench/report.py            # tables into README.md and bench/README.md, plots into docs/
    python bench/report.py --check    # status 1 and a diff if that would change anything

A table stands between `<!-- table:NAME RESULT -->` and `<!-- /table -->`, where NAME is one of
tables.TABLES and RESULT a file in bench/results without its `.json`; without it, results.MAIN. The
name `gpu` is the table of a result of bench/gpu.py.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path

import gpu_results
import plots
import results
from tables import TABLES

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", ROOT / "bench" / "README.md")
MARKED = re.compile(r"(<!-- table:(\S+)(?: (\S+))? -->\n).*?(<!-- /table -->)", re.DOTALL)


def with_tables(text: str, found: dict[str, results.Result]) -> str:
    """The document with every table made anew. ValueError: no table in it, or an unknown one."""

    on_gpus = gpu_results.load_all()

    def table(match: re.Match[str]) -> str:
        opening, name, result, closing = match.groups(results.MAIN)
        if name == "gpu" and result in on_gpus:
            return f"{opening}\n{gpu_results.table(result, on_gpus[result])}\n\n{closing}"
        if name not in TABLES or result not in found:
            raise ValueError(
                f"table:{name} {result}: expected one of {', '.join(TABLES)} and one of "
                f"{', '.join(found) or 'no results'}"
            )
        return f"{opening}\n{TABLES[name](found[result])}\n\n{closing}"

    text, count = MARKED.subn(table, text)
    if count == 0 or count != text.count("<!-- table:"):
        raise ValueError("expected markers `<!-- table:NAME RESULT -->` … `<!-- /table -->`")
    return text


def outdated(found: dict[str, results.Result]) -> dict[Path, tuple[str, str]]:
    """The files whose text, the first of the two, should be the second."""
    changes = {}
    for path in DOCUMENTS:
        text = path.read_text()
        try:
            changes[path] = text, with_tables(text, found)
        except ValueError as error:
            raise SystemExit(f"{path.relative_to(ROOT)}: {error}") from None
    for result in found.values():
        for plot in plots.PLOTS:
            path = ROOT / "docs" / f"{plot}-{result.name}.svg"
            text = path.read_text() if path.exists() else ""
            if plots.origin(plot, result) not in text:
                changes[path] = text, plots.svg(plot, result)
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
    changes = outdated(results.load_all())
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
