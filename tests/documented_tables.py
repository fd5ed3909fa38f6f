"""Writes the tables that follow from the tests into the documentation; --check says if they stand.

    python tests/documented_tables.py            # into the documents of DOCUMENTS
    python tests/documented_tables.py --check    # status 1 and a diff if that would change anything

A table stands between `<!-- table:NAME -->` and `<!-- /table -->`, as those of bench/report.py do.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import birthday
from confusions import table as confusions

DOCS = Path(__file__).resolve().parent.parent / "docs"
MARKED = re.compile(r"(<!-- table:(\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)

Tables = Mapping[str, Callable[[], str]]

#: A document, and its tables by name.
DOCUMENTS: Mapping[Path, Tables] = {
    DOCS / "confusions.md": confusions.TABLES,
    DOCS / "threat-model.md": birthday.TABLES,
}


def filled(text: str, tables: Tables) -> str:
    """The text with its tables as they should be; each of them must stand there, and no other."""
    found = [name for _, name, _ in MARKED.findall(text)]
    if found != [*tables]:
        raise ValueError(f"expected the tables {[*tables]}, found {found}")
    return MARKED.sub(lambda match: f"{match[1]}\n{tables[match[2]]()}\n\n{match[3]}", text)


def difference(document: Path, tables: Tables) -> str:
    """What the tables would change: empty, or a diff."""
    old = document.read_text(encoding="utf-8")
    lines = old.splitlines(), filled(old, tables).splitlines()
    return "\n".join(difflib.unified_diff(*lines, str(document), "as it should be", lineterm=""))


def main() -> int:
    if "--check" in sys.argv[1:]:
        changes = [difference(*each) for each in DOCUMENTS.items()]
        print(*filter(None, changes), sep="\n")
        return int(any(changes))
    for document, tables in DOCUMENTS.items():
        text = document.read_text(encoding="utf-8")
        document.write_text(filled(text, tables), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
