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
    mmhash_of,
    ratios,
)
from engines.savings import Savings
from tables import bold, duration, markdown, significant

from mmhash.demos.compare.timing import quartiles

ROWS = {
    "released, unset": "as released, no hash yet",
    "mmhash, unset": "mmhash, no hash yet, 1 thread",
    "mmhash, unset, 2 threads": "mmhash, no hash yet, 2 threads",
    "reading the feature": "reading the feature (NumPy max)",
    "released, carried": "as released, hash came along",
    "mmhash, carried": "mmhash, hash came along",
}
UNSET = "released, unset"


def calls(document: dict[str, Any]) -> str:
    """What a call took, and how often it would have fit into the one as released."""
    rows = document["rows"]
    lines = [["", "a call", "quartiles", "speed"]]
    for name, words in ROWS.items():
        seconds = rows[name]["seconds"]
        low, median, high = quartiles(seconds)
        # Round by round: all rows of a round saw the same machine.
        pairs = zip(rows[UNSET]["seconds"], seconds, strict=True)
        ratio = statistics.median(released / ours for released, ours in pairs)
        spread = f"{duration(low)} to {duration(high)}"
        lines.append([words, duration(median), spread, f"{significant(ratio)}x"])
    return f"{markdown(lines)}\n\n{calls_caption(document)}"


def calls_caption(document: dict[str, Any]) -> str:
    machine = document["machine"]
    rounds = len(document["rows"][UNSET]["seconds"])
    return (
        f"SGLang {document['sglang']}, `{document['call']}` of one image item of "
        f"{document['bytes'] / 1e6:.1f} MB and the read of its `pad_value`; medians of {rounds} "
        f"rounds, all rows in turns. {machine['cpu']}, Python {machine['python']}, torch "
        f"{machine['torch']}, {mmhash_of(document)}."
    )


def server(document: dict[str, Any]) -> str:
    """Of each way to hash: what hashing took in which process, and what requests took."""
    servers = document["servers"]
    header = ["", "hash, sender", "hash, ranks"]
    for each in servers:
        ranks = f"{each['ranks']} rank" + "s" * (each["ranks"] > 1)
        header += [f"first token, {ranks}", f"requests/s, {ranks}"]
    lines = [header]
    for mode in servers[0]["first_s"]:
        hashes = servers[-1]["hashes"][mode]
        cells = [WORDS.get(mode, mode), *(_hash(hashes.get(role)) for role in ("sender", "rank"))]
        for each in servers:
            first, together = each["first_s"], each["together_s"]
            first_cell = f"{statistics.median(first[mode]) * 1e3:.0f} ms"
            rate_cell = f"{_requests_per_s(each, mode):.2f}"
            if mode != NOTHING:
                first_cell += f" ({differences(first[mode], first[NOTHING])})"
                rate_cell += f" ({ratios(together[NOTHING], together[mode])})"
            cells += [first_cell, rate_cell]
        lines.append([bold(cell) if mode == OURS and cell else cell for cell in cells])
    return f"{markdown(lines)}\n\n{server_caption(document)}"


def server_caption(document: dict[str, Any]) -> str:
    servers = document["servers"]
    width, height = document["image"]
    last = servers[-1]
    cached, installed = last["cached_tokens"], document["as_installed"]
    return (
        f"SGLang {document['sglang']}, images of {width}x{height} "
        f"({document['feature_bytes'] / 1e6:.1f} MB of features). All rows in turns within the "
        f"running server, in which `install()` and `uninstall()` switch them. First token: the "
        f"median of {len(last['first_s'][OURS])} requests one at a time; requests/s: "
        f"{len(last['together_s'][OURS])} times {last['requests']} at once. In parentheses: to no "
        f"hash in the same round, the median difference and the geometric mean of the ratios, with "
        f"their standard errors. Hash: the median, with {last['ranks']} ranks. Of "
        f"{cached['all'][0]} tokens the prefix cache had {min(cached['repeated'])} when an image "
        f"was sent again, and {max(cached['different'])} of another image. Started by "
        f"`{installed['command']}` with {installed['ranks']} ranks, {installed['processes']} "
        f"processes say that mmhash is in them. {machine_line(document)}."
    )


def saves(document: dict[str, Any]) -> Savings:
    """Of the server with most ranks: what an image's hash takes, and what the server gets done."""
    last = document["servers"][-1]
    released, ours = (last["hashes"][mode] for mode in (RELEASED, OURS))
    together = last["together_s"]
    more = ratios(together[RELEASED], together[OURS])
    megabytes = f"{document['feature_bytes'] / 1e6:.1f} MB"
    width, height = document["image"]
    name = f"SGLang {document['sglang']}"
    rows = [
        (
            f"{name}, an image of {width}x{height} ({megabytes} of features): hashing on each rank",
            f"{released['rank']['median_ms']:.1f} ms",
            f"{_hash(ours.get('rank'))}; {ours['sender']['median_ms']:.1f} ms in the sender",
        ),
        (
            f"{name}, {last['requests']} such requests at once, {last['ranks']} ranks",
            f"{_requests_per_s(last, RELEASED):.2f} requests/s",
            f"{_requests_per_s(last, OURS):.2f} requests/s ({more})",
        ),
    ]
    return Savings(
        algorithm_of(document),
        rows,
        f"Servers with tiny models on {machine_line(document)}; in turns with and "
        f"without mmhash. SGLang: medians of {len(last['first_s'][OURS])} requests, and "
        f"{len(together[OURS])} times {last['requests']} at once, with the mean ratio's standard "
        "error.",
    )


def _requests_per_s(server: dict[str, Any], mode: str) -> float:
    seconds = server["together_s"][mode]
    return float(server["requests"] * len(seconds) / sum(seconds))


def _hash(found: dict[str, float] | None) -> str:
    """What a request costs a kind of process: all its ranks together count as one kind."""
    if found is None:
        return "none"
    times = round(found["a_request"])
    return f"{times} x " * (times > 1) + f"{found['median_ms']:.1f} ms"


#: The results of each command: their kind, with which their files' names begin; the tables that can
#: be made of one; and the one that a table shows which names no result.
RESULT_TYPES = [
    ("sglang", {"sglang": calls}, "sglang-0.5.23"),
    ("server-sglang", {"sglang-server": server}, "server-sglang-0.5.23"),
]

#: The result of which the table of all engines has rows: its kind, its name, and what makes them.
SAVES = ("server-sglang", "server-sglang-0.5.23", saves)
