"""HashExecutor in forked children, closed loops, without threads, and broken into at every line."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import pytest
from every_line import every_line, interrupt
from subprocesses import python_output

import mmhash
from mmhash import HashExecutor


class Item:
    """Whose hash takes as long as the test wants."""

    def __init__(self, number: int = 0, gate: threading.Event | None = None) -> None:
        self.number, self.gate = number, gate
        self.begun = threading.Event()

    def resolve(self) -> int:
        self.begun.set()
        assert self.gate is None or self.gate.wait(60)
        return self.number


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

IN_A_CHILD = """
import asyncio, os, signal, threading, warnings
import mmhash
warnings.simplefilter("ignore", DeprecationWarning)

class Gated:
    gate, begun = threading.Event(), threading.Event()
    def resolve(self):
        self.begun.set()
        assert self.gate.wait(60)
        return 5

item = mmhash.MultimodalDataItem("IMAGE", feature=b"x")
executor = mmhash.HashExecutor(1, 2)
executor.submit("done", item).result()
pending = executor.submit("pending", Gated())
assert Gated.begun.wait(30)

def refused(call):
    try:
        call()
    except RuntimeError as error:
        return "made before the process forked" in str(error)

with executor:
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        calls = [
            lambda: executor.submit(2, item),
            lambda: asyncio.run(executor.hash(item)),
            lambda: executor.get_result("pending"),
            lambda: executor.get_result("done"),
            lambda: executor.get_result("no such"),
            lambda: executor.shutdown(),
            lambda: executor.shutdown(wait=False, cancel_futures=True),
        ]
        found = [refused(call) for call in calls]
        with mmhash.HashExecutor() as own:
            found.append(own.submit(2, item).result() == [item.hash])
    else:
        Gated.gate.set()
if child == 0:
    print(found)  # it left the block without an error
    os._exit(0 if all(found) else 1)
assert os.waitpid(child, 0)[1] == 0
assert executor.get_result("pending") == [5]
print("right")
"""


@needs_fork
def test_a_forked_child_must_make_its_own() -> None:
    assert python_output(IN_A_CHILD).splitlines()[-1] == "right"


@needs_fork
def test_a_fork_at_any_line() -> None:
    """Also while a thread is in the middle of something, which a lock would have been held for."""
    code = """
import os, signal, sys, warnings
from every_line import run_at_line
import mmhash
warnings.simplefilter("ignore", DeprecationWarning)
item = mmhash.MultimodalDataItem("IMAGE", feature=b"x")

def fork(executor):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        return
    sys.settrace(None)
    signal.alarm(20)
    for call in (executor.shutdown, lambda: executor.get_result(1)):
        try:
            call()
        except RuntimeError:
            continue
        os._exit(1)
    os._exit(0 if item.hash == mmhash.hash_feature(b"x") else 2)

number = 0
with mmhash.HashExecutor(1) as executor:
    while number < 200:
        number += 3
        if not run_at_line(number, lambda: fork(executor), lambda: executor.submit(number, item)):
            break
print(number > 20)
"""
    assert python_output(code) == "True"


def test_a_loop_that_is_closed_while_its_task_waits_for_a_place() -> None:
    gate = threading.Event()
    executor = HashExecutor(1, max_pending=1, when_full="wait")
    first = executor.submit("a", Item(1, gate))
    loop = asyncio.new_event_loop()
    task = loop.create_task(executor.hash(Item(2)))
    while not executor._waiting:
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    gate.set()
    assert first.result(30) == [1]
    assert executor.submit("b", Item(3)).result(30) == [3], "the place was lost"
    assert not task.done()  # nothing will ever resume it
    executor.shutdown()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_loop_that_is_closed_before_its_task_takes_up_the_place() -> None:
    gate = threading.Event()
    executor = HashExecutor(1, max_pending=1, when_full="wait")
    first = executor.submit("a", Item(1, gate))
    loop = asyncio.new_event_loop()
    task = loop.create_task(executor.hash(Item(2)))
    while not executor._waiting:
        loop.run_until_complete(asyncio.sleep(0))
    gate.set()
    assert first.result(30) == [1]
    assert not executor._waiting, "it was given the place"
    found: list[Any] = []
    other = threading.Thread(target=lambda: found.append(executor.submit("b", Item(3)).result(30)))
    other.start()
    while not executor._waiting:
        pass
    loop.close()
    other.join(30)
    assert found == [[3]], "the place was lost"
    executor.shutdown()
    task._log_destroy_pending = False  # type: ignore[attr-defined]


class NoThreads:
    """threading.Thread, where the system has no more: as RLIMIT_NPROC does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.none_left = True
        original = threading.Thread.start

        def start(thread: threading.Thread) -> None:
            if self.none_left and thread.name == "mmhash":
                raise RuntimeError("can't start new thread")
            original(thread)

        monkeypatch.setattr(threading.Thread, "start", start)


