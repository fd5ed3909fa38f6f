"""Code that runs in the middle of a lookup: modes, subclasses, threads. No wrong hit, no hang."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cache_counts import BYPASS, HIT, MISS, hashing, tensor
from cache_operations import LEAST
from subprocesses import run_python
from torch.overrides import TorchFunctionMode

import mmhash


@pytest.fixture(autouse=True)
def empty_cache(settings_restored: None) -> Iterator[None]:
    mmhash.cache_resize(4096)
    mmhash.cache_clear()
    yield
    mmhash.cache_clear()


class Mode(TorchFunctionMode):
    """Calls `handle(name, call)` in place of each of torch's functions."""

    def __init__(self, handle: Callable[[str, Callable[[], Any]], Any]) -> None:
        super().__init__()
        self.handle = handle

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name == "__get__":  # of an attribute
            name = getattr(function.__self__, "__name__", "")
        return self.handle(name, lambda: function(*args, **(kwargs or {})))


def test_a_mode_that_clones() -> None:
    """Whoever asks for detach() gets a copy, with a counter of its own."""

    def cloning() -> Mode:
        return Mode(lambda name, call: call().clone() if name == "detach" else call())

    x = tensor()
    with cloning():
        assert hashing(x) == BYPASS
    mmhash.identity(x)
    with cloning():
        assert hashing(x) == HIT
        x.add_(1)
        assert hashing(x) == {"bypasses": 1, "invalidations": 1, "currsize": -1}


def test_a_mode_that_sets_nothing_keeps_nothing_alive() -> None:
    x = tensor()
    with Mode(lambda name, call: None if name == "__set__" else call()):
        mmhash.identity(x)
    storage = weakref.ref(x.untyped_storage())
    del x
    gc.collect()
    assert storage() is None


@pytest.mark.parametrize("name", ["_version", "is_pinned", "detach", "untyped_storage"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_is_raised_meanwhile_is_raised(name: str, error: type[BaseException]) -> None:
    x = tensor()

    def handle(asked: str, call: Callable[[], Any]) -> Any:
        if asked == name:
            raise error
        return call()

    with pytest.raises(error), Mode(handle):
        mmhash.identity(x)
    assert mmhash.cache_info().currsize == 0
    assert [hashing(x), hashing(x)] == [MISS, HIT]


def test_forget_does_not_pass_over_an_interrupt() -> None:
    x = tensor()

    def handle(name: str, call: Callable[[], Any]) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Mode(handle):
        mmhash.forget(x)


def test_a_mode_that_comes_back_for_the_same_memory() -> None:
    """It would wait for itself."""
    x = torch.zeros(2 << 20)
    right = mmhash.identity(x)
    found: list[bytes] = []

    def handle(name: str, call: Callable[[], Any]) -> Any:
        if len(found) < 8:
            found.append(b"")
            mmhash.forget(x)
            found[-1] = mmhash.identity(x)
        return call()

    with Mode(handle):
        assert mmhash.identity(x) == right
    assert found
    assert {*found} <= {right, b""}


def test_a_frozen_tensor_that_changes_its_storage() -> None:
    """The promise that ends with the block is the one that was made."""
    array = np.zeros(LEAST, np.uint8)
    y = torch.from_numpy(array)
    x = y.view(-1)
    with mmhash.freeze(x):
        mmhash.identity(y)
        x.data = torch.zeros(LEAST, dtype=torch.uint8)
    assert hashing(y) == BYPASS
    array[:] = 1
    assert hashing(y) == BYPASS


class Lying(np.ndarray[Any, Any]):
    """Its attributes are its own."""

    @property
    def base(self) -> Any:
        fresh = np.zeros(3)
        fresh.setflags(write=False)
        return fresh

    @property
    def flags(self) -> Any:
        raise AssertionError("asked")


class Circular(np.ndarray[Any, Any]):
    @property
    def base(self) -> Any:
        return self


@pytest.mark.parametrize("kind", [Lying, Circular])
def test_arrays_are_asked_for_what_numpy_knows(kind: type[np.ndarray[Any, Any]]) -> None:
    array = np.zeros(LEAST, np.uint8)
    value = array.view(kind)
    for _ in range(3):
        assert hashing(value) == BYPASS
    with mmhash.freeze(value):
        assert [hashing(value), hashing(array.view(kind))] == [MISS, HIT]


def test_a_thread_that_replaces_the_storage() -> None:
    """No error that there would not be without the cache, and no wrong identity."""
    contents = [torch.full((LEAST * (1 + i),), i, dtype=torch.uint8) for i in range(4)]
    right = {mmhash.identity(content, cache=False) for content in contents}
    # A write between two hashes of one content leaves it as it is.
    x = contents[0].clone()
    stop = threading.Event()

    def replace() -> None:
        for i in range(2000):
            x.data = contents[i % 4]
            if i % 3 == 0:
                x.add_(0)
        stop.set()

    thread = threading.Thread(target=replace)
    thread.start()
    while not stop.is_set():
        assert mmhash.identity(x) in right
    thread.join()


ENDING = """
import sys, threading, time
import mmhash
{make}
mmhash.set_num_threads(1)

class Last:
    def __init__(self):
        self.x, self.identity = x, mmhash.identity
    def __del__(self):
        self.identity(self.x)

def run():
    while True:
        mmhash.forget(x)
        {freeze}
        mmhash.identity(x)

sys.keep = Last()
threading.Thread(target=run, daemon=True).start()
while mmhash.cache_info().misses < 3:
    time.sleep(0.001)
print("ending")
"""

CACHED = {
    "array": {"make": "import numpy; x = numpy.zeros(64 << 20)", "freeze": "mmhash.freeze(x)"},
    "tensor": {"make": "import torch; x = torch.zeros(64 << 20)", "freeze": ""},
}


@pytest.mark.parametrize("kind", CACHED)
def test_the_interpreter_ends_while_a_thread_hashes(kind: str) -> None:
    """A daemon thread that CPython stops for good is no reason to wait for it, or to crash."""
    for _ in range(3):
        done = run_python(ENDING.format(**CACHED[kind]), MMHASH_CACHE_SIZE="4096")
        assert (done.returncode, done.stdout, done.stderr) == (0, "ending\n", "")
