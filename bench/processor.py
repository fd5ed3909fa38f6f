"""The processor's name, without a package: benches of engines run in the engines' environments."""

from __future__ import annotations

import platform
from pathlib import Path


def name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
