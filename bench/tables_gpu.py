"""A result of bench/gpu.py as a Markdown table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tables import bold, markdown

OURS = ("mmhash.identity", "mmhash.identity, BLAKE3")  # those with a column of their speed


def gpu(result: dict[str, Any]) -> str:
    """The time of a call for every size and layout, in microseconds."""
    rows = result["rows"]
    peers = list(dict.fromkeys(peer for row in rows.values() for peer in row["seconds"]))
    ours = [peer for peer in OURS if peer in peers]
    speeds = ["TB/s" + peer.removeprefix(OURS[0]) for peer in ours]
    lines = [["µs a call", *(bold(peer) if peer in ours else peer for peer in peers), *speeds]]
    for case, row in rows.items():
        cells = [cell(row["seconds"].get(peer)) for peer in peers]
        lines.append([case, *cells, *(speed(row, peer) for peer in ours)])
    return f"{markdown(lines)}\n\n{caption(result)}"


def speed(row: dict[str, Any], peer: str) -> str:
    if row["bytes"] <= 1e6:
        return ""
    return f"{row['bytes'] / row['seconds'][peer]['median'] / 1e12:.2f}"


def cell(seconds: dict[str, float] | None) -> str:
    if seconds is None:
        return ""
    median = seconds["median"] * 1e6
    return f"{median:.1f}" if median < 99.95 else f"{median:,.0f}"


def caption(result: dict[str, Any]) -> str:
    machine = result["machine"]
    rounds = [row["rounds"] for row in result["rows"].values()]
    enqueue = result["enqueue_15.6_MB"]["median"] * 1e6
    return (
        f"Medians of {min(rounds)} to {max(rounds)} rounds, all columns in turns, each call with "
        "its synchronisation; up to 15.6 MB the tensor stays in the GPU's L2 cache, but for the "
        f"row that says not. `identity_async` of 15.6 MB returns after {enqueue:.1f} µs. "
        f"`{result['name']}`, {result['date']}: "
        f"{machine['gpu']}, CUDA {machine['cuda']}, torch {machine['packages']['torch']}, "
        f"mmhash {machine['mmhash']['version']}."
    )


#: What a marker `<!-- table:NAME RESULT -->` can ask for.
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"gpu": gpu}
