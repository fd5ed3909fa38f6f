"""What an identity by BLAKE3 or SHA-256 costs beside the call of the package on ready bytes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from blake3 import blake3
from cases import IMAGE, IMAGE_BYTES, floats
from contenders import Contender, record, time_all
from goals import Goal, check_goal
from measured import Measured
from peers import raw_bytes
from pytest_benchmark.fixture import BenchmarkFixture

import mmhash
from mmhash.demos.compare.timing import Quartiles, quartiles

THREADS = 2


def identity(name: str, threads: int = 1) -> Callable[[Any], object]:
    def call(value: Any) -> object:
        mmhash.set_num_threads(threads)
        return mmhash.identity(value, cache=False, algorithm=name)

    return call


def blake3_of(threads: int = 1) -> Callable[[Any], object]:
    return lambda data: blake3(data, max_threads=threads).digest()


def small_identity(value: Any) -> object:
    return mmhash.identity(value, algorithm="blake3")


PACKAGE, OURS = "package, ready bytes", "mmhash.identity"


@functools.cache
def contenders() -> dict[str, dict[str, Contender]]:
    image, strided, small = floats(*IMAGE), floats(IMAGE[1], IMAGE[0]).T, floats(16)
    ready = raw_bytes(image)
    return {
        f"BLAKE3, {IMAGE_BYTES}": {
            PACKAGE: Contender(blake3_of(), ready),
            OURS: Contender(identity("blake3"), image),
            "transposed": Contender(identity("blake3"), strided),
            "transposed, contiguous(), package": Contender(
                lambda value: blake3(raw_bytes(value.contiguous())).digest(), strided
            ),
        },
        f"BLAKE3, {IMAGE_BYTES}, {THREADS} threads": {
            PACKAGE: Contender(blake3_of(THREADS), ready),
            OURS: Contender(identity("blake3", THREADS), image),
        },
        f"SHA-256, {IMAGE_BYTES}": {
            PACKAGE: Contender(lambda data: hashlib.sha256(data).digest(), ready),
            OURS: Contender(identity("sha256"), image),
        },
        "BLAKE3, 64 B": {
            PACKAGE: Contender(lambda data: blake3(data).digest(), raw_bytes(small)),
            OURS: Contender(small_identity, small),
        },
    }


ROWS = [(case, contender) for case, found in contenders().items() for contender in found]


@functools.cache
def measured(case: str) -> Measured:
    threads = mmhash.get_num_threads()
    try:
        return time_all(contenders()[case])
    finally:
        mmhash.set_num_threads(threads)


def enter(case: str, contender: str, benchmark: BenchmarkFixture) -> None:
    argument = contenders()[case][contender].argument
    nbytes = argument.nbytes
    record(benchmark, case, contenders()[case], contender, lambda: measured(case), PACKAGE, nbytes)


@pytest.mark.parametrize(("case", "contender"), ROWS)
def test_contender(case: str, contender: str, benchmark: BenchmarkFixture) -> None:
    enter(case, contender, benchmark)


def speed(case: str) -> Callable[[], Quartiles]:
    return lambda: measured(case).ratio(PACKAGE, OURS)


def more_nanoseconds(case: str) -> Quartiles:
    """What a call takes more than the package's own, round by round."""
    found = measured(case).rounds
    pairs = zip(found[OURS].seconds, found[PACKAGE].seconds, strict=True)
    return quartiles([1e9 * (ours - package) for ours, package in pairs])


ONE, TWO, SHA256, SMALL = contenders()
GOALS = {
    "blake3": (ONE, Goal(f"{ONE}: speed relative to the package", OURS, speed(ONE), 0.95, "x")),
    "blake3-threads": (
        TWO,
        Goal(f"{TWO}: speed relative to the package", OURS, speed(TWO), 0.95, "x", cpus=THREADS),
    ),
    "sha256": (
        SHA256,
        Goal(f"{SHA256}: speed relative to hashlib", OURS, speed(SHA256), 0.95, "x"),
    ),
    "blake3-small": (
        SMALL,
        Goal(
            f"{SMALL}: time beyond the package's own call",
            OURS,
            functools.partial(more_nanoseconds, SMALL),
            1500,
            "ns",
            at_most=True,
        ),
    ),
}


@pytest.mark.parametrize("name", GOALS)
def test_goal(name: str, benchmark: BenchmarkFixture, pytestconfig: pytest.Config) -> None:
    case, goal = GOALS[name]
    if benchmark.disabled:
        pytest.skip("nothing is timed with --benchmark-disable")
    enter(case, goal.row, benchmark)
    check_goal(goal, benchmark, pytestconfig)
