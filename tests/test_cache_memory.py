"""Addresses that are reused, and memory that stays flat.

`MMHASH_TEST_REUSES` (default a million, half a minute) and `MMHASH_TEST_CYCLES` (default a hundred
thousand) set how often.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
import torch
from cache_operations import LEAST

import mmhash

REUSES = max(20_000, int(os.environ.get("MMHASH_TEST_REUSES", "1000000")))
CYCLES = int(os.environ.get("MMHASH_TEST_CYCLES", "100000"))
FILLS = 64


@pytest.fixture(autouse=True)
def empty_cache(settings_restored: None) -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # filling a small tensor with more waits for them most of the time
    mmhash.cache_resize(4096)
    mmhash.cache_clear()
    yield
    mmhash.cache_clear()
    torch.set_num_threads(threads)


def resident_mib() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss) >> 20


def filled(fill: int) -> torch.Tensor:
    return torch.full((LEAST,), fill, dtype=torch.uint8)


@pytest.fixture(scope="module")
def identities() -> list[bytes]:
    return [mmhash.identity(filled(fill), cache=False) for fill in range(FILLS)]


def test_an_address_that_is_reused_never_hits(identities: list[bytes]) -> None:
    """Equal sizes one after the other, freed at once: torch gives most the address of the last."""
    addresses = set()
    identity = mmhash.identity
    resident = 0
    for i in range(REUSES):
        x = filled(i % FILLS)
        assert identity(x) == identities[i % FILLS], f"a wrong hit in cycle {i}"
        if i % 64 == 0:
            addresses.add(x.data_ptr())
            assert identity(x) == identities[i % FILLS]
        if i == 10_000:
            resident = resident_mib()
        del x
    info = mmhash.cache_info()
    assert (info.misses, info.hits) == (REUSES, (REUSES + 63) // 64)
    assert len(addresses) < REUSES // 64 // 2, "addresses were not reused: nothing was tested"
    assert resident_mib() - resident < 24, "memory of tensors that are gone"


def test_an_array_that_is_reused_never_hits(identities: list[bytes]) -> None:
    """NumPy has its own free lists, of arrays and of memory."""
    right = [mmhash.identity(np.full(LEAST, fill, np.uint8), cache=False) for fill in range(FILLS)]
    objects = set()
    for i in range(CYCLES // 4):
        array = np.full(LEAST, i % FILLS, np.uint8)
        mmhash.freeze(array)
        assert mmhash.identity(array) == right[i % FILLS], f"a wrong hit in cycle {i}"
        objects.add(id(array))
    assert right == identities, "the same values"
    assert len(objects) < CYCLES // 8, "objects were not reused: nothing was tested"


@pytest.mark.parametrize("size", [LEAST, 40 * LEAST])
def test_resident_memory_stays_flat(size: int) -> None:
    """Entries of freed tensors hold none of their memory, nor tear holes into malloc's."""
    count = CYCLES // (size // LEAST)

    def hash_one() -> None:
        mmhash.identity(torch.empty(size, dtype=torch.uint8))

    for _ in range(min(count // 2, 6000)):  # until the cache is full
        hash_one()
    before = resident_mib()
    for _ in range(count):
        hash_one()
    assert resident_mib() - before < 24
    assert mmhash.cache_info().currsize <= 4096


def misses(x: torch.Tensor) -> None:
    x.add_(1)
    mmhash.identity(x)


def evictions(x: torch.Tensor) -> None:
    mmhash.identity(x[1:])
    mmhash.identity(x[2:])


def forgets(x: torch.Tensor) -> None:
    mmhash.identity(x)
    mmhash.forget(x)


def freezes(x: torch.Tensor) -> None:
    with mmhash.freeze(x):
        mmhash.identity(x)


def failures(x: torch.Tensor) -> None:
    try:
        mmhash.freeze([x, 1])
    except TypeError:
        mmhash.forget(x)
    else:
        raise AssertionError("an int was frozen")


LOOPS: dict[str, tuple[Callable[[torch.Tensor], object], int]] = {
    "hits": (mmhash.identity, CYCLES),
    "misses": (misses, CYCLES // 2),
    "evictions": (evictions, CYCLES // 4),
    "forgets": (forgets, CYCLES // 2),
    "freezes": (freezes, CYCLES // 2),
    "failures": (failures, CYCLES // 20),
    "clearings": (lambda x: (mmhash.identity(x), mmhash.cache_clear()), CYCLES // 4),
}


@pytest.mark.parametrize("name", LOOPS)
def test_nothing_leaks(name: str) -> None:
    function, count = LOOPS[name]
    mmhash.cache_resize(1)
    x = torch.zeros(LEAST + 64, dtype=torch.uint8)
    for _ in range(300):
        function(x)
    # Caches of the interpreter and malloc's arenas grow now and then; a leak grows each time.
    rises = [rise(function, x, count // 3) for _ in range(3)]
    assert min(blocks for blocks, _ in rises) < 100 + count // 100
    assert min(kib for _, kib in rises) < 256 + count * 16 // 1024, "16 bytes a call"


def rise(
    function: Callable[[torch.Tensor], object], x: torch.Tensor, count: int
) -> tuple[int, int]:
    """How many memory blocks of Python, and how many KiB, `count` calls add."""
    process = psutil.Process()
    gc.collect()
    blocks, resident = sys.getallocatedblocks(), process.memory_info().rss
    for _ in range(count):
        function(x)
    gc.collect()
    grown = process.memory_info().rss - resident
    return sys.getallocatedblocks() - blocks, grown >> 10
