"""Counters that any thread may add to, without a lock."""

from __future__ import annotations

import itertools


class Counters:
    """Lock-free counters: any thread may add, also from a finalizer that interrupts an addition."""

    def __init__(self, names: tuple[str, ...]) -> None:
        # One call of an itertools.count is atomic, and its repr() is the way to look at it.
        self._counts = {name: itertools.count() for name in names}

    def add(self, name: str) -> None:
        """Adds one to the counter of that name."""
        next(self._counts[name])

    def read(self) -> dict[str, int]:
        """All of them, as they are now."""
        return {name: int(repr(each)[len("count(") : -1]) for name, each in self._counts.items()}
