"""A result of `mmhash ranks` as a Markdown table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tables import bold, markdown, significant

from mmhash.demos.ranks import document as documents

EAGER = "eager"
OURS = ("async", "lazy", "write")


def ranks(document: dict[str, Any]) -> str:
    """Throughput, times and processor time of every strategy."""
    header = ["strategy", "requests/s", "rounds", "p50", "p99", "p50, sender", "p99, sender"]
    lines = [[*header, "CPU a request"]]
    eager = next((s for s in document["strategies"] if s["name"] == EAGER), None)
    for each in document["strategies"]:
        speed = each["requests_per_s"]
        ratio = f" ({significant(speed / eager['requests_per_s'])}x)" if eager else ""
        latency, total, cpu = each["latency"], each["total"], each["cpu_per_request"]
        row = [
            f"`{each['name']}`",
            f"{significant(speed)}{ratio}",
            f"{significant(min(each['rounds']))} to {significant(max(each['rounds']))}",
            *(ms(times[name]) for times in (latency, total) for name in ("p50", "p99")),
            ms(cpu["ranks"] + cpu["sender"]),
        ]
        lines.append([bold(cell) for cell in row] if each["name"] in OURS else row)
    return f"{markdown(lines)}\n\n{caption(document)}"


def caption(document: dict[str, Any]) -> str:
    settings = document["settings"]
    images = settings["images"]
    way = settings["transport"]
    if way == "shm":
        way = f"`--transport shm --copy {settings['copy']}" + " --clone" * settings["clone"] + "`"
    else:
        way = f"`--transport {way}`"
    load = f"at {settings['rate']:g} a second" if settings["rate"] else "as fast as they go"
    shape = f"{images} image{'s' * (images != 1)} of {settings['image_size']} a request"
    size = f"{document['features']['bytes'] / 1e6:.1f} MB"
    rounds = f"{settings['requests']} requests a strategy in {settings['rounds']} rounds"
    return (
        f"{settings['ranks']} ranks, {shape} ({size}), {way}; {rounds}, {load}, at most "
        f"{settings['in_flight']} under way; {document['hashes_agreed']:,} hashes compared, all "
        f"ranks agree. {documents.environment_line(document['environment'])}."
    )


def ms(seconds: float) -> str:
    return f"{significant(seconds * 1e3)} ms"


#: What a marker `<!-- table:NAME RESULT -->` can ask for.
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"ranks": ranks}
