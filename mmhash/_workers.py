"""Threads that work off a queue, for who may be called from anywhere.

concurrent.futures.ThreadPoolExecutor takes locks that are shared with every other executor of the
process and makes objects under them: a finalizer or signal handler that runs there and submits
something itself hangs for good. Here is no lock, only operations that the interpreter makes atomic.
A worker lives as long as there is work, so that there are no threads to be stopped at exit or after
a fork, and the interpreter waits for those that are at work as for any other thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from typing import Protocol


class Task(Protocol):
    """What is done once: either of the two is called, and raises nothing."""

    def run(self) -> None:
        """In a worker."""

    def fail(self, error: BaseException) -> None:
        """There is no thread to do it."""


class _Start:
    """A thread that is being started: its slot, until it has taken it. By which thread."""

    __slots__ = ("slot", "thread")

    def __init__(self) -> None:
        self.slot: list[None] = []
        self.thread = threading.get_ident()


class Workers:
    """At most `count` threads at a time."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._tasks: deque[Task] = deque()
        # One slot for each thread that may be started. Who returns one looks at the queue again:
        # so a task that was enqueued while all were taken is seen by one of those who had them.
        self._slots: list[None] = [None] * count
        self._starting: deque[_Start] = deque()
        self._threads: set[threading.Thread] = set()

    def put(self, task: Task) -> None:
        """Has the task done.

        Raises RuntimeError where no thread can be started and none is at work: the task, and
        whatever else is enqueued, is not done.
        """
        self._tasks.append(task)
        try:
            self._start()
        except RuntimeError as error:
            if len(self._slots) < self._count:
                return  # others are at work, and will come to it
            # Also what others enqueued who saw this one trying.
            while self._tasks:
                with contextlib.suppress(IndexError):
                    self._tasks.popleft().fail(error)
            raise
        except BaseException:  # a signal handler's
            with contextlib.suppress(ValueError):  # it is being done
                self._tasks.remove(task)
            if self._tasks:
                with contextlib.suppress(RuntimeError):
                    self._start()
            raise

    def _start(self) -> None:
        """Starts a thread, if there may be another."""
        start = _Start()
        self._starting.append(start)
        try:
            if _move(self._slots, start.slot) or self._take_over(start):
                threading.Thread(target=self._work, args=(start.slot,), name="mmhash").start()
        except BaseException:
            _move(start.slot, self._slots)
            raise
        finally:
            with contextlib.suppress(ValueError):
                self._starting.remove(start)

    def _take_over(self, start: _Start) -> bool:
        """The slot of a start that this thread was at when a finalizer came and put a task."""
        return any(
            other.thread == start.thread and _move(other.slot, start.slot)
            for other in list(self._starting)
            if other is not start
        )

    def join(self) -> None:
        """Waits until the threads that are at work now have ended."""
        for thread in list(self._threads):
            thread.join()

    def check_outside(self) -> None:
        """RuntimeError in one of the threads, which cannot wait for itself."""
        if threading.current_thread() in self._threads:
            raise RuntimeError("shutdown: expected another thread than a worker of its own")

    def _work(self, slot: list[None]) -> None:
        held: list[None] = []
        if not _move(slot, held) and not _move(self._slots, held):
            return  # who started this thread was interrupted, and the slot is another's now
        self._threads.add(threading.current_thread())
        try:
            while held:
                while self._tasks:
                    try:
                        task = self._tasks.popleft()
                    except IndexError:
                        break
                    task.run()
                    del task  # it may hold large features, and nobody else does
                _move(held, self._slots)
                if self._tasks:
                    _move(self._slots, held)
        finally:
            self._threads.discard(threading.current_thread())


def _move(source: list[None], target: list[None]) -> bool:
    """Moves one, if there is one."""
    try:
        target.append(source.pop())
    except IndexError:
        return False
    return True
