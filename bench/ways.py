"""Ways to do one thing, timed in turns: rows of what is not a table of peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import interleave
from measured import BUDGET_S, Measured
from pytest_benchmark.fixture import BenchmarkFixture


@dataclass(frozen=True)
class Way:
    """What is called with what; one argument, so that the loop costs all ways the same."""

    call: Callable[[Any], object]
    argument: Any


def time_all(ways: dict[str, Way]) -> Measured:
    jobs = {
        name: interleave.Job(way.call, way.argument, lambda: None) for name, way in ways.items()
    }
    return Measured(interleave.measure(jobs, BUDGET_S))


def record(
    benchmark: BenchmarkFixture,
    case: str,
    ways: dict[str, Way],
    row: str,
    measured: Callable[[], Measured],
    reference: str,
    nbytes: int,
) -> None:
    """Enters a row's times, relative to those of `reference`, into the report."""
    way = ways[row]
    if benchmark.disabled:
        benchmark.pedantic(way.call, (way.argument,))
        return
    found = measured()
    rounds = found.rounds[row]
    benchmark.group = benchmark.group or case
    benchmark.pedantic(way.call, (way.argument,), iterations=rounds.batch)
    benchmark.stats.stats.data.clear()
    for seconds in rounds.seconds:
        benchmark.stats.update(seconds * rounds.batch)
    benchmark.extra_info |= {
        "case": case,
        "peer": row,
        "bytes": nbytes,
        "threads": 1,
        "ratio": found.ratio(row, reference)._asdict(),
    }
