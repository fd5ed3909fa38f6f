"""A request of a HashExecutor's, from submit() until somebody has its result."""

from __future__ import annotations

import contextvars
import threading
from asyncio import AbstractEventLoop
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

from mmhash._carried import described
from mmhash._item_algorithm import OWN, ItemAlgorithm, OwnAlgorithm
from mmhash.lazy import LazyHash

Hashes = list[int]


class Request:
    """A task for Workers. `release` is called before its result can be seen, `finish` after."""

    def __init__(
        self,
        request_id: Hashable,
        work: Callable[[], Hashes],
        release: Callable[[Request], None],
        finish: Callable[[Request], None],
    ) -> None:
        self.id = request_id
        self.future: Future[Hashes] = Future()
        self.future.add_done_callback(self._finished)
        self._work: Callable[[], Hashes] | None = work
        self._release, self._finish = release, finish
        self._context = contextvars.copy_context()  # a profile that is active here counts there too
        self.thread = threading.get_ident()  # which submits it
        self.place: list[None] = []  # that it holds: none or one
        self.started = False  # it has a place, and is about to be enqueued
        self.enqueued = False
        self._registered = [None]
        self.loop: AbstractEventLoop | None = None  # of the task that waits for a place
        self.wake: Callable[[], object] = lambda: None  # that task or thread

    @property
    def fetched(self) -> bool:
        """Whether its id is free."""
        return not self._registered

    def set_fetched(self) -> bool:
        """Whether it was not. True for one caller only."""
        try:
            self._registered.pop()
        except IndexError:
            return False
        return True

    def is_abandoned(self) -> bool:
        """Whether the event loop of the task that waited for a place was closed meanwhile."""
        return self.loop is not None and self.loop.is_closed() and not self.started

    def woken(self) -> bool:
        """Wakes whoever waits for a place. False if there is nobody any more."""
        try:
            self.wake()
        except RuntimeError:  # what asyncio raises where the event loop is closed
            return False
        return True

    def run(self) -> None:
        """In a worker: sets the result, unless it was cancelled."""
        work, self._work = self._work, None  # the inputs live no longer than this call
        if work is None or not self.future.set_running_or_notify_cancel():
            return
        try:
            hashes = self._context.run(work)
        except BaseException as error:
            self._release(self)
            self.future.set_exception(error)
        else:
            self._release(self)  # first, so that whoever sees the result finds the place free
            self.future.set_result(hashes)

    def fail(self, error: BaseException) -> None:
        """Sets the error, unless it was cancelled."""
        if self.future.set_running_or_notify_cancel():
            self._release(self)
            self.future.set_exception(error)

    def _finished(self, _: Future[Hashes]) -> None:
        self._work = None  # of one that was cancelled, and may be in the queue for long
        self._finish(self)


def items_of(inputs: Any) -> list[Any]:
    """The items of what submit() takes. TypeError if it is none of that."""
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


def adopt(items: list[Any], own: OwnAlgorithm) -> None:
    """Has them hashed by that, each unless it or its class has its own. TypeError: it cannot."""
    for i, item in enumerate(items):
        if not isinstance(item, LazyHash):
            raise TypeError(
                f"inputs[{i}]: expected an item with mmhash.LazyHash, which can be told an "
                f"algorithm, found a {type(item).__qualname__}"
            )
    for item in items:
        if item._of_class is None:
            item.__dict__.setdefault(OWN, own)


def resolved_by(item: Any, by: ItemAlgorithm | None) -> int:
    """`item.resolve()`. ValueError if it adopted that, and was hashed by another before."""
    if by is None or item._algorithm() is not by:
        return int(item.resolve())
    came = item._state().cells.get("carried")
    known = item._known()
    # One that came, and was kept because nothing can be hashed here, was counted and told.
    if known.maker in (None, by.maker) or known is came or not item._parts():
        return int(known.number)
    raise ValueError(
        f"hash: expected an item that was not hashed yet, or by {described(by.maker)} as this "
        f"HashExecutor does, found one that was hashed by {described(known.maker)}: submit it "
        "before its hash is read, or make it with its algorithm"
    )
