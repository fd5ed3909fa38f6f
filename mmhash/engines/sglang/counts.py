"""How often mmhash did something for SGLang in this process."""

from __future__ import annotations

import threading


class Counts:
    """Counters that any thread may add to.

    `hashes`: features hashed. `carried`: hashes that came with a shared-memory pointer and were
    returned. `sent`: items whose hash the sender resolved before sending them. `deferred`: items
    whose hash was asked for and put off until it is read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"hashes": 0, "carried": 0, "sent": 0, "deferred": 0}

    def add(self, name: str, count: int = 1) -> None:
        """Adds to one of the counters."""
        with self._lock:
            self._counts[name] += count

    def read(self) -> dict[str, int]:
        """All of them, as they are now."""
        with self._lock:
            return dict(self._counts)
