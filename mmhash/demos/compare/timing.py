"""Interleaved timing of several functions in one process, and the quartiles of what they took.

bench/interleave.py draws its rounds here too, and times a batch of calls a round, since it has
calls that take less than reading the clock.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


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


class Quartiles(NamedTuple):
    """The three values that part samples into quarters of equal number."""

    q1: float
    median: float
    q3: float


def quartiles(samples: Sequence[float]) -> Quartiles:
    """Of at least two samples, which are taken to hold the least and the most possible."""
    return Quartiles(*statistics.quantiles(samples, n=4, method="inclusive"))


def interleaved(
    names: Iterable[str], *, least: int, most: int, budget_s: float
) -> Iterator[tuple[int, str]]:
    """The number of a round and a name, for all names of each round, until `budget_s` is over.

    Each round is in a new order drawn from a fixed seed: a machine that turns slow for a while is
    slow for all of them, and none always finds the caches as the same other one left them. Round 0,
    in which threads start and pages are touched, is not to be counted; `least` to `most` follow.
    """
    order, shuffle = list(names), random.Random(0).shuffle
    end = time.perf_counter() + budget_s
    for number in range(most + 1):
        shuffle(order)
        for name in order:
            yield number, name
        if number >= least and time.perf_counter() > end:
            return


def measure(timed: Mapping[str, Timed], repeat: int, budget_s: float) -> dict[str, Timing]:
    """Time each call `repeat` times, or fewer (but at least 3) where that takes over `budget_s`.

    The calls are interleaved, one of each in a round.
    """
    samples: dict[str, list[float]] = {name: [] for name in timed}
    for number, name in interleaved(timed, least=3, most=repeat, budget_s=budget_s):
        call = timed[name].call
        timed[name].prepare()
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        if number:
            samples[name].append(took)
    return {name: _summary(values) for name, values in samples.items()}


def _summary(samples: list[float]) -> Timing:
    q1, median, q3 = quartiles(samples)
    return Timing(median, q3 - q1, len(samples))
