"""HashExecutor: each is told what became of its request, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import queue
import random
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import numpy as np
import pytest

import mmhash
from mmhash import HashExecutor


class Item:
    """Whose hash takes as long as the test wants."""

    def __init__(self, number: int = 0, gate: threading.Event | None = None) -> None:
        self.number, self.gate = number, gate
        self.begun = threading.Event()

    def resolve(self) -> int:
        self.begun.set()
        if self.gate is not None:
            assert self.gate.wait(30)
        if self.number < 0:
            raise ValueError(f"number {self.number}")
        return self.number


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_items_inputs_and_lists() -> None:
    items = [mmhash.MultimodalDataItem("IMAGE", feature=np.full(9, i)) for i in range(3)]
    right = [mmhash.hash_feature(np.full(9, i)) for i in range(3)]
    with HashExecutor() as executor:
        assert executor.submit("a", mmhash.MultimodalInputs(items[:1])).result(30) == right[:1]
        assert executor.submit("b", items[1]).result(30) == right[1:2]
        assert executor.submit("c", items[2:]).result(30) == right[2:]
        assert executor.submit("d", []).result(30) == []
    assert all(item.is_resolved for item in items)
    for bad, where in (([items[0], 3], r"inputs\[1\]"), (b"x", "inputs"), (None, "inputs")):
        with pytest.raises(TypeError, match=f"^{where}: expected MultimodalInputs or items"):
            executor.submit("e", bad)


def test_results_are_fetched_once() -> None:
    with HashExecutor() as executor:
        future = executor.submit("a", Item(5))
        assert executor.get_result("a", timeout=30) == [5] == future.result()
        with pytest.raises(KeyError, match="request_id: expected one that was submitted and not f"):
            executor.get_result("a")
        executor.submit("a", Item(6))  # the id is free again
        assert executor.get_result("a") == [6]


def test_a_timeout_takes_nothing_away(gate: threading.Event) -> None:
    with HashExecutor() as executor:
        executor.submit("a", Item(5, gate))
        with pytest.raises(TimeoutError):
            executor.get_result("a", timeout=0.01)
        gate.set()
        assert executor.get_result("a", timeout=30) == [5]


def test_an_id_is_used_once(gate: threading.Event) -> None:
    with HashExecutor() as executor:
        future = executor.submit("a", Item(1, gate))
        with pytest.raises(
            ValueError, match="request_id: 'a' is that of a request that is pending"
        ):
            executor.submit("a", Item(2))
        gate.set()
        future.result(30)
        eventually(lambda: message(executor, "a").endswith("is done and not fetched"))
        assert executor.submit("b", Item(2)).result(30) == [2], "the place was not lost"


def message(executor: HashExecutor, request_id: str) -> str:
    with pytest.raises(ValueError, match="request_id") as found:
        executor.submit(request_id, Item())
    return str(found.value)


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "never"
        time.sleep(0.001)


def test_a_full_queue_raises(gate: threading.Event) -> None:
    with HashExecutor(1, max_pending=2) as executor:
        futures = [executor.submit(i, Item(i, gate)) for i in range(2)]
        with pytest.raises(queue.Full, match="2 requests are pending, as many as max_pending"):
            executor.submit(2, Item(2))
        with pytest.raises(queue.Full):
            asyncio.run(executor.hash(Item(2)))
        gate.set()
        assert [future.result(30) for future in futures] == [[0], [1]]
        assert executor.submit(2, Item(2)).result(30) == [2]


def test_a_place_is_free_as_soon_as_a_result_is_seen() -> None:
    with HashExecutor(1, max_pending=1) as executor:
        for i in range(500):
            assert executor.submit(i, Item(i)).result(30) == [i]


def test_a_full_queue_waits(gate: threading.Event) -> None:
    with HashExecutor(1, max_pending=1, when_full="wait") as executor:
        executor.submit("a", Item(1, gate))
        found: list[Any] = []
        waiting = threading.Thread(target=lambda: found.append(executor.submit("b", Item(2))))
        waiting.start()
        eventually(lambda: len(executor._waiting) == 1)
        assert found == []
        gate.set()
        waiting.join(30)
        assert found[0].result(30) == [2]


def test_waiting_does_not_block_the_event_loop(gate: threading.Event) -> None:
    async def main() -> None:
        first = asyncio.create_task(executor.hash(Item(1, gate)))
        second = asyncio.create_task(executor.hash(Item(2)))
        third = asyncio.create_task(executor.hash(Item(3)))
        while len(executor._waiting) < 2:
            await asyncio.sleep(0.001)
        assert not second.done()
        third.cancel()  # it waits for a place, which the next one gets
        gate.set()
        assert (await first, await second) == ([1], [2])
        with pytest.raises(asyncio.CancelledError):
            await third
        assert await executor.hash(Item(4)) == [4]

    with HashExecutor(1, max_pending=1, when_full="wait") as executor:
        asyncio.run(main())


def test_python_runs_while_it_hashes() -> None:
    # 4 GiB to read, in 1 MiB of memory: long enough on any machine for five ticks.
    feature = np.broadcast_to(np.zeros(1 << 20, np.uint8), (4096, 1 << 20))
    item = mmhash.MultimodalDataItem("IMAGE", feature=feature)

    async def main() -> int:
        ticks = 0
        hashing = asyncio.create_task(executor.hash(item))
        while not hashing.done():
            await asyncio.sleep(0.001)
            ticks += 1
        return ticks

    with HashExecutor() as executor:
        assert asyncio.run(main()) >= 5


def test_a_failure_reaches_who_asked() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="number -2"):
            await executor.hash(Item(-2))

    with HashExecutor() as executor:
        future = executor.submit("a", Item(-1))
        with pytest.raises(ValueError, match="number -1") as found:
            executor.get_result("a", 30)
        assert "in resolve" in "".join(traceback.format_tb(found.value.__traceback__))
        assert isinstance(future.exception(), ValueError)
        asyncio.run(main())
        assert executor.submit("b", Item(1)).result(30) == [1]


def test_results_that_nobody_fetches_do_not_pile_up() -> None:
    with HashExecutor(max_pending=8) as executor:
        futures = []
        for i in range(100):
            futures.append(executor.submit(i, Item(i)))
            futures[-1].result(30)
        assert executor.submit("last", Item(7)).result(30) == [7]
        eventually(lambda: len(executor._requests) <= 8)
        with pytest.raises(KeyError, match="the 8 latest results are kept"):
            executor.get_result(5)
        assert executor.get_result(99) == [99]
        assert futures[5].result() == [5]


def test_cancelling(gate: threading.Event) -> None:
    with HashExecutor(1, max_pending=3) as executor:
        running = Item(1, gate)
        first = executor.submit("a", running)
        assert running.begun.wait(30)
        second, third = executor.submit("b", Item(2)), executor.submit("c", Item(3))
        assert (first.cancel(), second.cancel()) == (False, True)
        fourth = executor.submit("d", Item(4))  # in the place of the second
        with pytest.raises(CancelledError):
            executor.get_result("b")
        gate.set()
        assert [each.result(30) for each in (first, third, fourth)] == [[1], [3], [4]]


def test_a_cancelled_waiter_leaves_the_inputs_to_the_thread(gate: threading.Event) -> None:
    class Held(Item):
        def __init__(self) -> None:
            super().__init__(3, gate)
            self.array = np.full(1 << 20, 7)

        def resolve(self) -> int:
            super().resolve()
            found.append(mmhash.hash_feature(self.array))
            return 0

    found: list[int] = []
    right = mmhash.hash_feature(np.full(1 << 20, 7))

    async def main() -> weakref.ref[Held]:
        item = Held()
        task = asyncio.create_task(executor.hash(item))
        while not item.begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return weakref.ref(item)

    with HashExecutor() as executor:
        reference = asyncio.run(main())
        gc.collect()
        assert reference() is not None
        gate.set()
        eventually(lambda: found == [right])
    gc.collect()
    eventually(lambda: reference() is None)


def test_the_end() -> None:
    executor = HashExecutor(1)
    with executor:
        futures = [executor.submit(i, Item(i)) for i in range(20)]
    assert [future.result(0) for future in futures] == [[i] for i in range(20)]
    assert executor.get_result(3) == [3], "results can still be fetched"
    with pytest.raises(RuntimeError, match="this HashExecutor was shut down"):
        executor.submit("a", Item())
    with pytest.raises(RuntimeError, match="this HashExecutor was shut down"):
        asyncio.run(executor.hash(Item()))
    executor.shutdown()


def test_shutting_down_cancels_what_has_not_begun(gate: threading.Event) -> None:
    executor = HashExecutor(1, max_pending=2, when_full="wait")
    item = Item(1, gate)
    first, second = executor.submit(1, item), executor.submit(2, Item(2))
    found: list[BaseException] = []

    def wait_for_a_place() -> None:
        try:
            executor.submit(3, Item(3))
        except RuntimeError as error:
            found.append(error)

    waiting = threading.Thread(target=wait_for_a_place)
    waiting.start()
    eventually(lambda: len(executor._waiting) == 1)
    assert item.begun.wait(30)
    executor.shutdown(wait=False, cancel_futures=True)
    waiting.join(30)
    assert "shut down" in str(found[0])
    assert second.cancelled()
    gate.set()
    assert first.result(30) == [1]


@pytest.mark.parametrize("seed", range(3))
def test_200_concurrent_submits(seed: int) -> None:
    """With random failures and cancellations; each is told what became of its own."""
    random_ = random.Random(seed)
    plans = [(i if random_.random() < 0.8 else -i - 1, random_.random() < 0.2) for i in range(200)]
    outcomes: dict[int, Any] = {}

    def submit(i: int) -> None:
        number, cancelling = plans[i]
        try:
            future: Future[list[int]] = executor.submit(i, Item(number))
            if cancelling:
                future.cancel()
            try:
                outcomes[i] = executor.get_result(i, 60)
            except KeyError:  # 16 others were done before this thread came to ask
                outcomes[i] = future.result(0)
        except BaseException as error:
            outcomes[i] = error

    with HashExecutor(3, max_pending=16, when_full="wait") as executor:
        threads = [threading.Thread(target=submit, args=(i,)) for i in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "deadlock"
        for i, (number, cancelling) in enumerate(plans):
            outcome = outcomes[i]
            if cancelling and isinstance(outcome, CancelledError):
                continue
            if number < 0:
                assert isinstance(outcome, ValueError)
                assert str(outcome) == f"number {number}"
            else:
                assert outcome == [number]
        eventually(lambda: not executor._live)
        assert not executor._requests
        assert not executor._waiting


def test_200_tasks_with_random_cancellation() -> None:
    async def main() -> None:
        random_ = random.Random(1)
        tasks = [asyncio.create_task(executor.hash(Item(i))) for i in range(200)]
        for i, task in enumerate(tasks):
            if i % 3 == 0:
                for _ in range(random_.randrange(5)):  # turns of the event loop
                    await asyncio.sleep(0)
                task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for i, outcome in enumerate(found):
            assert outcome == [i] or (i % 3 == 0 and isinstance(outcome, asyncio.CancelledError))
        assert await executor.hash(Item(1)) == [1]

    with HashExecutor(2, max_pending=4, when_full="wait") as executor:
        asyncio.run(main())
        eventually(lambda: not executor._live)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_workers": 0}, ValueError, "max_workers: expected at least 1, found 0"),
        ({"max_pending": -1}, ValueError, "max_pending: expected at least 1, found -1"),
        ({"max_workers": 1.5}, TypeError, "max_workers: expected an int, found a float"),
        ({"when_full": "drop"}, ValueError, "when_full: expected 'raise' or 'wait', found 'drop'"),
    ],
)
def test_bad_arguments(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        HashExecutor(**arguments)
