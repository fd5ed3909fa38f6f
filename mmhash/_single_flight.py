"""Single flight: what several threads want at once is computed once, by the first of them.

The state is a dict of the caller's, `cells`, that belongs to one computation: "result" once it is
known, "running" while a thread computes it. It is only changed by operations that the interpreter
makes atomic (`setdefault` and `pop` with a str), so there is no lock, and this holds:

- **No critical section.** Finalizers, weakref callbacks and signal handlers may run anywhere,
  also between two lines of this file, and may ask for the same computation or another.
- **No deadlock.** Whoever is computing something in this thread waits for nobody, but computes for
  himself: he may be such a finalizer, whose thread others wait for.
- **Nothing to repair.** A computation that ends in an exception at any line, of a signal handler
  too, has landed: `land` is called by two finally clauses, of which an exception can break off one.
- **fork.** A child does not wait for a thread that it does not have.

The price is that two threads may compute the same in these rare cases. The first result stays.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")

# The longest that a thread waits before it looks again. Only where a signal handler's exception
# interrupted a thread that was to wake the next does anybody wait as long.
LOOK_AGAIN_S = 0.1


class AsksForItselfError(RuntimeError):
    """What is computed needs its own result."""


class _Here(threading.local):
    flight: Flight | None = None
    """The innermost that this thread is computing."""


_here = _Here()


class Flight:
    """A thread that computes, and those that wait for it."""

    __slots__ = ("cells", "done", "landed", "outer", "process", "thread")

    def __init__(self, cells: dict[str, Any], outer: Flight | None) -> None:
        self.cells, self.outer = cells, outer
        self.thread, self.process = threading.get_ident(), os.getpid()
        self.done: SimpleQueue[None] = SimpleQueue()  # holds something once it has landed
        self.landed = False

    def land(self) -> None:
        """Can be called again, and is where the first call was broken off."""
        if self.cells.get("running") is self:
            self.cells.pop("running", None)
        if _here.flight is self:
            _here.flight = self.outer
        self.done.put(None)
        self.landed = True

    def can_be_waited_for(self) -> bool:
        """Whether another thread, of this process, runs it."""
        return self.thread != threading.get_ident() and self.process == os.getpid()

    def wait(self) -> None:
        """Returns when it has landed, or to look again."""
        with contextlib.suppress(Empty):
            self.done.put(self.done.get(timeout=LOOK_AGAIN_S))  # and wakes the next


def compute_once(cells: dict[str, Any], compute: Callable[[], Result]) -> Result:
    """`compute()`, or what it returned to an earlier or concurrent call with the same cells.

    Raises what compute() raises, which is not kept, and AsksForItselfError where compute() calls
    this with the same cells and does so again when it is given the chance: a finalizer that
    happens to run within compute() asks only once.
    """
    while "result" not in cells:
        outer = _here.flight
        if _depth(outer, cells) > 1:
            raise AsksForItselfError
        mine = Flight(cells, outer)
        try:
            try:
                running = cells.setdefault("running", mine)
                if running is mine or outer is not None or not running.can_be_waited_for():
                    _here.flight = mine
                    cells.setdefault("result", compute())
                else:
                    running.wait()
            except Exception:
                # A finalizer may have had it computed, and then have released what it is of.
                if "result" not in cells:
                    raise
            finally:
                mine.land()
        finally:
            if not mine.landed:
                mine.land()
    result: Result = cells["result"]
    return result


def _depth(flight: Flight | None, cells: dict[str, Any]) -> int:
    """How often this thread is computing it already."""
    depth = 0
    while flight is not None:
        depth += flight.cells is cells
        flight = flight.outer
    return depth
