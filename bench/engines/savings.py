"""The table for whoever wonders what mmhash would save: rows of every engine's main result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tables import markdown


class Savings(NamedTuple):
    """Of one engine: rows of what was measured, as released and with mmhash; and how it was."""

    algorithm: str  # with mmhash
    rows: list[tuple[str, str, str]]
    caption: str


def saves(engines: Mapping[str, Savings]) -> str:
    """One table of all engines."""
    algorithms = sorted({each.algorithm for each in engines.values()})
    lines = [("", "today", f"with mmhash, {' or '.join(algorithms)}")]
    for each in engines.values():
        lines += each.rows
    return "\n\n".join([markdown(lines), " ".join(each.caption for each in engines.values())])
