"""Items whose code is broken into: by exceptions, finalizers and signal handlers, at every line."""

from __future__ import annotations

import copy
import pickle
import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from every_line import every_line, interrupt, run_at_line
from subprocesses import python_output

import mmhash


class Gated:
    """A feature whose hashing waits until it may go on."""

    def __init__(self, value: float = 1.0) -> None:
        self.value = np.full(4, value)
        self.begun, self.gate = threading.Event(), threading.Event()

    def __dlpack__(self, **_: Any) -> Any:
        self.begun.set()
        assert self.gate.wait(60)
        return self.value.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def make_item() -> mmhash.MultimodalDataItem:
    return mmhash.MultimodalDataItem("VIDEO", feature=b"pixels", video_grid_thw=[1, 2, 2])


RIGHT = make_item().hash

ACTIONS: dict[str, Callable[[Any], object]] = {
    "hash": lambda item: item.hash,
    "identity": lambda item: item.identity,
    "resolve": lambda item: item.resolve(),
    "release": lambda item: setattr(item, "feature", None),
    "delete": lambda item: delattr(item, "feature"),
    "another modality": lambda item: setattr(item, "modality", mmhash.Modality.AUDIO),
    "another grid": lambda item: item.set("video_grid_thw", [4, 1, 1]),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
}


