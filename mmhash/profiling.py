"""Where the time of building multimodal inputs goes, and what to do about it."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar, cast

from mmhash import _core
from mmhash._nested import leaves

A = TypeVar("A")
F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

# Milliseconds of hashing per request. Measured on servers: broadcasting the hash from one rank took
# 51 to save 17, whatever it cost to compute; above some 20 hashing shows in the time to the first
# token.
CHEAP_MS = 10.0
EXPENSIVE_MS = 20.0

SUM_UP_AT = 64  # what was counted, each of which is a dict

# The profiles of this thread or asyncio task; none, nearly always.
_active: ContextVar[tuple[profile, ...]] = ContextVar("mmhash_profiles", default=())


class _Count:
    """An attribute of a profile: a sum. While other threads count, it may lag behind them."""

    def __init__(self, zero: float = 0) -> None:
        self._zero = zero

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, found: profile, owner: type) -> Any:
        return sum((each.get(self._name, 0) for each in list(found._counted)), self._zero)


class profile:  # noqa: N801 - a function to its callers
    """Times what building multimodal inputs does, as a context manager or a decorator.

    Counts what happens in its block: in the same thread or asyncio task, and in the workers of a
    HashExecutor for what was submitted from there. Profiles nest. As a decorator, of functions and
    coroutine functions, it adds up all calls, from any thread. Where no profile is active the cost
    is a look at a context variable.

    Its attributes: `requests` (calls of MultimodalInputs.from_dict), `items` (made by from_dict or
    called for), `hashes` (computed, not carried), `bytes` (of what was hashed), `cache_hits` (of
    the whole process during the hashing), `construction_s` and `hashing_s` (seconds of wall time,
    summed over threads). str() gives all of it with advice().

    >>> with mmhash.profile() as found:
    ...     item = mmhash.MultimodalDataItem.from_dict({"modality": "IMAGE", "feature": b"pixels"})
    ...     inputs = mmhash.MultimodalInputs.from_dict({"mm_items": [item]})
    ...     pad_value = item.pad_value
    >>> found.requests, found.items, found.hashes, found.bytes
    (1, 1, 1, 6)
    >>> found.advice()
    'under 10 ms of hashing a request: redundant work on every rank is fine, never broadcast'
    """

    requests, items, hashes = _Count(), _Count(), _Count()
    bytes, cache_hits = _Count(), _Count()
    construction_s, hashing_s = _Count(0.0), _Count(0.0)

    def __init__(self) -> None:
        # Whatever was counted, summed up now and then. No lock: a finalizer or a signal handler
        # that hashes may come between any two lines.
        self._counted: deque[dict[str, float]] = deque()

    def __enter__(self) -> profile:
        _active.set((*_active.get(), self))
        return self

    def __exit__(self, *_: object) -> None:
        active = _active.get()
        for i in reversed(range(len(active))):
            if active[i] is self:
                _active.set(active[:i] + active[i + 1 :])
                return
        raise RuntimeError(
            "profile: expected to be left in the thread or asyncio task that entered it"
        )

    def __call__(self, function: F) -> F:
        """Decorates a function: its calls are added up."""
        import inspect  # it takes longer to import than all of mmhash

        @functools.wraps(function)
        def call(*args: Any, **keywords: Any) -> Any:
            with self:
                return function(*args, **keywords)

        @functools.wraps(function)
        async def call_async(*args: Any, **keywords: Any) -> Any:
            with self:
                return await function(*args, **keywords)

        return cast(F, call_async if inspect.iscoroutinefunction(function) else call)

    def advice(self) -> str:
        """What the time of hashing per request means for a server of several ranks."""
        each = 1e3 * self.hashing_s / max(1, self.requests)
        if each > EXPENSIVE_MS:
            return "over 20 ms of hashing a request: resolve before sending (mmhash.HashExecutor)"
        if each >= CHEAP_MS:
            return (
                "10 to 20 ms of hashing a request: resolve before sending where the ranks are "
                "short of time, never broadcast"
            )
        return (
            "under 10 ms of hashing a request: redundant work on every rank is fine, "
            "never broadcast"
        )

    def __str__(self) -> str:
        return (
            f"{self.requests} requests, {self.items} items: "
            f"construction {1e3 * self.construction_s:.3f} ms, "
            f"hashing {1e3 * self.hashing_s:.3f} ms ({self.hashes} hashes of {self.bytes:,} bytes, "
            f"{self.cache_hits} cache hits)\n{self.advice()}"
        )

    def _add(self, **counts: float) -> None:
        self._counted.append(counts)
        if len(self._counted) > SUM_UP_AT:
            total: dict[str, float] = {}
            for _ in range(SUM_UP_AT):
                try:
                    counts = self._counted.popleft()
                except IndexError:  # another thread sums up too
                    break
                for name, count in counts.items():
                    total[name] = total.get(name, 0) + count
            self._counted.append(total)


def is_active() -> bool:
    """Whether anybody is counting here."""
    return bool(_active.get())


def hash_with(function: Callable[..., R], value: Any, **keywords: Any) -> R:
    """`function(value, **keywords)`, counted as one hash. Ask is_active() first where time counts.

    (Keywords that are passed on cost as much as the hash of something small.)
    """
    found = _active.get()
    if not found:
        return function(value, **keywords)
    hits, start = _core.cache_stats()[0], time.perf_counter()
    try:
        return function(value, **keywords)
    finally:
        seconds = time.perf_counter() - start
        hits = max(0, _core.cache_stats()[0] - hits)  # cache_clear() sets it to 0
        for each in found:
            each._add(hashing_s=seconds, hashes=1, bytes=nbytes(value), cache_hits=hits)


def construct_with(function: Callable[[A], R], fields: A, **counts: int) -> R:
    """`function(fields)`, counted as construction."""
    start = time.perf_counter()
    try:
        return function(fields)
    finally:
        seconds = time.perf_counter() - start
        for each in _active.get():
            each._add(construction_s=seconds, **counts)


def nbytes(value: Any) -> int:
    """The size of tensors, arrays and buffers in nested lists and mappings; 0 for anything else."""
    return sum(map(_size, leaves(value)))


def _size(value: Any) -> int:
    found = getattr(value, "nbytes", None)
    if isinstance(found, int):
        return found
    return len(value) if isinstance(value, (bytes, bytearray, str)) else 0