def test_a_thread_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = NoThreads(monkeypatch)
    gate = threading.Event()
    executor = HashExecutor(2, max_pending=2)
    for _ in range(5):
        with pytest.raises(RuntimeError, match="can't start new thread"):
            executor.submit("a", Item(1))
        with pytest.raises(RuntimeError, match="can't start new thread"):
            asyncio.run(executor.hash(Item(1)))
    with pytest.raises(KeyError):
        executor.get_result("a")
    threads.none_left = False
    running = Item(1, gate)
    first = executor.submit("a", running)
    assert running.begun.wait(30)
    threads.none_left = True
    second = executor.submit("b", Item(2))  # for the thread that there is
    with pytest.raises(queue.Full):
        executor.submit("c", Item(3))
    gate.set()
    assert (first.result(30), second.result(30)) == ([1], [2])
    assert not executor._live
    executor.shutdown()


def test_nothing_is_left_in_the_queue_where_several_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever fails last tells those who relied on it."""
    executor = HashExecutor(2, max_pending=8)
    relying: list[Any] = []

    def start(thread: threading.Thread) -> None:
        if not relying:
            relying.append(None)  # another comes while this one holds a slot
            relying.append(executor.submit("b", Item(2)))
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        executor.submit("a", Item(1))
    with pytest.raises(RuntimeError, match="can't start new thread"):
        relying[1].result(30)
    assert not executor._live


ACTIONS: dict[str, Callable[[HashExecutor], object]] = {
    "submit": lambda executor: executor.submit("a", Item(1)),
    "hash": lambda executor: asyncio.run(executor.hash(Item(1))),
    "get_result": lambda executor: executor.get_result("old"),
    "cancel": lambda executor: executor.submit("a", Item(1)).cancel(),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_an_exception_at_any_line(action: str) -> None:
    """No place and no id is lost."""
    executors: list[HashExecutor] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        executor = HashExecutor(1, max_pending=1, when_full="wait")
        executor.submit("old", Item(5)).result(30)
        executors.append(executor)
        return interrupt, lambda: ACTIONS[action](executor)

    for number in every_line(make):
        executor = executors.pop()
        found: list[Any] = []

        def use(executor: HashExecutor = executor, found: list[Any] = found) -> None:
            found.append(executor.submit("b", Item(2)).result(30))
            try:
                found.append(executor.submit("a", Item(3)).result(30))
            except ValueError:  # it was submitted before the exception came
                found.append(executor.get_result("a", 30))

        thread = threading.Thread(target=use, daemon=True)
        thread.start()
        thread.join(30)
        assert found[:1] == [[2]], f"line {number}: the place was lost"
        assert found[1:] in ([[3]], [[1]]), f"line {number}: the id was lost"
        executor.shutdown()
        assert not executor._live, f"line {number}"
        assert len(executor._places) == 1, f"line {number}"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_finalizer_or_signal_handler_at_any_line(action: str) -> None:
    executors: list[HashExecutor] = []

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        executor = HashExecutor(1, max_pending=8)
        executor.submit("old", Item(5)).result(30)
        executors.append(executor)

        def finalizer() -> None:
            assert executor.submit("finalizer", Item(7)).result(30) == [7]
            assert executor.get_result("finalizer") == [7]
            executor.submit(None, Item(8)).cancel()

        return finalizer, lambda: ACTIONS[action](executor)

    for number in every_line(make):
        executor = executors.pop()
        executor.shutdown()
        assert len(executor._places) <= 8
        assert not executor._live, f"line {number}"


def test_a_signal_handler_that_shuts_down_at_any_line() -> None:
    """As a server's does on SIGTERM: whatever it interrupts ends."""

    def make() -> tuple[Callable[[], object], Callable[[], object]]:
        executor = HashExecutor(1)

        def submit() -> None:
            try:
                executor.submit("a", Item(1)).result(30)
            except (RuntimeError, CancelledError) as error:
                assert isinstance(error, CancelledError) or "was shut down" in str(error)  # noqa: PT017

        return executor.shutdown, submit

    for _ in every_line(make):
        pass


def test_a_worker_cannot_wait_for_itself() -> None:
    class Ending(Item):
        def resolve(self) -> int:
            executor.shutdown()
            return 0

    executor = HashExecutor(1)
    with pytest.raises(RuntimeError, match="expected another thread than a worker of its own"):
        executor.submit("a", Ending()).result(30)
    executor.shutdown()


def test_images_are_read_before_submit_returns() -> None:
    image_module = pytest.importorskip("PIL.Image")
    import io

    file = io.BytesIO()
    image_module.new("RGB", (40, 30), (1, 2, 3)).save(file, "PNG")
    right = mmhash.hash_feature(image_module.new("RGB", (40, 30), (1, 2, 3)))
    gate = threading.Event()
    with HashExecutor(1) as executor:
        executor.submit("first", Item(1, gate))
        image = image_module.open(io.BytesIO(file.getvalue()))
        item = mmhash.MultimodalDataItem("IMAGE", feature=[{"image": image}])
        future = executor.submit("a", item)
        assert image.getpixel((3, 4)) == (1, 2, 3)  # would read, while a thread reads
        assert image.fp is None, "it was read only now"
        gate.set()
        assert future.result(30) == [mmhash.hash_feature([{"image": image}])]
        broken = image_module.open(io.BytesIO(file.getvalue()[:60]))
        with pytest.raises(OSError, match=r"truncated|broken"):
            executor.submit("b", mmhash.MultimodalDataItem("IMAGE", feature=broken))
    assert mmhash.hash_feature(image) == right
