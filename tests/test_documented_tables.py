"""The tables in the documentation are those that the tests' own data give."""

from __future__ import annotations

from pathlib import Path

import pytest
from documented_tables import DOCUMENTS, difference, filled


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_document_is_up_to_date(document: Path) -> None:
    changes = difference(document, DOCUMENTS[document])
    assert not changes, f"write it by `python tests/documented_tables.py`:\n{changes}"


def test_a_table_that_is_not_there() -> None:
    text = "<!-- table:one -->\nold\n<!-- /table -->"
    assert "new" in filled(text, {"one": lambda: "new"})
    with pytest.raises(ValueError, match=r"expected the tables \['two'\], found \['one'\]"):
        filled(text, {"two": lambda: "new"})
