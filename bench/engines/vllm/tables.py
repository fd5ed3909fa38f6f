"""Results of calls.py and server.py as Markdown tables."""

from __future__ import annotations

import statistics
from typing import Any

from engines.paired import (
    NOTHING,
    OURS,
    RELEASED,
    WORDS,
    algorithm_of,
    differences,
    machine_line,
)
from engines.savings import Savings
from tables import bold, duration, markdown, significant

XXH3 = "mmhash, XXH3"


def calls(document: dict[str, Any]) -> str:
    """What a key took of each kind of input, and how many times as long as mmhash's."""
    rows = document["rows"]
    columns = list(next(iter(rows.values())))
    lines = [["a call", *(bold(name) if name == XXH3 else name for name in columns)]]
    for case, seconds in rows.items():
        cells = []
        for name in columns:
            median = duration(statistics.median(seconds[name]))
            if name == XXH3:
                cells.append(bold(median))
                continue
            # Round by round: all columns of a round saw the same machine.
            pairs = zip(seconds[name], seconds[XXH3], strict=True)
            ratio = statistics.median(theirs / ours for theirs, ours in pairs)
            cells.append(f"{median} ({significant(ratio)}x)")
        lines.append([case, *cells])
    return f"{markdown(lines)}\n\n{calls_caption(document)}"


def calls_caption(document: dict[str, Any]) -> str:
    machine = document["machine"]
    rounds = [len(each) for row in document["rows"].values() for each in row.values()]
    return (
        f"vLLM {document['vllm']}, `MultiModalHasher.hash_kwargs`, in parentheses relative to "
        f"mmhash; medians of {min(rounds)} to {max(rounds)} rounds, all columns in turns. "
        f"{machine['cpu']}, Python {machine['python']}, torch {machine['torch']}, "
        f"mmhash {machine['mmhash']} ({machine['isa'].upper()}), one thread."
    )


def server(document: dict[str, Any]) -> str:
    """Of each kind of input: what its key took, and what the request took, in each way."""
    modes = [RELEASED, OURS]
    header = ["", "keys a request"]
    header += [f"key, {WORDS.get(mode, mode)}" for mode in modes]
    header += ["request, as released", "mmhash", "no hash", "from the prefix cache"]
    lines = [header]
    for part, seconds in (("served", "first_s"), ("offline", "call_s")):
        for case, found in document[part].items():
            lines.append(_server_row(part, case, found, found[seconds]))
    return f"{markdown(lines)}\n\n{server_caption(document)}"


def _server_row(part: str, case: str, found: dict[str, Any], seconds: dict[str, Any]) -> list[str]:
    (ours,) = found["hashes"][OURS].values()
    (released,) = found["hashes"][RELEASED].values()
    ratio = significant(released["median_ms"] / ours["median_ms"])
    more = differences(seconds[OURS], seconds[RELEASED])
    without = seconds.get(NOTHING)
    cached = ""
    if "cached_tokens" in found:
        least, most = found["cached_tokens"][OURS]
        cached = f"{least if least == most else f'{least} to {most}'} of {found['prompt_tokens']}"
    return [
        f"{part}: {case}",
        f"{ours['a_request']:.0f}",
        f"{duration(released['median_ms'] / 1e3)} ({ratio}x)",
        bold(duration(ours["median_ms"] / 1e3)),
        f"{statistics.median(seconds[RELEASED]) * 1e3:.0f} ms",
        f"{statistics.median(seconds[OURS]) * 1e3:.0f} ms ({more})",
        f"{statistics.median(without) * 1e3:.0f} ms" if without else "",
        cached,
    ]


def server_caption(document: dict[str, Any]) -> str:
    plugin = document["by_plugin"]
    rounds = len(next(iter(document["served"].values()))["first_s"][OURS])
    cached, hits = plugin["cached_tokens"], plugin["processor_cache_hits"]
    return (
        f"vLLM {document['vllm']}, medians of {rounds} rounds, all ways in turns within one "
        f"process, in which `install()` and `uninstall()` switch them. Key: in parentheses as a "
        f"multiple of mmhash's. Request: until its first token, offline until the call returns; in "
        f"parentheses the median difference to as released in the same round, and its standard "
        f"error. From the prefix cache: tokens of the prompt, with mmhash. Another server, with "
        f"the plugin and {plugin['ranks']} ranks: {', '.join(plugin['processes'])} say that mmhash "
        f"is in them; of {plugin['prompt_tokens']} tokens the prefix cache had at most "
        f"{cached['new'][1]} when an image was new and at least {cached['again'][0]} when it was "
        f"sent again, and the processor cache had the image {hits['again']:.0f} of {hits['of']} "
        f"times. {machine_line(document)}."
    )


def saves(document: dict[str, Any]) -> Savings:
    """What a cache key takes of what is given to the offline class. Of a file it takes too little.

    The arrays are of the smaller image's size.
    """
    rows = []
    for case, found in document["offline"].items():
        released, ours = (
            duration(found["hashes"][mode]["offline"]["median_ms"] / 1e3)
            for mode in (RELEASED, OURS)
        )
        rows.append((f"vLLM {document['vllm']}, key of one {case}", released, ours))
    rounds = len(next(iter(document["offline"].values()))["call_s"][OURS])
    return Savings(
        algorithm_of(document),
        rows,
        f"vLLM: `LLM.generate`, keys by BLAKE3, its default, medians of {rounds} calls; the "
        "arrays are of {}x{} pixels.".format(*document["image"]),
    )


#: The results of each command: their kind, with which their files' names begin; the tables that can
#: be made of one; and the one that a table shows which names no result.
RESULT_TYPES = [
    ("vllm", {"vllm": calls}, "vllm-0.32.0"),
    ("server-vllm", {"vllm-server": server}, "server-vllm-0.32.0"),
]

#: The result of which the table of all engines has rows: its kind, its name, and what makes them.
SAVES = ("server-vllm", "server-vllm-0.32.0", saves)
