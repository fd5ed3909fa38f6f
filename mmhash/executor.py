"""Hashes ahead of time, in threads of their own, for engines that want them ready when read."""

from __future__ import annotations

import asyncio
import contextvars
import os
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Literal

from mmhash._streams import after_current_work
from mmhash.lazy import HASHED

Hashes = list[int]


class HashExecutor:
    """Resolves the hashes of requests in worker threads, while the event loop goes on.

    `inputs` is a MultimodalInputs, an item with LazyHash, or a list of items. The result is the
    list of their hashes, and the items have them. The worker keeps the inputs alive until it is
    done, also when whoever waited for it has been cancelled. What hashing raises reaches the one
    who asked, with its traceback. A torch tensor on a GPU is hashed as what is enqueued on the
    caller's current stream will leave it; other work on the GPU does not wait for the hash.

    At most `max_pending` requests wait or run at a time. Beyond that, submit() and hash() raise
    queue.Full, or with `when_full="wait"` wait for a place (hash() without blocking the event
    loop). At most `max_pending` finished results are kept for get_result(); the oldest is dropped
    for the next, so that results nobody fetches do not pile up. The future that submit() returned
    has its result in any case.

    Any thread may call any method. A forked child must make its own: RuntimeError. As a context
    manager it ends like concurrent.futures' executors, when all that was submitted is done.

    >>> with mmhash.HashExecutor() as executor:
    ...     item = mmhash.MultimodalDataItem(modality="IMAGE", feature=b"pixels")
    ...     future = executor.submit("request 1", item)
    ...     executor.get_result("request 1") == future.result() == [item.hash]
    True
    >>> executor.submit("request 2", item)
    Traceback (most recent call last):
    RuntimeError: submit: this HashExecutor was shut down
    """

    def __init__(
        self,
        max_workers: int = 2,
        max_pending: int = 1024,
        *,
        when_full: Literal["raise", "wait"] = "raise",
    ) -> None:
        for name, number in (("max_workers", max_workers), ("max_pending", max_pending)):
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"{name}: expected an int, found a {type(number).__qualname__}")
            if number < 1:
                raise ValueError(f"{name}: expected at least 1, found {number}")
        if when_full not in ("raise", "wait"):
            raise ValueError(f"when_full: expected 'raise' or 'wait', found {when_full!r}")
        self._max_pending = max_pending
        self._when_full = when_full
        self._threads = ThreadPoolExecutor(max_workers, thread_name_prefix="mmhash")
        self._process = os.getpid()
        self._lock = threading.Lock()  # of all below; never held while anything is waited for
        self._pending = 0
        self._waiting: deque[Future[None]] = deque()  # for a place, in order
        self._requests: dict[Hashable, Future[Hashes]] = {}  # submitted, and not fetched
        self._done: OrderedDict[Hashable, None] = OrderedDict()  # those of them that are done
        self._shut_down = False

    def submit(self, request_id: Hashable, inputs: Any) -> Future[Hashes]:
        """Has the inputs hashed, and returns at once, or when there is a place (`when_full`).

        Raises ValueError if the id is of a request that is pending, or done and not fetched;
        queue.Full; RuntimeError after shutdown(); TypeError for inputs without `resolve()`.
        """
        self._check_process()
        work = _work(inputs)
        place = self._take_place(request_id)
        if place is not None:
            try:
                place.result()
            except BaseException:
                self._give_up(place)
                raise
        return self._start(request_id, work)

    def get_result(self, request_id: Hashable, timeout: float | None = None) -> Hashes:
        """The hashes of a submitted request, waiting up to `timeout` seconds; can be fetched once.

        Raises TimeoutError, after which it may be asked for again; KeyError if no such request was
        submitted, or its result was fetched or dropped; what hashing raised; and
        concurrent.futures.CancelledError.
        """
        with self._lock:
            request = self._requests.get(request_id)
        if request is None:
            raise KeyError(
                "request_id: expected one that was submitted and not fetched, found "
                f"{request_id!r} (the {self._max_pending} latest results are kept; the future "
                "from submit() keeps its own)"
            )
        try:
            return request.result(timeout)
        finally:
            if request.done():
                with self._lock:
                    if self._requests.get(request_id) is request:
                        del self._requests[request_id]
                    self._done.pop(request_id, None)

    async def hash(self, inputs: Any) -> Hashes:
        """`await executor.hash(inputs)`: the same for asyncio, without an id.

        Cancelling the awaiting task takes the request back if no thread has begun with it.
        """
        self._check_process()
        work = _work(inputs)
        place = self._take_place(None)
        if place is not None:
            try:
                await asyncio.wrap_future(place)
            except BaseException:
                self._give_up(place)
                raise
        return await asyncio.wrap_future(self._start(None, work))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more requests. Those that wait for a place fail with RuntimeError.

        With `cancel_futures`, what no thread has begun with is cancelled; the rest is always
        finished. With `wait`, returns when it is.
        """
        with self._lock:
            self._shut_down = True
            waiting, self._waiting = self._waiting, deque()
        for place in waiting:
            if place.set_running_or_notify_cancel():
                place.set_exception(RuntimeError("this HashExecutor was shut down"))
        if os.getpid() == self._process:  # a forked child has none of the threads
            self._threads.shutdown(wait, cancel_futures=cancel_futures)

    def __enter__(self) -> HashExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finishes what was submitted."""
        self.shutdown()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(
                "this HashExecutor was made before the process forked, and its threads are not in "
                "this one: make another here"
            )

    def _take_place(self, request_id: Hashable) -> Future[None] | None:
        """None if there was one; else a future to wait for."""
        with self._lock:
            if self._shut_down:
                raise RuntimeError("submit: this HashExecutor was shut down")
            self._check_id(request_id)
            if self._pending < self._max_pending:
                self._pending += 1
                return None
            if self._when_full == "raise":
                raise queue.Full(
                    f"{self._pending} requests are pending, as many as max_pending allows: submit "
                    "later, or make the HashExecutor with when_full='wait'"
                )
            place: Future[None] = Future()
            self._waiting.append(place)
            return place

    def _release_place(self) -> None:
        """Gives it to whoever waits longest."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._pending -= 1
                    return
                place = self._waiting.popleft()
            if place.set_running_or_notify_cancel():
                place.set_result(None)
                return

    def _give_up(self, place: Future[None]) -> None:
        """The one who waited for a place does not want it any more, but may just have got it."""
        if not place.cancel() and not place.cancelled() and place.exception() is None:
            self._release_place()

    def _check_id(self, request_id: Hashable) -> None:
        if request_id is not None and request_id in self._requests:
            state = "done and not fetched" if request_id in self._done else "pending"
            raise ValueError(f"request_id: {request_id!r} is that of a request that is {state}")

    def _start(self, request_id: Hashable, work: Callable[[], Hashes]) -> Future[Hashes]:
        """Hands the work to the threads, with the place that was taken."""
        context = contextvars.copy_context()  # a profile that is active here counts there too
        try:
            with self._lock:
                self._check_id(request_id)  # another may have taken it while this one waited
                future = self._threads.submit(context.run, self._run, work)
                if request_id is not None:
                    self._requests[request_id] = future
        except BaseException:
            self._release_place()
            raise
        future.add_done_callback(lambda done: self._finished(request_id, done))
        return future

    def _run(self, work: Callable[[], Hashes]) -> Hashes:
        try:
            return work()
        finally:
            self._release_place()  # before the result is seen, so that the next submit() has it

    def _finished(self, request_id: Hashable, future: Future[Hashes]) -> None:
        if future.cancelled():
            self._release_place()
        with self._lock:
            if self._requests.get(request_id) is not future:
                return  # without an id, or fetched already
            self._done[request_id] = None
            while len(self._done) > self._max_pending:
                oldest, _ = self._done.popitem(last=False)
                del self._requests[oldest]


def _work(inputs: Any) -> Callable[[], Hashes]:
    """What a thread is to do: resolve the items, once what is on the GPU's streams now is done."""
    items = _items(inputs)
    values = [getattr(item, name, None) for item in items for name in HASHED]
    return after_current_work(values, lambda: [item.resolve() for item in items])


def _items(inputs: Any) -> list[Any]:
    items = getattr(inputs, "mm_items", inputs)
    found = list(items) if isinstance(items, (list, tuple)) else [items]
    for i, item in enumerate(found):
        if not callable(getattr(item, "resolve", None)):
            where = f"inputs[{i}]" if isinstance(items, (list, tuple)) else "inputs"
            raise TypeError(
                f"{where}: expected MultimodalInputs or items with mmhash.LazyHash, "
                f"found a {type(item).__qualname__}"
            )
    return found
