"""The results as one JSON document: what `--json` prints, and what the drawings are made from."""

from __future__ import annotations

import json
import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mmhash
from mmhash.demos.ranks.summary import Comparison, Measured

DIGITS = 7  # after the point of a second
INNERMOST = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")


def make(comparison: Comparison, image_size: str) -> dict[str, Any]:
    """The document; times in seconds."""
    settings = comparison.settings
    return {
        "command": "mmhash ranks",
        "environment": environment(),
        "settings": {
            "ranks": settings.ranks,
            "transport": settings.transport,
            "copy": settings.copy if settings.transport == "shm" else None,
            "clone": settings.clone if settings.transport == "shm" else None,
            "image_size": image_size,
            "images": settings.images,
            "requests": settings.requests,
            "rounds": settings.rounds,
            "warm_up": settings.warm_up,
            "in_flight": settings.in_flight,
            "rate": settings.rate,
            "algorithm": settings.algorithm,
        },
        "features": {
            "dtype": "float32",
            "shape": list(settings.shape),
            "bytes": settings.feature_bytes,
        },
        "hashes_agreed": comparison.hashes_agreed,
        "strategies": [
            {"name": s.name, "what": s.described(settings.algorithm), **_numbers(m)}
            for s, m in zip(settings.strategies, comparison.measured, strict=True)
        ],
        "timeline": {
            "seconds": _rounded(comparison.window_s),
            "strategies": {m.name: _timeline(m) for m in comparison.measured},
        },
    }


def _numbers(measured: Measured) -> dict[str, Any]:
    return {
        "requests_per_s": _rounded(measured.requests_per_s),
        "rounds": [_rounded(value) for value in measured.rounds],
        "latency": {
            "p50": _rounded(measured.latency.p50),
            "p99": _rounded(measured.latency.p99),
        },
        "total": {"p50": _rounded(measured.total.p50), "p99": _rounded(measured.total.p99)},
        "cpu_per_request": {
            "ranks": _rounded(measured.cpu_ranks_s),
            "sender": _rounded(measured.cpu_sender_s),
        },
    }


def _timeline(measured: Measured) -> dict[str, Any]:
    return {
        "readable": [_rounded(end) for end in measured.timeline.readable],
        "processes": {
            name: [[stage, _rounded(start), _rounded(end)] for stage, start, end in events]
            for name, events in measured.timeline.events.items()
        },
    }


def _rounded(seconds: float) -> float:
    return round(seconds, DIGITS)


def dumps(document: dict[str, Any]) -> str:
    """The document as text, lists of plain values on one line."""

    def on_one_line(match: re.Match[str]) -> str:
        return f"[{' '.join(match[1].split())}]"

    return INNERMOST.sub(on_one_line, json.dumps(document, indent=1)) + "\n"


def environment() -> dict[str, Any]:
    """On what it was measured. Nothing that names the machine, or says where on it things lie."""
    info = mmhash.info()
    return {
        "cpu": _processor(),
        "cpus": _usable(),
        "system": platform.system(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "mmhash": {key: info[key] for key in ("version", "isa")},
    }


def environment_line(found: dict[str, Any]) -> str:
    """The same for people."""
    ours = found["mmhash"]
    return (
        f"{found['cpu']}, {found['cpus']} CPUs, {found['system']}; Python {found['python']}, "
        f"torch {found['torch']}, mmhash {ours['version']} ({ours['isa'].upper()})"
    )


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    if "model name" not in fields:
        return platform.machine()
    numbers = [f"{name[-6:].strip()} {fields[name]}" for name in ("cpu family", "model")]
    return f"{fields['model name']} ({', '.join(numbers)})"


def _usable() -> int:
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
