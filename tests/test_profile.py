"""profile(): what it counts, where, and what it advises."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from every_line import every_line, interrupt

import mmhash
from mmhash import profiling


def inputs(*features: Any) -> mmhash.MultimodalInputs:
    items = [{"modality": "IMAGE", "feature": feature} for feature in features]
    return mmhash.MultimodalInputs.from_dict({"mm_items": items})


def test_what_it_counts() -> None:
    array, nested = np.zeros(1000), [b"abc", {"a": bytearray(5)}, np.zeros(2)]
    with mmhash.profile() as found:
        inputs(array, nested).resolve()
        carried = inputs(b"x")
        carried.mm_items[0].hash = 5
        carried.resolve()
    assert (found.requests, found.items, found.hashes) == (2, 3, 2)
    assert found.bytes == array.nbytes + 3 + 5 + 16
    assert found.construction_s > 0
    assert found.hashing_s > 0
    before = str(found)
    inputs(array).resolve()
    assert str(found) == before, "it counted after its block"
    assert "2 requests, 3 items" in before
    assert "2 hashes of 8,024 bytes" in before
    assert found.advice() in before


def test_cache_hits() -> None:
    mmhash.cache_resize(4096)
    x = torch.zeros(1 << 16)
    mmhash.identity(x)
    with mmhash.profile() as found:
        inputs(x, x).resolve()
    assert (found.hashes, found.cache_hits) == (2, 2)


def test_other_threads_and_workers() -> None:
    with mmhash.profile() as found, mmhash.HashExecutor() as executor:
        executor.submit(1, inputs(b"a")).result()
        thread = threading.Thread(target=lambda: inputs(b"b").resolve())
        thread.start()
        thread.join()
    assert (found.requests, found.hashes) == (1, 1), "of the worker and not of the thread"


def test_profiles_nest() -> None:
    with mmhash.profile() as outer:
        inputs(b"a").resolve()
        with mmhash.profile() as inner, inner:
            inputs(b"b").resolve()
    assert (outer.hashes, outer.requests) == (2, 2)
    assert (inner.hashes, inner.requests) == (2, 2), "it was entered twice"


def test_as_a_decorator() -> None:
    found = mmhash.profile()

    @found
    def build(feature: bytes) -> int:
        """Its docstring."""
        return inputs(feature).resolve()[0]

    @found
    async def build_async(feature: bytes) -> int:
        await asyncio.sleep(0.001)
        return inputs(feature).resolve()[0]

    async def main() -> None:
        await asyncio.gather(*(build_async(b"x") for _ in range(5)))

    assert build(b"pixels") == mmhash.hash_feature(b"pixels")
    assert (build.__name__, build.__doc__) == ("build", "Its docstring.")
    threads = [threading.Thread(target=build, args=(b"x",)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(main())
    inputs(b"y").resolve()
    assert (found.requests, found.hashes) == (11, 11)


def test_failures_are_counted_and_pass_through() -> None:
    with mmhash.profile() as found, pytest.raises(TypeError, match="no identity"):
        inputs({1}).resolve()
    assert found.hashes == 1
    assert not profiling.is_active()


@pytest.mark.parametrize(
    ("seconds", "requests", "advice"),
    [
        (0.0, 0, "under 10 ms of hashing a request: redundant work on every rank is fine, never"),
        (0.0099, 1, "under 10 ms"),
        (0.15, 10, "10 to 20 ms"),
        (0.0201, 1, "over 20 ms of hashing a request: resolve before sending"),
    ],
)
def test_advice(seconds: float, requests: int, advice: str) -> None:
    found = mmhash.profile()
    found.hashing_s, found.requests = seconds, requests
    assert found.advice().startswith(advice)


def test_slow_hashing_is_seen() -> None:
    class Slow:
        def __dlpack__(self, **_: Any) -> Any:
            time.sleep(0.03)
            return np.zeros(3).__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    with mmhash.profile() as found:
        inputs(Slow()).resolve()
    assert found.hashing_s >= 0.03
    assert found.construction_s < found.hashing_s
    assert found.advice().startswith("over 20 ms")


def test_one_profile_in_two_threads() -> None:
    found = mmhash.profile()
    entered = threading.Barrier(2)
    errors: list[BaseException] = []

    def count() -> None:
        try:
            with found:
                entered.wait(30)
                inputs(b"a").resolve()
                entered.wait(30)
            inputs(b"b").resolve()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert (found.requests, found.hashes) == (2, 2)


def test_one_profile_in_tasks_that_overlap() -> None:
    found = mmhash.profile()

    async def count() -> None:
        with found:
            await asyncio.sleep(0)
            inputs(b"a").resolve()
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(count() for _ in range(5)))

    asyncio.run(main())
    assert found.hashes == 5
    assert not profiling.is_active()


def test_blocks_that_end_in_another_order() -> None:
    first, second = mmhash.profile(), mmhash.profile()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    inputs(b"a").resolve()
    second.__exit__()
    assert (first.hashes, second.hashes) == (0, 1)
    with pytest.raises(RuntimeError, match="left in the thread or asyncio task that entered it"):
        first.__exit__()


def test_counts_of_many_threads_add_up() -> None:
    found = mmhash.profile()
    threads = [
        threading.Thread(target=lambda: [found._add(hashes=1, bytes=3) for _ in range(5000)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (found.hashes, found.bytes) == (20_000, 60_000)
    assert len(found._counted) < 1000, "it grows without end"


def test_a_finalizer_or_an_exception_at_any_line() -> None:
    profiles: list[mmhash.profile] = []

    def make(then: Any) -> Any:
        found = mmhash.profile()
        profiles.append(found)

        def count() -> None:
            with found:
                for _ in range(profiling.SUM_UP_AT + 2):
                    found._add(hashes=1)

        return (lambda: then(found)), count

    for then in (lambda found: found._add(hashes=1), lambda found: interrupt()):
        limited = itertools.islice(every_line(lambda then=then: make(then)), 250)
        for _ in limited:
            before = profiles[-1].hashes
            profiles[-1]._add(hashes=1)
            assert profiles[-1].hashes == before + 1
