"""Results of bench/servers as Markdown tables."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from tables import bold, duration, markdown, significant

OURS, NOTHING, RELEASED = "mmhash", "no hash", "released"
WORDS = {RELEASED: "as released"}


def sglang_server(document: dict[str, Any]) -> str:
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
            rate = each["requests"] * len(together[mode]) / sum(together[mode])
            first_cell = f"{statistics.median(first[mode]) * 1e3:.0f} ms"
            rate_cell = f"{rate:.2f}"
            if mode != NOTHING:
                first_cell += f" ({_differences(first[mode], first[NOTHING])})"
                rate_cell += f" ({_ratios(together[NOTHING], together[mode])})"
            cells += [first_cell, rate_cell]
        lines.append([bold(cell) if mode == OURS and cell else cell for cell in cells])
    return f"{markdown(lines)}\n\n{sglang_caption(document)}"


def sglang_caption(document: dict[str, Any]) -> str:
    machine, servers = document["machine"], document["servers"]
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
        f"processes say that mmhash is in them. {_machine(machine)}."
    )


def _hash(found: dict[str, float] | None) -> str:
    """What a request costs a kind of process: all its ranks together count as one kind."""
    if found is None:
        return "none"
    times = round(found["a_request"])
    return f"{times} x " * (times > 1) + f"{found['median_ms']:.1f} ms"


def _differences(ones: Sequence[float], others: Sequence[float]) -> str:
    """Milliseconds: the median of paired differences and its standard error.

    The error is that of a median of normal values, 1.25 times the mean's, with the deviation taken
    from the quartiles, 1.35 apart: so one request that was held up does not count for all.
    """
    found = [(one - other) * 1e3 for one, other in zip(ones, others, strict=True)]
    low, median, high = statistics.quantiles(found, n=4)
    error = 1.253 * (high - low) / 1.349 / len(found) ** 0.5
    return f"{median:+.1f} ± {error:.1f}"


def _ratios(ones: Sequence[float], others: Sequence[float]) -> str:
    """The geometric mean of paired ratios and its standard error."""
    logs = [math.log(one / other) for one, other in zip(ones, others, strict=True)]
    mean = math.exp(statistics.mean(logs))
    return f"{mean:.2f}x ± {mean * statistics.stdev(logs) / len(logs) ** 0.5:.2f}"


def vllm_server(document: dict[str, Any]) -> str:
    """Of each kind of input: what its key took, and what the request took, in each way."""
    modes = [RELEASED, OURS]
    header = ["", "keys a request"]
    header += [f"key, {WORDS.get(mode, mode)}" for mode in modes]
    header += ["request, as released", "mmhash", "no hash", "from the prefix cache"]
    lines = [header]
    for part, seconds in (("served", "first_s"), ("offline", "call_s")):
        for case, found in document[part].items():
            lines.append(_vllm_row(part, case, found, found[seconds]))
    return f"{markdown(lines)}\n\n{vllm_caption(document)}"


def _vllm_row(part: str, case: str, found: dict[str, Any], seconds: dict[str, Any]) -> list[str]:
    (ours,) = found["hashes"][OURS].values()
    (released,) = found["hashes"][RELEASED].values()
    ratio = significant(released["median_ms"] / ours["median_ms"])
    more = _differences(seconds[OURS], seconds[RELEASED])
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


def vllm_caption(document: dict[str, Any]) -> str:
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
        f"times. {_machine(document['machine'])}."
    )


def _machine(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cpu']}, {machine['cpus']} CPUs, Python {machine['python']}, torch "
        f"{machine['torch']}, mmhash {machine['mmhash']} ({machine['isa'].upper()})"
    )


#: What a marker `<!-- table:NAME RESULT -->` can ask for.
SGLANG: dict[str, Callable[[dict[str, Any]], str]] = {"sglang-server": sglang_server}
VLLM: dict[str, Callable[[dict[str, Any]], str]] = {"vllm-server": vllm_server}
