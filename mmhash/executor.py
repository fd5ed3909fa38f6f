"""Hashes ahead of time, in threads of their own, for engines that want them ready when read."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import itertools
import os
import queue
import threading
from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Literal

from mmhash import _core
from mmhash._item_algorithm import OwnAlgorithm, opened
from mmhash._requests import Hashes, Request, adopt, items_of, resolved_by
from mmhash._streams import after_current_work
from mmhash._workers import Workers
from mmhash.lazy import held_by

# The longest that somebody who waits for a place goes without looking himself. Needed only where
# an event loop was closed with a place that its task had been given and not yet taken up.
LOOK_AGAIN_S = 0.25


class HashExecutor:
    """Resolves the hashes of requests in worker threads, while the event loop goes on.

    `inputs` is a MultimodalInputs, an item with LazyHash, or a list of items. The result is the
    list of their hashes, and the items have them. The worker keeps the inputs alive until it is
    done, also when whoever waited for it has been cancelled. What hashing raises reaches the one
    who asked, with its traceback. A torch tensor on a GPU is hashed as what is enqueued on the
    caller's current stream will leave it; other work on the GPU does not wait for the hash. A PIL
    image that was not read yet is decoded before submit() returns, in the calling thread, because
    Pillow cannot do so in two threads at once.

    With `algorithm` and `key`, those of mmhash.identity(), items are hashed by these unless they or
    their class have an algorithm of their own: from submit() on, also where it raises, they have
    them as their own. An item whose hash was computed by another one before is refused with a
    ValueError, which reaches the one who asked; a hash that was assigned is as it is.

    At most `max_pending` requests wait or run at a time. Beyond that, submit() and hash() raise
    queue.Full, or with `when_full="wait"` wait for a place (hash() without blocking the event
    loop). At most `max_pending` finished results are kept for get_result(); the oldest is dropped
    for the next, so that results nobody fetches do not pile up. The future that submit() returned
    has its result in any case.

    Any thread may call any method, also in a signal handler or finalizer: there is no lock. A
    forked child must make its own: each method raises RuntimeError there, and waits for nothing. As
    a context manager it ends like concurrent.futures' executors, when all that was submitted is
    done. Its threads end when there is nothing to do; where none can be started, submit() and
    hash() raise RuntimeError.

    >>> with mmhash.HashExecutor() as executor:
    ...     item = mmhash.MultimodalDataItem(modality="IMAGE", feature=b"pixels")
    ...     future = executor.submit("request 1", item)
    ...     executor.get_result("request 1") == future.result() == [item.hash]
    True
    >>> executor.submit("request 2", item)
    Traceback (most recent call last):
    RuntimeError: submit: this HashExecutor was shut down
    >>> with mmhash.HashExecutor(algorithm="sha256", key=bytes(32)) as executor:
    ...     item = mmhash.MultimodalDataItem(modality="IMAGE", feature=b"pixels")
    ...     executor.submit("request 3", item).result() == [item.hash], len(item.identity)
    (True, 32)
    """

    def __init__(
        self,
        max_workers: int = 2,
        max_pending: int = 1024,
        *,
        when_full: Literal["raise", "wait"] = "raise",
        algorithm: Any = None,
        key: Any = None,
    ) -> None:
        for name, number in (("max_workers", max_workers), ("max_pending", max_pending)):
            if not isinstance(number, int) or isinstance(number, bool):
                raise TypeError(f"{name}: expected an int, found a {type(number).__qualname__}")
            if number < 1:
                raise ValueError(f"{name}: expected at least 1, found {number}")
        if when_full not in ("raise", "wait"):
            raise ValueError(f"when_full: expected 'raise' or 'wait', found {when_full!r}")
        self._algorithm = opened(OwnAlgorithm, algorithm, key)
        self._max_pending = max_pending
        self._when_full = when_full
        self._workers = Workers(max_workers)
        self._process = os.getpid()
        # No lock guards what follows: finalizers and signal handlers may run between any two lines
        # and call any method. Each is changed by operations that the interpreter makes atomic, and
        # whatever follows from two of them is looked at again after the second.
        self._unused = itertools.repeat(None, max_pending)  # places, each taken here at first
        self._places: list[None] = []  # and returned here
        self._waiting: deque[Request] = deque()  # for a place, in order
        self._requests: dict[Hashable, Request] = {}  # submitted, and not fetched
        self._live: dict[Request, None] = {}  # those that are not done
        self._done: dict[Request, None] = {}  # those with an id that are, and not fetched
        self._shut_down = False

    def submit(self, request_id: Hashable, inputs: Any) -> Future[Hashes]:
        """Has the inputs hashed, and returns at once, or when there is a place (`when_full`).

        Raises ValueError if the id is of a request that is pending, or done and not fetched;
        queue.Full; RuntimeError after shutdown(), in a forked child, and where no thread can be
        started; TypeError for inputs without `resolve()`, and with an `algorithm` for items without
        LazyHash; and what Pillow raises for a damaged image.
        """
        self._check_process()
        request = self._new_request(request_id, inputs)
        try:
            self._enter(request)
            if not self._take_place(request):
                woken: queue.SimpleQueue[None] = queue.SimpleQueue()
                request.wake = lambda: woken.put(None)
                while not self._has_place(request):
                    with contextlib.suppress(queue.Empty):
                        woken.get(timeout=LOOK_AGAIN_S)
            self._start(request)
        except BaseException:
            self._withdraw(request)
            raise
        return request.future

    def get_result(self, request_id: Hashable, timeout: float | None = None) -> Hashes:
        """The hashes of a submitted request, waiting up to `timeout` seconds; can be fetched once.

        Raises TimeoutError, after which it may be asked for again; KeyError if no such request was
        submitted, or its result was fetched or dropped; what hashing raised;
        concurrent.futures.CancelledError; and RuntimeError in a forked child.
        """
        self._check_process()
        request = self._requests.get(request_id)
        if request is None or not request.enqueued:
            raise KeyError(
                "request_id: expected one that was submitted and not fetched, found "
                f"{request_id!r} (the {self._max_pending} latest results are kept; the future "
                "from submit() keeps its own)"
            )
        try:
            return request.future.result(timeout)
        finally:
            if request.future.done():
                self._forget(request)

    async def hash(self, inputs: Any) -> Hashes:
        """`await executor.hash(inputs)`: the same for asyncio, without an id.

        Cancelling the awaiting task takes the request back if no thread has begun with it. A PIL
        image that was not read yet is decoded on the event loop's thread, which that may hold up
        for tens of milliseconds: read images in a thread of your own (`image.load()`) before.
        """
        self._check_process()
        request = self._new_request(None, inputs)
        try:
            self._enter(request)
            if not self._take_place(request):
                request.loop = loop = asyncio.get_running_loop()
                woken = loop.create_future()
                request.wake = lambda: loop.call_soon_threadsafe(_set_result, woken)
                while not self._has_place(request):
                    await asyncio.wait((woken,), timeout=LOOK_AGAIN_S)
            self._start(request)
        except BaseException:
            self._withdraw(request)
            raise
        return await asyncio.wrap_future(request.future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more requests. Those that wait for a place fail with RuntimeError.

        With `cancel_futures`, what no thread has begun with is cancelled; the rest is always
        finished. With `wait`, returns when it is; RuntimeError in one of its own threads, and in a
        forked child.
        """
        self._check_process()
        self._shut_down = True
        for request in list(self._waiting):
            request.woken()
        live = [request for request in list(self._live) if request.started]
        if cancel_futures:
            for request in live:
                request.future.cancel()
        if wait:
            self._workers.check_outside()
            for request in live:
                # Not for one that this thread was submitting when a signal handler came to this.
                if request.enqueued or request.thread != threading.get_ident():
                    concurrent.futures.wait((request.future,))
            self._workers.join()

    def __enter__(self) -> HashExecutor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Finishes what was submitted. In a forked child, which has none of that, does nothing."""
        if os.getpid() == self._process:
            self.shutdown()

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(
                "this HashExecutor was made before the process forked, and its threads are not in "
                "this one: make another here"
            )

    def _check_open(self) -> None:
        if self._shut_down:
            raise RuntimeError("submit: this HashExecutor was shut down")

    # A request, from its beginning to its end.

    def _new_request(self, request_id: Hashable, inputs: Any) -> Request:
        items = items_of(inputs)
        self._check_open()
        by = self._algorithm
        if by is not None:
            adopt(items, by)
        values = [value for item in items for value in held_by(item)]
        _core.load_images(values)  # in another thread they could meet who goes on using them
        work = after_current_work(values, lambda: [resolved_by(item, by) for item in items])
        return Request(request_id, work, self._release, self._finish)

    def _enter(self, request: Request) -> None:
        if request.id is not None:
            other = self._requests.setdefault(request.id, request)
            if other is not request:
                state = "done and not fetched" if other.future.done() else "pending"
                raise ValueError(f"request_id: {request.id!r} is that of a request that is {state}")
        self._live[request] = None

    def _start(self, request: Request) -> None:
        # Either this sees that it was shut down, or shutdown(), which looks afterwards, sees this.
        request.started = True
        self._check_open()
        self._workers.put(request)
        request.enqueued = True

    def _withdraw(self, request: Request) -> None:
        """It came to nothing, unless a thread has begun with it."""
        self._forget(request)
        with contextlib.suppress(ValueError):
            self._waiting.remove(request)
        request.future.cancel()  # calls _finish()

    def _finish(self, request: Request) -> None:
        """Once it has a result, or was cancelled."""
        self._release(request)
        self._live.pop(request, None)
        if request.id is None:
            return
        self._done[request] = None
        if request.fetched:
            self._done.pop(request, None)
        for oldest in list(self._done)[: -self._max_pending]:
            self._forget(oldest)

    def _forget(self, request: Request) -> None:
        """Frees the id, which nobody else can have taken before."""
        if request.id is not None and request.set_fetched():
            if self._requests.get(request.id) is request:
                del self._requests[request.id]
            self._done.pop(request, None)

    # Places. A request that holds one has it in `request.place`.

    def _take_place(self, request: Request) -> bool:
        """Takes one for a new request. False where it has to wait."""
        if not self._waiting and self._grab(request):
            return True
        self._reclaim()
        if not self._waiting and self._grab(request):
            return True
        if self._when_full == "raise":
            raise queue.Full(
                f"{self._max_pending} requests are pending, as many as max_pending allows: submit "
                "later, or make the HashExecutor with when_full='wait'"
            )
        return False

    def _has_place(self, request: Request) -> bool:
        """Whether it need not wait any more; else it stands in line. RuntimeError: for nothing."""
        self._check_open()
        self._reclaim()
        if not request.place and request not in self._waiting:
            self._waiting.append(request)  # also where an interrupted _serve() dropped it
        self._serve()  # a place may have been returned after this one found none
        return bool(request.place)

    def _grab(self, request: Request) -> bool:
        try:
            request.place.append(self._places.pop())
        except IndexError:
            request.place.extend(itertools.islice(self._unused, 1))
        return bool(request.place)

    def _release(self, request: Request) -> None:
        """Returns its place, if it has one, for whoever waits longest. Can be called again."""
        self._return(request)
        self._serve()

    def _return(self, request: Request) -> None:
        while request.place:
            with contextlib.suppress(IndexError):
                self._places.append(request.place.pop())

    def _serve(self) -> None:
        """Gives free places to those who wait, in order."""
        while self._waiting:
            try:
                request = self._waiting.popleft()
            except IndexError:
                return
            if request.started:
                continue
            if not self._grab(request):
                self._waiting.appendleft(request)
                if not self._places:
                    return  # who returns the next comes here
            elif request.future.done() or not request.woken():
                self._return(request)  # it was withdrawn, or its event loop is closed

    def _reclaim(self) -> None:
        """Takes back what was given to tasks whose event loop was closed before they took it up."""
        for request in list(self._live):
            if request.is_abandoned():
                self._withdraw(request)


def _set_result(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
