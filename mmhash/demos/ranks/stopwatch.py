"""Records which stage of the work a process is in, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmhash.demos.ranks.messages import Event

#: All stages, with what they are.
STAGES = {
    "hash": "hash, build the inputs, read pad_value",
    "copy": "copy into shared memory",
    "send": "pickle and send",
    "receive": "receive and unpickle",
    "map": "map or clone the shared memory",
    "wait": "wait for other ranks",
}


class Stopwatch:
    """The stages of one process since the last `take`."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    @contextmanager
    def stage(self, name: str, request: int = -1) -> Iterator[None]:
        """Record what happens inside as one stage."""
        start = time.monotonic_ns()
        yield
        self._events.append((name, request, start, time.monotonic_ns()))

    def take(self) -> list[Event]:
        """Return the stages recorded so far, and forget them."""
        events, self._events = self._events, []
        return events
