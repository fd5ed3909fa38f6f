"""LazyHash in several threads and processes."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from subprocesses import python_output

import mmhash
from mmhash import _single_flight


class Plain(mmhash.LazyHash):
    def __init__(self, feature: Any = None, precomputed_embeddings: Any = None) -> None:
        self.feature, self.precomputed_embeddings = feature, precomputed_embeddings


class Gated:
    """A feature that counts how often it is hashed, which goes on once the test lets it."""

    def __init__(self) -> None:
        self.hashed = 0
        self.value = np.full(4, 1.0)
        self.begun, self.gate = threading.Event(), threading.Event()

    def __dlpack__(self, **_: Any) -> Any:
        self.hashed += 1
        self.begun.set()
        assert self.gate.wait(60)
        return self.value.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def start(function: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "deadlock"


class WaitingForFlight:
    """Tells when so many threads have come to wait for the one that hashes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        waiting: set[int] = set()
        self.all = threading.Event()
        original = _single_flight.Flight.wait

        def wait(flight: Any) -> None:
            waiting.add(threading.get_ident())
            if len(waiting) == count:
                self.all.set()
            original(flight)

        monkeypatch.setattr(_single_flight.Flight, "wait", wait)


def test_threads_hash_once(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = WaitingForFlight(monkeypatch, 7)
    item = Plain(Gated())
    found: list[int] = []
    threads = [start(lambda: found.append(item.hash)) for _ in range(8)]
    assert waiting.all.wait(30)
    item.feature.gate.set()
    join(threads)
    assert found == [mmhash.hash_feature(item.feature.value)] * 8
    assert item.feature.hashed == 1


def test_a_thread_that_releases_the_feature_waits_for_the_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = WaitingForFlight(monkeypatch, 1)
    feature = Gated()
    item = Plain(feature)
    hashing = start(item.resolve)
    assert feature.begun.wait(30)
    releasing = start(lambda: setattr(item, "feature", None))
    assert waiting.all.wait(30)
    assert item.feature is feature
    feature.gate.set()
    join([hashing, releasing])
    assert (item.feature, item.hash) == (None, mmhash.hash_feature(feature.value))
    assert feature.hashed == 1


def test_a_hash_assigned_meanwhile_stays() -> None:
    item = Plain(Gated())
    found: list[int] = []
    hashing = start(lambda: found.append(item.hash))
    assert item.feature.begun.wait(30)
    item.hash = 5
    item.feature.gate.set()
    join([hashing])
    assert (item.hash, found) == (5, [5])


def test_each_thread_gets_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Gated):
        def __dlpack__(self, **keywords: Any) -> Any:
            super().__dlpack__(**keywords)
            raise TypeError("broken")

    waiting = WaitingForFlight(monkeypatch, 3)
    item = Plain(Broken())
    found: list[Exception] = []

    def read() -> None:
        try:
            _ = item.hash
        except Exception as error:
            found.append(error)

    threads = [start(read) for _ in range(4)]
    assert waiting.all.wait(30)
    item.feature.gate.set()
    join(threads)
    assert [str(error) for error in found] == ["broken"] * 4


@pytest.mark.parametrize(("here", "how"), [("blake3", "used"), ("sha256", "recomputed")])
def test_threads_settle_a_hash_that_came_once(here: str, how: str) -> None:
    mmhash.configure("blake3")
    data = pickle.dumps(Plain(b"pixels"))
    mmhash.configure(here)
    right = mmhash.hash_feature(b"pixels")
    before: Any = mmhash.info()["carried"]
    items = [pickle.loads(data) for _ in range(200)]
    barrier = threading.Barrier(8)
    found: list[int] = []

    def read() -> None:
        for item in items:
            barrier.wait(30)
            if len(found) % 3 == 0:
                item.feature = None
            found.append(item.hash)

    join([start(read) for _ in range(8)])
    assert found == [right] * (8 * len(items))
    after: Any = mmhash.info()["carried"]
    assert {name: after[name] - before[name] for name in after} == {
        name: len(items) if name == how else 0 for name in after
    }


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_a_thread_hashes() -> None:
    code = """
import os, signal, threading, warnings
import mmhash
warnings.simplefilter("ignore", DeprecationWarning)

begun, gate = threading.Event(), threading.Event()

class Feature:
    def __dlpack__(self, **_):
        begun.set()
        assert gate.wait(60)
        raise TypeError("no")
    def __dlpack_device__(self):
        return (1, 0)

class Item(mmhash.LazyHash):
    precomputed_embeddings = None
    def __init__(self, feature):
        self.feature = feature

item = Item(Feature())
thread = threading.Thread(target=lambda: print(type(raised(item)).__name__))
def raised(item):
    try:
        item.hash
    except Exception as error:
        return error
thread.start()
assert begun.wait(30)
child = os.fork()
if child == 0:
    signal.alarm(20)
    gate.set()
    os._exit(0 if isinstance(raised(item), TypeError) else 1)
print(os.waitpid(child, 0)[1])
gate.set()
thread.join()
"""
    assert sorted(python_output(code).split()) == ["0", "TypeError"]


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_between_processes(method: str) -> None:
    """The receiver computes nothing: it has no feature that could be hashed."""
    code = """
import multiprocessing, sys
from test_lazy_threads import Plain, receive
import mmhash, numpy as np

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    item = Plain(np.arange(5000.0))
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=receive, args=(there, back))
    process.start()
    there.put(item)
    found = back.get(timeout=60)
    process.join()
    assert found[:2] == (True, item.hash), found
    assert found[2].identity == mmhash.identity(np.arange(5000.0))
    print("right")
"""
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    assert python_output(code, method) == "right"


def receive(there: Any, back: Any) -> None:
    item = there.get(timeout=60)
    back.put((item.is_resolved, item.hash, item))
