"""Paired comparison of requests: what whole servers' tables share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

OURS, NOTHING, RELEASED = "mmhash", "no hash", "released"
WORDS = {RELEASED: "as released"}


def differences(ones: Sequence[float], others: Sequence[float]) -> str:
    """Milliseconds: the median of paired differences and its standard error.

    The error is that of a median of normal values, 1.25 times the mean's, with the deviation taken
    from the quartiles, 1.35 apart: so one request that was held up does not count for all. They
    are estimates of the population's, farther apart than those that describe samples elsewhere.
    """
    found = [(one - other) * 1e3 for one, other in zip(ones, others, strict=True)]
    low, median, high = statistics.quantiles(found, n=4)
    error = 1.253 * (high - low) / 1.349 / len(found) ** 0.5
    return f"{median:+.1f} ± {error:.1f}"


def ratios(ones: Sequence[float], others: Sequence[float]) -> str:
    """The geometric mean of paired ratios and its standard error."""
    logs = [math.log(one / other) for one, other in zip(ones, others, strict=True)]
    mean = math.exp(statistics.mean(logs))
    return f"{mean:.2f}x ± {mean * statistics.stdev(logs) / len(logs) ** 0.5:.2f}"


def algorithm_of(document: dict[str, Any]) -> str:
    """With which mmhash hashed. Results that do not say are of when there was only one."""
    name: str = document.get("algorithm", "xxh3")
    return {"sha256": "SHA-256"}.get(name, name.upper())


def mmhash_of(document: dict[str, Any]) -> str:
    """Which mmhash was measured: "mmhash 0.1.0 (XXH3, AVX2)"."""
    machine, algorithm = document["machine"], algorithm_of(document)
    isa = f", {machine['isa'].upper()}" if algorithm == "XXH3" else ""  # a package has its own
    return f"mmhash {machine['mmhash']} ({algorithm}{isa})"


def machine_line(document: dict[str, Any]) -> str:
    machine = document["machine"]
    return (
        f"{machine['cpu']}, {machine['cpus']} CPUs, Python {machine['python']}, torch "
        f"{machine['torch']}, {mmhash_of(document)}"
    )
