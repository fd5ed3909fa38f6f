"""The cache of identities, as its users see it. csrc/cache/cache.h argues why a hit is right."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple

from mmhash import _core
from mmhash._nested import leaves


class CacheInfo(NamedTuple):
    """What the cache has done in this process, and how full it is.

    >>> mmhash.cache_info()._fields
    ('hits', 'misses', 'bypasses', 'evictions', 'invalidations', 'maxsize', 'currsize')
    """

    hits: int
    """Identities found, each with proof that the memory has not changed."""
    misses: int
    """Identities computed and remembered."""
    bypasses: int
    """Identities computed and not remembered, because a change of the memory could go unseen."""
    evictions: int
    """Entries dropped for younger ones."""
    invalidations: int
    """Entries dropped because the memory was written or freed, or by forget()."""
    maxsize: int
    """Entries it may hold; 0 turns it off."""
    currsize: int
    """Entries it holds."""


def cache_info() -> CacheInfo:
    """What the cache has done since the start, the last cache_clear(), or the fork.

    Values below info()["cache_min_bytes"] are hashed without asking the cache, and not counted.

    >>> mmhash.cache_info()._fields[:3]
    ('hits', 'misses', 'bypasses')
    """
    return CacheInfo(*_core.cache_stats())


def cache_clear() -> None:
    """Empties the cache and sets its counts to zero. What is frozen stays frozen.

    >>> mmhash.cache_clear()
    >>> mmhash.cache_info().currsize
    0
    """
    _core.cache_clear()


def cache_resize(maxsize: int) -> None:
    """Sets how many entries the cache may hold, evicting the oldest beyond that; 0 turns it off.

    An entry takes about 1 KB. The default is 4,096, or the environment variable MMHASH_CACHE_SIZE.

    Raises TypeError for anything but an int, and ValueError for a negative one.

    >>> mmhash.cache_resize(-1)
    Traceback (most recent call last):
    ValueError: cache_resize() expected a number of entries from 0, found -1
    """
    if not isinstance(maxsize, int) or isinstance(maxsize, bool):
        raise TypeError(
            "cache_resize() expected the number of entries as an int, "
            f"found a {type(maxsize).__qualname__}"
        )
    if not 0 <= maxsize < 2**32:
        found = maxsize if abs(maxsize) < 2**64 else "a larger number"
        raise ValueError(f"cache_resize() expected a number of entries from 0, found {found}")
    _core.cache_resize(maxsize)


class freeze:  # noqa: N801 - a function to its callers
    """Promises that the memory of a value will not change, so that its identity may be cached.

    For memory that can change unseen: inference tensors, tensors made by from_numpy(), shared or
    pinned memory, devices other than CUDA's, NumPy arrays (read-only ones too, since torch and
    others write through the flag), and any object with the buffer protocol that can be weakly
    referenced (a memoryview can, a bytearray cannot). `value` may be a
    list, tuple or mapping of these; tensors of a subclass are hashed each time, frozen or not. The
    promise holds for the memory: for every view of a tensor's storage and of an array's owner. It
    ends with forget(value), with the owner of the memory, or, as a context manager, with the block
    (a block within another ends only its own promise).
    Only the object that this returns keeps the value alive.

    If the memory does change, hits are wrong: call forget(value) first, then write.

    Raises TypeError for what is none of these.

    >>> with mmhash.freeze(memoryview(bytes(100_000))) as pixels:
    ...     mmhash.identity(pixels) == mmhash.identity(pixels)
    True
    >>> mmhash.freeze("pixels")
    Traceback (most recent call last):
    TypeError: cannot take a str; freeze a tensor, an array or a buffer
    """

    def __init__(self, value: object, /) -> None:
        self._value = value
        # What is frozen now, whatever happens to the list, or to a tensor's storage.
        self._owners: list[object] = []
        try:
            for leaf in leaves(value):
                self._owners.append(_core.freeze(leaf))
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> object:
        """The value."""
        return self._value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the promise."""
        self._end()

    def _end(self) -> None:
        for owner in self._owners:
            _core.thaw(owner)


def forget(value: object, /) -> None:
    """Drops what the cache knows of a value's memory, and ends freeze().

    To be called after a write that leaves a tensor's `_version` as it is (through .data,
    untyped_storage(), DLPack or a raw pointer, by collectives, fused optimizers, batch norm's
    statistics or custom kernels; csrc/cache/cache.h has the list), and before frozen memory is
    written. Drops the entries of all views of the same storage or array, and of whatever else shows
    the same memory: forget(a_bytearray) drops those of its memoryviews.
    `value` may be a list, tuple or mapping of tensors, arrays and buffers; other values in it have
    no entries.

    >>> mmhash.forget([b"not", "cached", 1])
    """
    for leaf in leaves(value):
        _core.forget(leaf)
