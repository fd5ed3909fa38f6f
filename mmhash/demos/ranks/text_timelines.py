"""The timelines of the ranks as text, one line a process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MARKS = {"hash": "█", "copy": "▓", "send": "▒", "receive": "░", "map": "▚", "wait": "·"}
NOTHING, READABLE, MANY = " ", "▴", "▲"


def legend() -> str:
    """What the marks mean, on one line."""
    marks = "  ".join(f"{mark} {stage}" for stage, mark in MARKS.items())
    return f"{marks}  {READABLE} {MANY} readable on all ranks"


def timelines(document: dict[str, Any], width: int) -> str:
    """All strategies over the same span of time, which the slowest takes for its first requests."""
    timeline = document["timeline"]
    parts = []
    for name, found in timeline["strategies"].items():
        count = len(found["readable"])
        span = timeline["seconds"]
        plural = "s" * (count != 1)
        parts.append(f"{name}: {count} request{plural} readable within {span * 1e3:.0f} ms")
        label_width = max(map(len, found["processes"])) + 2
        columns = max(10, width - label_width)
        for process, events in found["processes"].items():
            parts.append(f"{process:<{label_width}}{bar(events, span, columns)}".rstrip())
        parts.append(" " * label_width + ticks(found["readable"], span, columns).rstrip())
    return "\n".join(parts)


def bar(events: Iterable[tuple[str, float, float]], span: float, columns: int) -> str:
    """One process: in each column the stage that fills most of it, if it is filled to the half.

    >>> bar([("hash", 0.0, 0.5), ("wait", 0.5, 0.8)], 1.0, 10)
    '█████···  '
    """
    cell = span / columns
    filled: list[dict[str, float]] = [{} for _ in range(columns)]
    for stage, start, end in events:
        last = min(columns - 1, int(end / cell))
        for column in range(min(int(start / cell), last), last + 1):
            inside = min(end, (column + 1) * cell) - max(start, column * cell)
            filled[column][stage] = filled[column].get(stage, 0.0) + inside
    return "".join(_mark(shares, cell) for shares in filled)


def _mark(shares: dict[str, float], cell: float) -> str:
    if sum(shares.values()) < 0.5 * cell:
        return NOTHING
    return MARKS[max(shares, key=lambda stage: shares[stage])]


def ticks(moments: Iterable[float], span: float, columns: int) -> str:
    """A mark where each moment lies.

    >>> ticks([0.05, 0.5, 0.51], 1.0, 10)
    '▴    ▲    '
    """
    counts = [0] * columns
    for moment in moments:
        counts[min(columns - 1, int(moment / span * columns))] += 1
    return "".join(NOTHING if n == 0 else READABLE if n == 1 else MANY for n in counts)
