"""What the cache costs and saves: a hit, a miss and a bypass beside hashing the same tensor."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import interleave
import pytest
import torch
from cases import IMAGE, IMAGE_BYTES, floats
from goals import OUTCOMES, describe, strict
from measured import BUDGET_S, Measured, Quartiles
from pytest_benchmark.fixture import BenchmarkFixture

import mmhash

SMALLEST: int = mmhash.info()["cache_min_bytes"]  # type: ignore[assignment]


@dataclass(frozen=True)
class Way:
    """How `value` is hashed; one argument, so that the loop costs all of them the same."""

    call: Callable[[Any], object]
    value: Any


def hashing(value: Any) -> object:
    return mmhash.identity(value, cache=False)


def new_object(value: torch.Tensor) -> object:
    return mmhash.identity(value.detach())


def miss(value: torch.Tensor) -> object:
    mmhash.forget(value)
    return mmhash.identity(value)


HASHING = "hashing, cache=False"
HIT = "hit"
NEW_OBJECT = "hit, detach() and hashing that"
MISS = "forget() and a miss"
BYPASS = "bypass"


@functools.cache
def ways() -> dict[str, dict[str, Way]]:
    # Made for this: a tensor whose .numpy() was called once is cached no more.
    image, small = floats(*IMAGE), floats(SMALLEST // 4)
    foreign = torch.from_numpy(small.clone().numpy())
    return {
        f"cache, {IMAGE_BYTES}": {
            HASHING: Way(hashing, image),
            HIT: Way(mmhash.identity, image),
            NEW_OBJECT: Way(new_object, image),
        },
        f"cache, {SMALLEST >> 10} KiB, the smallest": {
            HASHING: Way(hashing, small),
            HIT: Way(mmhash.identity, small),
            MISS: Way(miss, small),
            BYPASS: Way(mmhash.identity, foreign),
        },
    }


IMAGE_CASE, SMALL_CASE = ways()
ROWS = [(case, way) for case, found in ways().items() for way in found]


@functools.cache
def measured(case: str) -> Measured:
    """Times the ways in turns, one thread each, with a cache of the default size."""
    threads = mmhash.get_num_threads()
    mmhash.set_num_threads(1)
    mmhash.cache_resize(4096)
    try:
        check(case)
        jobs = {
            name: interleave.Job(way.call, way.value, lambda: None)
            for name, way in ways()[case].items()
        }
        return Measured(interleave.measure(jobs, BUDGET_S))
    finally:
        mmhash.cache_resize(0)
        mmhash.set_num_threads(threads)


def check(case: str) -> None:
    """Each way does what its row says, and all of them find one identity."""
    counts = {HASHING: (0, 0, 0), HIT: (1, 0, 0), NEW_OBJECT: (1, 0, 0)}
    counts |= {MISS: (0, 1, 0), BYPASS: (0, 0, 1)}
    mmhash.cache_clear()
    found = set()
    for name, way in ways()[case].items():
        mmhash.identity(way.value)
        before = mmhash.cache_info()[:3]
        found.add(way.call(way.value))
        changed = tuple(new - old for new, old in zip(mmhash.cache_info(), before, strict=False))
        assert changed == counts[name], f"{case}, {name}: (hits, misses, bypasses) {changed}"
    assert len(found) == 1, f"{case}: the ways do not agree"


@pytest.mark.parametrize(("case", "way"), ROWS)
def test_way(case: str, way: str, benchmark: BenchmarkFixture) -> None:
    record(case, way, benchmark)


def record(case: str, way: str, benchmark: BenchmarkFixture) -> None:
    call, value = ways()[case][way].call, ways()[case][way].value
    if benchmark.disabled:
        benchmark.pedantic(call, (value,))
        return
    found = measured(case)
    rounds = found.rounds[way]
    benchmark.group = benchmark.group or case
    benchmark.pedantic(call, (value,), iterations=rounds.batch)
    benchmark.stats.stats.data.clear()
    for seconds in rounds.seconds:
        benchmark.stats.update(seconds * rounds.batch)
    benchmark.extra_info |= {
        "case": case,
        "peer": way,
        "bytes": value.nbytes,
        "threads": 1,
        "ratio": found.ratio(way, HASHING)._asdict(),
    }


def time_of_a_hit() -> Quartiles:
    return Quartiles(*(1e9 * seconds for seconds in measured(IMAGE_CASE).seconds(HIT)))


def gain_of_a_hit() -> Quartiles:
    return measured(IMAGE_CASE).ratio(HASHING, HIT)


GOALS: dict[str, tuple[str, Callable[[], Quartiles], float, str, bool]] = {
    "cache-hit": (f"{IMAGE_BYTES}: time of a hit", time_of_a_hit, 500, "ns", True),
    "cache-gain": (f"{IMAGE_BYTES}: hashing relative to a hit", gain_of_a_hit, 500, "x", False),
}


@pytest.mark.parametrize("name", GOALS)
def test_goal(name: str, benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> None:
    claim, measure, limit, unit, at_most = GOALS[name]
    if benchmark.disabled:
        pytest.skip("nothing is timed with --benchmark-disable")
    record(IMAGE_CASE, HIT, benchmark)
    found = measure()
    met = found.median <= limit if at_most else found.median >= limit
    outcome: dict[str, object] = {
        "claim": claim,
        "limit": limit,
        "at_most": at_most,
        "unit": unit,
        "found": found._asdict(),
        "met": met,
    }
    benchmark.extra_info["goal"] = outcome
    pytestconfig.stash[OUTCOMES].append(outcome)
    if not met:
        (pytest.fail if strict() else pytest.xfail)(describe(outcome))
