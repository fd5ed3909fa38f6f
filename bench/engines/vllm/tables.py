"""Results of calls.py and server.py as Markdown tables."""

from __future__ import annotations

import statistics
from typing import Any

from engines import paired
from tables import bold, duration, markdown, significant

OURS = "mmhash, XXH3"


def vllm(document: dict[str, Any]) -> str:
    """What a key took of each kind of input, and how many times as long as mmhash's."""
    rows = document["rows"]
    columns = list(next(iter(rows.values())))
    lines = [["a call", *(bold(name) if name == OURS else name for name in columns)]]
    for case, seconds in rows.items():
        cells = []
        for name in columns:
            median = duration(statistics.median(seconds[name]))
            if name == OURS:
                cells.append(bold(median))
                continue
            # Round by round: all columns of a round saw the same machine.
            pairs = zip(seconds[name], seconds[OURS], strict=True)
            ratio = statistics.median(theirs / ours for theirs, ours in pairs)
            cells.append(f"{median} ({significant(ratio)}x)")
        lines.append([case, *cells])
    return f"{markdown(lines)}\n\n{caption(document)}"


def caption(document: dict[str, Any]) -> str:
    machine = document["machine"]
    rounds = [len(each) for row in document["rows"].values() for each in row.values()]
    return (
        f"vLLM {document['vllm']}, `MultiModalHasher.hash_kwargs`, in parentheses relative to "
        f"mmhash; medians of {min(rounds)} to {max(rounds)} rounds, all columns in turns. "
        f"{machine['cpu']}, Python {machine['python']}, torch {machine['torch']}, "
        f"mmhash {machine['mmhash']} ({machine['isa'].upper()}), one thread."
    )


#: The results of each command: their kind, with which their files' names begin; the tables that can
#: be made of one; and the one that a table shows which names no result.
KINDS = [
    ("vllm", {"vllm": vllm}, "vllm-0.32.0"),
    ("server-vllm", paired.VLLM, "server-vllm-0.32.0"),
]
