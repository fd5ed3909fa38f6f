"""What the cache costs and saves: a hit, a miss and a bypass beside hashing the same tensor."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from cases import IMAGE, IMAGE_BYTES, floats
from contenders import Contender, record, time_all
from goals import Goal, check_goal
from measured import Measured
from pytest_benchmark.fixture import BenchmarkFixture

import mmhash
from mmhash.demos.compare.timing import Quartiles

SMALLEST: int = mmhash.info()["cache_min_bytes"]  # type: ignore[assignment]


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
def contenders() -> dict[str, dict[str, Contender]]:
    # Made for this: a tensor whose .numpy() was called once is cached no more.
    image, small = floats(*IMAGE), floats(SMALLEST // 4)
    foreign = torch.from_numpy(small.clone().numpy())
    return {
        f"cache, {IMAGE_BYTES}": {
            HASHING: Contender(hashing, image),
            HIT: Contender(mmhash.identity, image),
            NEW_OBJECT: Contender(new_object, image),
        },
        f"cache, {SMALLEST >> 10} KiB, the smallest": {
            HASHING: Contender(hashing, small),
            HIT: Contender(mmhash.identity, small),
            MISS: Contender(miss, small),
            BYPASS: Contender(mmhash.identity, foreign),
        },
    }


IMAGE_CASE, SMALL_CASE = contenders()
ROWS = [(case, contender) for case, found in contenders().items() for contender in found]


@functools.cache
def measured(case: str) -> Measured:
    """Times the contenders in turns, one thread each, with a cache of the default size."""
    threads = mmhash.get_num_threads()
    mmhash.set_num_threads(1)
    mmhash.cache_resize(4096)
    try:
        check(case)
        return time_all(contenders()[case])
    finally:
        mmhash.cache_resize(0)
        mmhash.set_num_threads(threads)


def check(case: str) -> None:
    """Each contender does what its row says, and all of them find one identity."""
    counts = {HASHING: (0, 0, 0), HIT: (1, 0, 0), NEW_OBJECT: (1, 0, 0)}
    counts |= {MISS: (0, 1, 0), BYPASS: (0, 0, 1)}
    mmhash.cache_clear()
    found = set()
    for name, contender in contenders()[case].items():
        mmhash.identity(contender.argument)
        before = mmhash.cache_info()[:3]
        found.add(contender.call(contender.argument))
        changed = tuple(new - old for new, old in zip(mmhash.cache_info(), before, strict=False))
        assert changed == counts[name], f"{case}, {name}: (hits, misses, bypasses) {changed}"
    assert len(found) == 1, f"{case}: the contenders do not agree"


def enter(case: str, contender: str, benchmark: BenchmarkFixture) -> None:
    nbytes = contenders()[case][contender].argument.nbytes
    record(benchmark, case, contenders()[case], contender, lambda: measured(case), HASHING, nbytes)


@pytest.mark.parametrize(("case", "contender"), ROWS)
def test_contender(case: str, contender: str, benchmark: BenchmarkFixture) -> None:
    enter(case, contender, benchmark)


def time_of_a_hit() -> Quartiles:
    return Quartiles(*(1e9 * seconds for seconds in measured(IMAGE_CASE).seconds(HIT)))


def gain_of_a_hit() -> Quartiles:
    return measured(IMAGE_CASE).ratio(HASHING, HIT)


GOALS = {
    "cache-hit": Goal(f"{IMAGE_BYTES}: time of a hit", HIT, time_of_a_hit, 500, "ns", at_most=True),
    "cache-gain": Goal(f"{IMAGE_BYTES}: hashing relative to a hit", HIT, gain_of_a_hit, 500, "x"),
}


@pytest.mark.parametrize("name", GOALS)
def test_goal(name: str, benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> None:
    if benchmark.disabled:
        pytest.skip("nothing is timed with --benchmark-disable")
    enter(IMAGE_CASE, GOALS[name].row, benchmark)
    check_goal(GOALS[name], benchmark, pytestconfig)