def in_another_thread(function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
    thread.start()
    thread.join(30)
    assert found, "it hangs, or raised"
    return found[0]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_exception_at_any_line(action: str) -> None:
    """As Ctrl-C, or an alarm that a server takes for a timeout. Nothing is left behind."""
    items: list[Any] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        item = make_item()
        items.append(item)
        return interrupt, lambda: ACTIONS[action](item)

    for number in every_line(make):
        assert items[-1].hash == RIGHT, f"line {number}"
        assert in_another_thread(lambda: items[-1].hash) == RIGHT, f"line {number}"
        if number % 2:
            items.pop()  # the next stands at its address
        assert make_item().hash == RIGHT


@pytest.mark.parametrize("then", ["exception", "finalizer"])
@pytest.mark.parametrize("here", ["xxh3", "blake3"])
@pytest.mark.parametrize("action", ["hash", "identity", "release", "copy", "deepcopy"])
def test_at_any_line_while_a_hash_that_came_is_settled(action: str, here: str, then: str) -> None:
    """Whether or not it is what this process computes."""
    data = pickle.dumps(make_item())
    mmhash.configure(here)
    right = make_item().hash
    items: list[Any] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        item = pickle.loads(data)
        items.append(item)

        def finalizer() -> None:
            assert item.hash == right
            item.feature = None

        return interrupt if then == "exception" else finalizer, lambda: ACTIONS[action](item)

    for number in every_line(make):
        assert items[-1].hash == right, f"line {number}"
        assert items[-1].identity == make_item().identity, f"line {number}"


def test_an_exception_at_any_line_read_by_another_thread_first() -> None:
    items: list[Any] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        items.append(make_item())
        return interrupt, items[-1].resolve

    for _ in every_line(make):
        assert in_another_thread(lambda: items[-1].hash) == RIGHT


@pytest.mark.parametrize("value", [None, 5])
def test_an_exception_at_any_line_of_an_assignment(value: int | None) -> None:
    items: list[Any] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        item = make_item()
        item.hash = 7
        items.append(item)
        return interrupt, lambda: setattr(item, "hash", value)

    for _ in every_line(make):
        assert items[-1].hash == 7, "the last line is what assigns"


def test_an_exception_at_any_line_of_a_thread_that_waits() -> None:
    for number in range(1, 60):
        item = mmhash.MultimodalDataItem("IMAGE", feature=Gated())
        hashing = threading.Thread(target=item.resolve, daemon=True)
        hashing.start()
        assert item.feature.begun.wait(30)
        others = [threading.Thread(target=item.resolve, daemon=True) for _ in range(2)]
        for other in others:
            other.start()
        threading.Timer(0.02, item.feature.gate.set).start()
        run_at_line(number, interrupt, lambda item=item: item.hash)  # type: ignore[misc]
        item.feature.gate.set()
        for thread in (hashing, *others):
            thread.join(30)
            assert not thread.is_alive(), f"line {number}: a thread waits for ever"
        assert item.hash == mmhash.hash_feature(np.full(4, 1.0))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_finalizer_at_any_line(action: str) -> None:
    """It reads and releases the same item, and another, and makes new ones."""
    items: list[Any] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        item, other = make_item(), make_item()
        items.append(item)

        def finalizer() -> None:
            other.feature = None
            assert (item.hash, other.hash, make_item().hash) == (RIGHT, RIGHT, RIGHT)
            if action != "delete":
                item.feature = None

        return finalizer, lambda: ACTIONS[action](item)

    for _ in every_line(make):
        assert items[-1].hash == RIGHT


def test_finalizers_of_two_threads_that_hash_each_others_items() -> None:
    """Each is asked for by the other's hashing, and neither may wait."""

    class Asking(Gated):
        def __dlpack__(self, **keywords: Any) -> Any:
            if not self.begun.is_set():
                self.begun.set()
                assert others[self].feature.begun.wait(30)
                assert others[self].hash == mmhash.hash_feature(others[self].feature.value)
            return self.value.__dlpack__()

    first, second = (mmhash.MultimodalDataItem("IMAGE", feature=Asking(i)) for i in (1.0, 2.0))
    others = {first.feature: second, second.feature: first}
    threads = [
        threading.Thread(target=lambda item=item: found.append(item.hash), daemon=True)
        for item in (first, second)
    ]
    found: list[int] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "deadlock"
    assert {first.hash, second.hash} == set(found)


def test_forgetting_while_a_thread_hashes() -> None:
    """What was begun before `hash = None` is not what the next read finds."""
    feature = Gated()
    item = mmhash.MultimodalDataItem("IMAGE", feature=feature)
    hashing = threading.Thread(target=item.resolve, daemon=True)
    hashing.start()
    assert feature.begun.wait(30)
    item.hash = None
    item.feature = b"others"
    feature.gate.set()
    hashing.join(30)
    assert item.hash == mmhash.hash_feature(b"others")


FINALIZERS = """
import faulthandler, gc, sys, weakref
import mmhash
faulthandler.dump_traceback_later(60, exit=True)
sys.unraisablehook = lambda error: (sys.__unraisablehook__(error), failures.append(error))
failures = []
executor = mmhash.HashExecutor(2, 8)
profile = mmhash.profile()

class Request:
    def __init__(self, way):
        self.me, self.way = self, way
        self.item = mmhash.MultimodalDataItem("IMAGE", feature=b"pixels")

    def __del__(self):
        if self.way == "del":
            self.item.feature = None

def released(item):
    def callback(_):
        item.feature = None
    return callback

def submit(item):
    try:
        executor.submit(None, item)
    except mmhash.executor.queue.Full:
        pass

gc.set_threshold(3)
references = []
with profile:
    for i in range(4000):
        request = Request(sys.argv[1])
        if request.way == "callback":
            references.append(weakref.ref(request, released(request.item)))
        elif request.way == "executor":
            references.append(weakref.ref(request, lambda _, item=request.item: submit(item)))
        del request
        item = mmhash.MultimodalDataItem("IMAGE", feature=b"pixels")
        assert item.hash == mmhash.hash_feature(b"pixels")
        if sys.argv[1] == "executor":
            submit(item)
        del references[:-50]
executor.shutdown()
assert not failures
assert profile.hashes >= 4000
print("done")
"""


@pytest.mark.parametrize("way", ["del", "callback", "executor"])
def test_requests_in_cycles_whose_finalizers_touch_items(way: str) -> None:
    assert python_output(FINALIZERS, way, timeout=90) == "done"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_signals_that_interrupt_reads() -> None:
    code = """
import faulthandler, itertools, random, signal
import mmhash
faulthandler.dump_traceback_later(100, exit=True)

class Alarm(Exception): pass
def handler(*_):
    raise Alarm
signal.signal(signal.SIGALRM, handler)
right = mmhash.hash_feature(b"pixels")
interrupted = 0
random = random.Random(1)
for i in range(3000):
    item = mmhash.MultimodalDataItem("IMAGE", feature=b"pixels")
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-6, 3e-5))
        for _ in itertools.repeat(None, 8):
            item.hash
            item.hash = None
    except Alarm:
        interrupted += 1
    finally:
        while True:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                break
            except Alarm:
                pass
    assert item.hash == right, i
    assert mmhash.MultimodalDataItem("IMAGE", feature=b"pixels").hash == right
print(interrupted > 100)
"""
    assert python_output(code) == "True"
