"""A result of bench/gpu.py as a Markdown table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tables import bold, markdown

OURS = "mmhash.identity"


def gpu(result: dict[str, Any]) -> str:
    """The time of a call for every size and layout, in microseconds."""
    rows = result["rows"]
    peers = list(dict.fromkeys(peer for row in rows.values() for peer in row["seconds"]))
    lines = [["µs a call", *(bold(peer) if peer == OURS else peer for peer in peers), "TB/s"]]
    for case, row in rows.items():
        cells = [cell(row["seconds"].get(peer)) for peer in peers]
        speed = row["bytes"] / row["seconds"][OURS]["median"] / 1e12
        lines.append([case, *cells, f"{speed:.2f}" if row["bytes"] > 1e6 else ""])
    return f"{markdown(lines)}\n\n{caption(result)}"


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
