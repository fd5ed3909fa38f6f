"""Interleaved timing: rounds of several calls, so that all of them see the same machine.

A shared machine is slow for seconds at a time. Timed one after the other, calls would be compared
across such changes; here one round times each of them for about a millisecond, and calls are
compared round by round.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mmhash.demos.compare.timing import interleaved

BATCH_S = 0.001  # timed in one piece: 10,000 times what reading the clock takes
MIN_ROUNDS = 15
MAX_ROUNDS = 301

# What fits in the last cache stays there only after it was read some five times: of 18.8 MB on a
# Zen 3 with 32 MB of L3, pass after pass took 0.83, 0.63, 0.59, 0.55, 0.52 and 0.49 ms.
WARMING_READS = 6


@dataclass(frozen=True)
class Job:
    """`call(argument)` is timed; `prepare()` comes before each batch of calls, untimed."""

    call: Callable[[Any], object]
    argument: Any
    prepare: Callable[[], object]


@dataclass(frozen=True)
class Rounds:
    """Seconds a call took, round by round; a round's entry is the mean of `batch` calls."""

    batch: int
    seconds: list[float]


def measure(jobs: Mapping[str, Job], budget_s: float) -> dict[str, Rounds]:
    """Time all jobs in MIN_ROUNDS to MAX_ROUNDS rounds, until `budget_s` seconds are over."""
    timers = {name: timer(job) for name, job in jobs.items()}
    batches = {name: calibrated(timers[name], job) for name, job in jobs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    rounds = interleaved(jobs, least=MIN_ROUNDS, most=MAX_ROUNDS, budget_s=budget_s)
    for number, name in rounds:
        jobs[name].prepare()
        took = timers[name].timeit(batches[name]) / batches[name]
        if number > 0:
            seconds[name].append(took)
    return {name: Rounds(batches[name], seconds[name]) for name in jobs}


def timer(job: Job) -> timeit.Timer:
    """A loop of its own for each job, compiled by `timeit`, which also keeps the collector off.

    The interpreter specialises each call instruction to what it calls first: jobs that shared a
    loop would be charged for what another one left there.
    """
    given = {"given": (job.call, job.argument)}
    return timeit.Timer("call(argument)", "call, argument = given", globals=given)


def calibrated(loop: timeit.Timer, job: Job) -> int:
    """How many calls take BATCH_S, as a power of two."""
    batch = 1
    job.prepare()
    while loop.timeit(batch) < BATCH_S:
        batch *= 2
    return batch
