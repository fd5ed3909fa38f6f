"""Contenders: implementations of one thing, interleaved; rows of what is not a table of peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import interleave
from measured import BUDGET_S, Measured
from pytest_benchmark.fixture import BenchmarkFixture


@dataclass(frozen=True)
class Contender:
    """What is called with what; one argument, so that the loop costs all contenders the same."""

    call: Callable[[Any], object]
    argument: Any


def time_all(contenders: dict[str, Contender]) -> Measured:
    jobs = {
        name: interleave.Job(contender.call, contender.argument, lambda: None)
        for name, contender in contenders.items()
    }
    return Measured(interleave.measure(jobs, BUDGET_S))


def record(
    benchmark: BenchmarkFixture,
    case: str,
    contenders: dict[str, Contender],
    row: str,
    measured: Callable[[], Measured],
    reference: str,
    nbytes: int,
) -> None:
    """Enters a row's times, relative to those of `reference`, into the report."""
    contender = contenders[row]
    if benchmark.disabled:
        benchmark.pedantic(contender.call, (contender.argument,))
        return
    found = measured()
    rounds = found.rounds[row]
    benchmark.group = benchmark.group or case
    benchmark.pedantic(contender.call, (contender.argument,), iterations=rounds.batch)
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
