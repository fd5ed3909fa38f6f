"""The committed results of bench/gpu.py, and their table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
OURS = "mmhash.identity"


def load_all() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("cuda-*.json"))}


def table(name: str, result: dict[str, Any]) -> str:
    """The time of a call for every size and layout, in microseconds."""
    rows = result["rows"]
    peers = list(dict.fromkeys(peer for row in rows.values() for peer in row["seconds"]))
    lines = [["µs a call", *(peer if peer != OURS else f"**{peer}**" for peer in peers), "TB/s"]]
    for case, row in rows.items():
        cells = [cell(row["seconds"].get(peer)) for peer in peers]
        speed = row["bytes"] / row["seconds"][OURS]["median"] / 1e12
        lines.append([case, *cells, f"{speed:.2f}" if row["bytes"] > 1e6 else ""])
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    body = "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
    return f"{body}\n\n{caption(name, result)}"


def cell(seconds: dict[str, float] | None) -> str:
    if seconds is None:
        return ""
    median = seconds["median"] * 1e6
    return f"{median:.1f}" if median < 99.95 else f"{median:,.0f}"


def caption(name: str, result: dict[str, Any]) -> str:
    machine = result["machine"]
    rounds = [row["rounds"] for row in result["rows"].values()]
    enqueue = result["enqueue_15.6_MB"]["median"] * 1e6
    return (
        f"Medians of {min(rounds)} to {max(rounds)} rounds, all columns in turns, each call with "
        "its synchronisation; up to 15.6 MB the tensor stays in the GPU's L2 cache, but for the "
        f"row that says not. `identity_async` of 15.6 MB returns after {enqueue:.1f} µs. "
        f"`{name}`, {result['date']}: "
        f"{machine['gpu']}, CUDA {machine['cuda']}, torch {machine['packages']['torch']}, "
        f"mmhash {machine['mmhash']['version']}."
    )
