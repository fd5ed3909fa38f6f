"""Fair timings of several functions in one process."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Timed:
    """A call to time, and what to do before it, which is not timed."""

    call: Callable[[], object]
    prepare: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Timing:
    """What one call took, in seconds: median and interquartile range of `repeats` calls."""

    median_s: float
    iqr_s: float
    repeats: int


def measure(timed: Mapping[str, Timed], repeat: int, budget_s: float) -> dict[str, Timing]:
    """Time each call `repeat` times, or fewer (but at least 3) where that takes over `budget_s`.

    Each round makes every call once, in a new order drawn from a fixed seed: a machine that turns
    slow for a while is slow for all of them, and none always finds the caches as the same other one
    left them. The first round, in which threads start and pages are touched, is not counted.
    """
    order, shuffle = list(timed), random.Random(0).shuffle
    samples: dict[str, list[float]] = {name: [] for name in timed}
    end = time.perf_counter() + budget_s
    for turn in range(repeat + 1):
        shuffle(order)
        for name in order:
            call = timed[name].call
            timed[name].prepare()
            start = time.perf_counter()
            call()
            took = time.perf_counter() - start
            if turn:
                samples[name].append(took)
        if turn >= 3 and time.perf_counter() > end:
            break
    return {name: _summary(values) for name, values in samples.items()}


def _summary(values: list[float]) -> Timing:
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return Timing(median, third - first, len(values))
