"""What mmhash promises, as numbers that one run of these benchmarks can meet or miss."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import peers
import pytest
from cases import IMAGE_BYTES, SIZES, Case
from measured import measured
from pytest_benchmark.fixture import BenchmarkFixture

from mmhash.demos.compare.timing import Quartiles

STRICT = "MMHASH_BENCH_STRICT"

#: Where a run keeps what its goals' tests found, until the summary.
OUTCOMES = pytest.StashKey[list[dict[str, object]]]()


@dataclass(frozen=True)
class Goal:
    """What `measure` finds compared with `limit`; `row` is the row that the goal is about."""

    claim: str
    row: str
    measure: Callable[[], Quartiles]
    limit: float
    unit: str
    at_most: bool = False
    cpus: int = 1
    case: Case | None = None  # where the row is one of a case's peers

    def met_by(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def outcome(self) -> dict[str, object]:
        """What was found, in the form in which results keep it."""
        found = self.measure()
        return {
            "claim": self.claim,
            "limit": self.limit,
            "at_most": self.at_most,
            "unit": self.unit,
            "found": found._asdict(),
            "met": self.met_by(found.median),
        }


def times_as_long(case: Case, peer: str, than: str = peers.IDENTITY) -> Callable[[], Quartiles]:
    return lambda: measured(case).ratio(peer, than)


def nanoseconds(case: Case, peer: str) -> Callable[[], Quartiles]:
    return lambda: Quartiles(*(1e9 * seconds for seconds in measured(case).seconds(peer)))


IMAGE, PAGE = SIZES[IMAGE_BYTES], SIZES["4 KiB"]

GOALS = {
    "as-fast-as-xxhash": Goal(
        "18.8 MB, one thread: speed relative to `xxhash` on ready bytes",
        peers.IDENTITY,
        times_as_long(IMAGE, peers.XXHASH_READY),
        0.97,
        "x",
        case=IMAGE,
    ),
    "faster-than-sglang": Goal(
        "18.8 MB, one thread: speed relative to SGLang 0.5.23",
        peers.IDENTITY,
        times_as_long(IMAGE, peers.SGLANG_0_5_23),
        15,
        "x",
        case=IMAGE,
    ),
    "two-threads": Goal(
        "18.8 MB: speed of two threads relative to one",
        peers.IDENTITY_2,
        times_as_long(IMAGE, peers.IDENTITY, peers.IDENTITY_2),
        1.3,
        "x",
        cpus=2,
        case=IMAGE,
    ),
    "small-tensor": Goal(
        "4 KiB tensor, one thread: time of a call",
        peers.IDENTITY,
        nanoseconds(PAGE, peers.IDENTITY),
        350,
        "ns",
        at_most=True,
        case=PAGE,
    ),
    "small-tensor-best-peer": Goal(
        "4 KiB tensor, one thread: speed relative to the best peer from a tensor",
        peers.IDENTITY,
        times_as_long(PAGE, peers.XXHASH_VALUE),
        7,
        "x",
        case=PAGE,
    ),
}


def strict() -> bool:
    """Whether a goal that is missed fails its test, which only a quiet machine can answer for."""
    return os.environ.get(STRICT) == "1"


def describe(outcome: dict[str, object]) -> str:
    found, unit = outcome["found"], outcome["unit"]
    assert isinstance(found, dict)
    return (
        f"{outcome['claim']}: {found['median']:.4g} {unit} "
        f"({found['q1']:.4g} to {found['q3']:.4g}), "
        f"goal at {'most' if outcome['at_most'] else 'least'} {outcome['limit']} {unit}: "
        f"{'met' if outcome['met'] else 'MISSED'}"
    )


def check_goal(goal: Goal, benchmark: BenchmarkFixture, config: pytest.Config) -> None:
    """Reports whether the goal is met. Its row must have been recorded."""
    outcome = goal.outcome()
    benchmark.extra_info["goal"] = outcome
    config.stash[OUTCOMES].append(outcome)
    if not outcome["met"]:
        (pytest.fail if strict() else pytest.xfail)(describe(outcome))
