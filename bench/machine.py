"""On what engines were measured. Without a package: their benches run in their environments."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mmhash


def describe() -> dict[str, Any]:
    """The `machine` of a result."""
    return {
        "cpu": processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": version("torch"),
        "mmhash": mmhash.__version__,
        "isa": mmhash.info()["isa"],
    }


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
