"""The cache as its users see it: counts, size, order, errors."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cache_counts import BYPASS, HIT, MISS, NOTHING, REPLACED, changes, hashing, tensor
from cache_operations import LEAST
from subprocesses import python_output, run_python

import mmhash
from mmhash import _core


@pytest.fixture(autouse=True)
def empty_cache(settings_restored: None) -> Iterator[None]:
    mmhash.cache_resize(4096)
    mmhash.cache_clear()
    yield
    mmhash.cache_clear()


def test_a_second_call_hits() -> None:
    x = tensor()
    assert [hashing(x), hashing(x), hashing(x)] == [MISS, HIT, HIT]
    assert changes(lambda: mmhash.hash_feature(x)) == HIT, "hash_feature has the same entries"
    assert mmhash.hash_feature(x) == int.from_bytes(mmhash.identity(x)[:8], "big")


def test_the_counts_are_those_of_cache_info() -> None:
    x = tensor()
    mmhash.identity(x)
    mmhash.identity(x)
    x.add_(1)
    mmhash.identity(x)
    mmhash.identity(np.zeros(LEAST))
    assert mmhash.cache_info() == mmhash.CacheInfo(
        hits=1, misses=2, bypasses=1, evictions=0, invalidations=1, maxsize=4096, currsize=1
    )


def test_values_in_a_list_are_cached_one_by_one() -> None:
    x, y = tensor(1), tensor(2)
    value = {"images": [x, y, x], "n": 1}
    right = mmhash.identity(value, cache=False)
    assert changes(lambda: mmhash.identity(value)) == {"misses": 2, "hits": 1, "currsize": 2}
    assert changes(lambda: mmhash.identity([y])) == HIT
    assert mmhash.identity(value) == right


def test_small_values_do_not_ask_the_cache() -> None:
    x = tensor()
    assert mmhash.info()["cache_min_bytes"] == x.nbytes
    assert hashing(x[1:]) == NOTHING
    assert hashing(x) == MISS


def test_without_cache_nothing_is_read_or_written() -> None:
    x = tensor()
    assert changes(lambda: mmhash.identity(x, cache=False)) == NOTHING
    assert changes(lambda: mmhash.hash_feature([x], cache=False)) == NOTHING
    old = mmhash.identity(x)
    x.untyped_storage().fill_(7)
    assert mmhash.identity(x) == old, "the cache knows nothing of it"
    assert mmhash.identity(x, cache=False) != old
    assert mmhash.identity(x) == old, "cache=False wrote"


def test_forget() -> None:
    x, other = tensor(1), tensor(2)
    mmhash.identity([x, x.view(2, -1), other])
    x.untyped_storage().fill_(7)
    assert changes(lambda: mmhash.forget(x[5:])) == {"invalidations": 2, "currsize": -2}
    assert hashing(x) == MISS
    assert hashing(other) == HIT
    assert changes(lambda: mmhash.forget({"images": [(other, 1)]}))["invalidations"] == 1
    assert hashing(other) == MISS


def test_forget_takes_what_has_no_entries() -> None:
    cyclic: list[Any] = ["text"]
    cyclic.append(cyclic)
    assert changes(lambda: mmhash.forget([None, 1, b"bytes", object(), cyclic])) == NOTHING


def test_the_least_recently_used_goes_first() -> None:
    mmhash.cache_resize(3)
    a, b, c, d = (tensor(seed) for seed in range(4))
    mmhash.identity([a, b, c])
    assert hashing(a) == HIT  # so b is the oldest now
    assert hashing(d) == {"misses": 1, "evictions": 1}
    assert [hashing(x) for x in (a, c, d)] == [HIT, HIT, HIT]
    assert hashing(b) == {"misses": 1, "evictions": 1}
    assert hashing(a) == {"misses": 1, "evictions": 1}, "a was the oldest when b came"


def test_resizing_evicts() -> None:
    values = [tensor(seed) for seed in range(5)]
    mmhash.identity(values)
    assert changes(lambda: mmhash.cache_resize(2)) == {
        "evictions": 3,
        "maxsize": 2 - 4096,
        "currsize": -3,
    }
    assert [hashing(x) for x in values[3:]] == [HIT, HIT]


def test_a_cache_of_no_entries_is_off() -> None:
    x = tensor()
    mmhash.identity(x)
    mmhash.cache_resize(0)
    assert hashing(x) == NOTHING
    assert mmhash.cache_info().currsize == 0
    mmhash.cache_resize(1)
    assert hashing(x) == MISS


def test_clearing() -> None:
    x = tensor()
    mmhash.identity([x, x])
    mmhash.cache_clear()
    assert mmhash.cache_info() == (0, 0, 0, 0, 0, 4096, 0)
    assert hashing(x) == MISS


def test_clearing_leaves_frozen_what_is_frozen() -> None:
    array = np.zeros(LEAST, np.uint8)
    with mmhash.freeze(array):
        mmhash.identity(array)
        mmhash.cache_clear()
        assert [hashing(array), hashing(array)] == [MISS, HIT]


@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (-1, ValueError, r"^cache_resize\(\) expected a number of entries from 0, found -1$"),
        (
            1.0,
            TypeError,
            r"^cache_resize\(\) expected the number of entries as an int, found a float$",
        ),
        (2**70, ValueError, r"a number of entries from 0, found a larger number$"),
        (True, TypeError, r"as an int, found a bool$"),
        (None, TypeError, r"as an int, found a NoneType$"),
    ],
)
def test_bad_sizes(size: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mmhash.cache_resize(size)
    assert mmhash.cache_info().maxsize == 4096


@pytest.mark.parametrize("function", [mmhash.identity, mmhash.hash_feature])
def test_the_keyword(function: Callable[..., object]) -> None:
    name = function.__name__
    assert str(inspect.signature(function)).endswith("/, *, cache=True, algorithm=None, key=None)")
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'cached'"):
        function(b"", cached=False)
    with pytest.raises(TypeError, match=r"takes exactly one positional argument \(2 given\)"):
        function(b"", False)


SIZE = "import mmhash; print(mmhash.cache_info().maxsize)"


@pytest.mark.parametrize(("text", "size"), [("", 4096), ("0", 0), ("17", 17)])
def test_the_environment_sets_the_size(text: str, size: int) -> None:
    assert python_output(SIZE, MMHASH_CACHE_SIZE=text) == str(size)


@pytest.mark.parametrize("text", ["-1", "many", "1.5", str(2**70)])
def test_a_bad_size_in_the_environment(text: str) -> None:
    ended = run_python(SIZE, MMHASH_CACHE_SIZE=text)
    expected = "ValueError: environment variable MMHASH_CACHE_SIZE: expected a number of entries"
    assert ended.returncode == 1
    assert f"{expected} from 0, found {text!r}" in ended.stderr


def test_exceptions_are_not_cached() -> None:
    x = tensor(size=2 * LEAST)
    right = mmhash.identity(x)
    mmhash.forget(x)
    storage, bytes_ = x.untyped_storage(), x.untyped_storage().tolist()
    storage.resize_(LEAST)
    for _ in range(2):
        with pytest.raises(TypeError, match="reaches beyond its storage of 131072 bytes"):
            mmhash.identity(x)
    assert mmhash.cache_info().currsize == 0
    storage.resize_(2 * LEAST)
    storage.copy_(torch.UntypedStorage(bytes_))
    assert mmhash.identity(x) == right


LARGE = 64 << 20


def run_all(function: Callable[[], object], count: int) -> list[Any]:
    found: list[Any] = []
    start = threading.Barrier(count)

    def run() -> None:
        start.wait()
        try:
            found.append(function())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "deadlock"
    return found


def test_threads_hash_once() -> None:
    x = torch.full((LARGE,), 3, dtype=torch.uint8)
    right = mmhash.identity(x, cache=False)
    assert run_all(lambda: mmhash.identity(x), 4) == [right] * 4
    info = mmhash.cache_info()
    assert (info.hits, info.misses) == (3, 1)


def test_a_failure_in_one_thread_is_no_failure_of_the_next() -> None:
    x = torch.full((LARGE,), 3, dtype=torch.uint8)
    storage = x.untyped_storage()
    storage.resize_(LARGE // 2)
    found = run_all(lambda: mmhash.identity(x), 4)
    assert [("reaches beyond its storage" in str(error)) for error in found] == [True] * 4
    storage.resize_(LARGE)
    assert hashing(x) == MISS


def test_what_was_forgotten_while_it_was_hashed_does_not_come_back() -> None:
    """The entry would be of what another thread wrote over before it called forget()."""
    array = np.zeros(4 * LARGE, np.uint8)
    x = torch.from_numpy(array)
    mmhash.freeze(x)
    mmhash.set_num_threads(1)
    hashing_it = threading.Thread(target=lambda: mmhash.identity(x))
    hashing_it.start()
    while mmhash.cache_info().misses == 0 and hashing_it.is_alive():
        time.sleep(0.001)
    assert hashing_it.is_alive(), "too fast for this test: make the tensor larger"
    mmhash.forget(x)
    array[:] = 1
    hashing_it.join()
    mmhash.freeze(x)
    assert hashing(x) == MISS
    mmhash.forget(x)


@pytest.mark.parametrize("way", ["auto", "attributes"])
def test_each_intake_shares_the_entries(way: str) -> None:
    x = tensor()
    mmhash.identity(x)
    _core.set_tensor_intake(way)
    assert hashing(x) == HIT
    assert hashing(x.view(2, -1).T) == MISS
    x.add_(1)
    assert hashing(x) == REPLACED


def test_what_dlpack_hands_out_is_not_cached() -> None:
    """A capsule is another each time."""
    x = tensor()
    mmhash.identity(x)
    _core.set_tensor_intake("dlpack")
    assert hashing(x) == BYPASS
    x.add_(1)
    assert hashing(x) == BYPASS
