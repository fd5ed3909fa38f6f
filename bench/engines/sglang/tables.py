"""Results of calls.py and server.py as Markdown tables."""

from __future__ import annotations

import statistics
from typing import Any

from engines import paired
from tables import duration, markdown, significant

ROWS = {
    "released, unset": "as released, no hash yet",
    "mmhash, unset": "mmhash, no hash yet, 1 thread",
    "mmhash, unset, 2 threads": "mmhash, no hash yet, 2 threads",
    "reading the feature": "reading the feature (NumPy max)",
    "released, carried": "as released, hash came along",
    "mmhash, carried": "mmhash, hash came along",
}
RELEASED = "released, unset"


def sglang(document: dict[str, Any]) -> str:
    """What a call took, and how often it would have fit into the one as released."""
    rows = document["rows"]
    lines = [["", "a call", "quartiles", "speed"]]
    for name, words in ROWS.items():
        seconds = rows[name]["seconds"]
        low, median, high = statistics.quantiles(seconds, n=4)
        # Round by round: all rows of a round saw the same machine.
        pairs = zip(rows[RELEASED]["seconds"], seconds, strict=True)
        ratio = statistics.median(released / ours for released, ours in pairs)
        spread = f"{duration(low)} to {duration(high)}"
        lines.append([words, duration(median), spread, f"{significant(ratio)}x"])
    return f"{markdown(lines)}\n\n{caption(document)}"


def caption(document: dict[str, Any]) -> str:
    machine = document["machine"]
    rounds = len(document["rows"][RELEASED]["seconds"])
    return (
        f"SGLang {document['sglang']}, `{document['call']}` of one image item of "
        f"{document['bytes'] / 1e6:.1f} MB and the read of its `pad_value`; medians of {rounds} "
        f"rounds, all rows in turns. {machine['cpu']}, Python {machine['python']}, torch "
        f"{machine['torch']}, mmhash {machine['mmhash']} ({machine['isa'].upper()})."
    )


#: The results of each command: their kind, with which their files' names begin; the tables that can
#: be made of one; and the one that a table shows which names no result.
KINDS = [
    ("sglang", {"sglang": sglang}, "sglang-0.5.23"),
    ("server-sglang", paired.SGLANG, "server-sglang-0.5.23"),
]
