"""Known confusions: two values that somebody's hash took for one, or one that had two or none.

A row is added by writing it down, in the file of its kind. `careless` names the way of careless.py
that confuses the pair, so that a row which confuses nobody is noticed. A report is a repository and
a number, as in reported_faults.py; a row without one was found here. docs/confusions.md shows the
rows: `python tests/documented_tables.py` writes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

#: What must hold of a pair.
DISTINCT, EQUAL, REFUSED = "distinct", "equal", "refused"


class Confusion(NamedTuple):
    """A pair of values, each made anew where it is needed, and what must hold of it."""

    what: str
    one: Callable[[], Any]
    other: Callable[[], Any]
    verdict: str
    careless: str
    reports: tuple[str, ...] = ()
