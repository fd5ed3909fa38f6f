"""What building a request's inputs costs a rank: lazily, with the hash carried, and as today."""

from __future__ import annotations

import functools
import pickle
from typing import Any

import pytest
from cases import IMAGE, IMAGE_BYTES, floats
from contenders import Contender, record, time_all
from goals import Goal, check_goal
from measured import Measured
from peers import sglang_0_5_23
from pytest_benchmark.fixture import BenchmarkFixture

import mmhash
from mmhash import MultimodalDataItem, MultimodalInputs
from mmhash.demos.compare.timing import Quartiles

CASE = f"from_dict, one item of {IMAGE_BYTES}"


def build(fields: dict[str, Any]) -> MultimodalInputs:
    return MultimodalInputs.from_dict({"mm_items": [fields]})


def build_and_hash(fields: dict[str, Any]) -> object:
    return MultimodalInputs.from_dict({"mm_items": [fields]}).mm_items[0].pad_value


def build_eagerly(fields: dict[str, Any]) -> object:
    """What SGLang's from_dict does besides: SHA-256 of every item."""
    item = MultimodalInputs.from_dict({"mm_items": [fields]}).mm_items[0]
    item.hash = sglang_0_5_23(item.feature)
    return item.pad_value


def read_hash(item: MultimodalDataItem) -> object:
    return item.hash


EAGER = "from_dict, SHA-256 at once"
HASHED = "from_dict, then pad_value by mmhash"
UNRESOLVED = "from_dict, unresolved"
CARRIED = "from_dict of a received item, then pad_value"
HASH = "hash of a received item"


@functools.cache
def contenders() -> dict[str, Contender]:
    fields = {"modality": "IMAGE", "feature": floats(*IMAGE), "image_grid_thw": [[1, 50, 80]]}
    received = pickle.loads(pickle.dumps(MultimodalDataItem.from_dict(fields)))
    return {
        EAGER: Contender(build_eagerly, fields),
        HASHED: Contender(build_and_hash, fields),
        UNRESOLVED: Contender(build, fields),
        CARRIED: Contender(build_received, received),
        HASH: Contender(read_hash, received),
    }


def build_received(item: MultimodalDataItem) -> object:
    return MultimodalInputs.from_dict({"mm_items": [item]}).mm_items[0].pad_value


@functools.cache
def measured() -> Measured:
    """All contenders in turns, hashing on one thread, the cache off: as for an image seen once."""
    threads = mmhash.get_num_threads()
    mmhash.set_num_threads(1)
    try:
        check()
        return time_all(contenders())
    finally:
        mmhash.set_num_threads(threads)


def check() -> None:
    assert mmhash.cache_info().maxsize == 0
    found = contenders()
    item = found[HASH].argument
    assert item.is_resolved
    assert found[HASHED].call(found[HASHED].argument) == item.hash % 2**30
    assert found[CARRIED].call(item) == item.hash % 2**30
    assert not build(found[UNRESOLVED].argument).mm_items[0].is_resolved


def enter(contender: str, benchmark: BenchmarkFixture) -> None:
    nbytes = contenders()[EAGER].argument["feature"].nbytes
    record(benchmark, CASE, contenders(), contender, measured, EAGER, nbytes)


@pytest.mark.parametrize("contender", [EAGER, HASHED, UNRESOLVED, CARRIED, HASH])
def test_contender(contender: str, benchmark: BenchmarkFixture) -> None:
    enter(contender, benchmark)


def microseconds(contender: str) -> Quartiles:
    return Quartiles(*(1e6 * seconds for seconds in measured().seconds(contender)))


GOALS = {
    "items-unresolved": Goal(
        f"{IMAGE_BYTES}, {UNRESOLVED}: time",
        UNRESOLVED,
        lambda: microseconds(UNRESOLVED),
        5,
        "us",
        at_most=True,
    ),
    "items-carried": Goal(
        f"{IMAGE_BYTES}, {HASH}: time", HASH, lambda: microseconds(HASH), 1, "us", at_most=True
    ),
    "items-eager": Goal(
        f"{IMAGE_BYTES}, SHA-256 at once relative to {CARRIED}",
        CARRIED,
        lambda: measured().ratio(EAGER, CARRIED),
        1000,
        "x",
    ),
}


@pytest.mark.parametrize("name", GOALS)
def test_goal(name: str, benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> None:
    if benchmark.disabled:
        pytest.skip("nothing is timed with --benchmark-disable")
    enter(GOALS[name].row, benchmark)
    check_goal(GOALS[name], benchmark, pytestconfig)
