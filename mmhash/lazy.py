"""Items whose hash is computed when it is first read, at most once, and travels with them."""

from __future__ import annotations

import operator
import os
import threading
from typing import Any, ClassVar

from mmhash import _core, profiling

HASH_MASK = 2**64 - 1
PAD_VALUES = 2**30

# The hash stands in the item's __dict__ under this name, as (STATE_VERSION, hash, identity or
# None), so that pickle, copy and vars() see it like any other attribute, and a class needs no field
# for it.
STATE = "_mmhash_state"
STATE_VERSION = 1

HASHED = ("feature", "precomputed_embeddings")
PROVIDED = ("hash", "pad_value", "identity")


class _Resolution:
    """An item that a thread is hashing; others that want its hash wait for `done`."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.done = threading.Event()


# By id(item), each of which the hashing thread keeps alive. `_guard` is held for single assignments
# only, never while anything is hashed or any code of the item's runs.
_in_flight: dict[int, _Resolution] = {}
_guard = threading.Lock()


def _after_fork_in_child() -> None:
    global _guard
    _guard = threading.Lock()  # it may have been held by a thread that the child does not have
    _in_flight.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class LazyHash:
    """A mixin for items with `feature` and `precomputed_embeddings`: `item.hash`, when it is read.

    `item.hash` is `mmhash.hash_feature()` of the feature, or of the precomputed embeddings where
    the feature is None or an empty list: computed on first read, kept, and carried by pickle,
    `copy` and `deepcopy`, which resolve it first (unless `resolve_before_copying` is False). What
    an eager engine computes at construction, this computes later, and it is the same number
    whenever it is read: an assignment to an unresolved item that would change what is hashed hashes
    that first, so that a feature may be moved to a device, wrapped or released (`item.feature =
    None`) at any time. (So an `__init__` should assign the feature before the embeddings.) Only a
    feature whose *memory* is written before the hash is read has the later contents' hash.

    `item.hash = n` overrides it with `n & (2**64 - 1)`, and `item.hash = None` forgets it, so that
    the next read computes it anew. `item.pad_value` is `item.hash % 2**30`. `item.identity` is the
    16 bytes of mmhash.identity(), which an overriding hash does not change. `repr`, `==`,
    `dataclasses.asdict` and `dataclasses.replace` hash nothing, and `replace` makes an item that is
    unresolved again.

    Any thread may read and assign; two that read at once hash once. Hashing releases the GIL from
    256 KiB on. A feature on a GPU is hashed on the reading thread's current stream. What hashing
    raises is raised by the read, and not kept: TypeError for a feature that has no identity,
    ValueError where there is nothing to hash, RuntimeError in place of an AttributeError, which
    Python would take for a missing attribute.

    **A hash that came with a pickle, or was assigned, is trusted:** it is not compared with the
    feature. Whoever can send an engine such items can give one image the cache entry of another.
    Let only processes that you trust do so (they can run code through pickle anyway), and never
    take a hash from a client's request.

    A class must not have fields called `hash`, `pad_value` or `identity`: TypeError when it is
    defined.

    >>> class Item(mmhash.LazyHash):
    ...     def __init__(self, feature=None, precomputed_embeddings=None):
    ...         self.feature, self.precomputed_embeddings = feature, precomputed_embeddings
    >>> item = Item(b"pixels")
    >>> item.is_resolved, item.hash == mmhash.hash_feature(b"pixels"), item.is_resolved
    (False, True, True)
    >>> item.feature = None
    >>> item.hash == mmhash.hash_feature(b"pixels")
    True
    >>> item.hash = -1
    Traceback (most recent call last):
    ValueError: hash: expected a non-negative int or None, found -1
    """

    resolve_before_copying: ClassVar[bool] = True
    """Whether pickle, copy and deepcopy of an unresolved item hash it first."""

    feature: Any
    precomputed_embeddings: Any

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        for name in PROVIDED:
            owner = next(base for base in cls.__mro__ if name in base.__dict__)
            if not isinstance(owner.__dict__[name], property):
                raise TypeError(
                    f"{owner.__qualname__} defines {name!r}, which mmhash.LazyHash provides: "
                    "remove it there, and assign item.hash where a hash is known (a property "
                    "that calls super() may override it)"
                )

    # What is read and assigned.

    @property
    def hash(self) -> int:
        """64 bits: the overriding hash, or the first 8 bytes of the identity."""
        state = self.__dict__.get(STATE)
        return self.resolve() if state is None else int(_checked_state(state)[1])

    @hash.setter
    def hash(self, value: int | None) -> None:
        state = None if value is None else (STATE_VERSION, _checked_hash(value), None)
        with _guard:
            if state is None:
                self.__dict__.pop(STATE, None)
            else:
                self.__dict__[STATE] = state

    @property
    def pad_value(self) -> int:
        """`hash % 2**30`: what stands for the item's tokens in the prefix cache."""
        return self.hash % PAD_VALUES

    @property
    def identity(self) -> bytes:
        """16 bytes: mmhash.identity() of what the item holds, or held when it was resolved."""
        state = _checked_state(self.__dict__.get(STATE))
        if state is None:
            self.resolve()
            return self.identity
        found: bytes | None = state[2]
        if found is None:  # the hash was assigned
            found = _identity_of(self)
            with _guard:
                if self.__dict__.get(STATE) == state:
                    self.__dict__[STATE] = (STATE_VERSION, state[1], found)
        return found

    @property
    def is_resolved(self) -> bool:
        """Whether the hash is known. Never hashes."""
        return STATE in self.__dict__

    def resolve(self) -> int:
        """Computes the hash now, unless it is known, and returns it."""
        while True:
            with _guard:
                state = self.__dict__.get(STATE)
                running = _in_flight.get(id(self))
                if state is None and running is None:
                    running = mine = _in_flight[id(self)] = _Resolution()
                    break
            if state is not None:
                return int(_checked_state(state)[1])
            assert running is not None
            if running.thread == threading.get_ident():
                raise RuntimeError("hash: hashing the item's feature asked for the item's own hash")
            running.done.wait()
        try:
            identity = _identity_of(self)
            number = int.from_bytes(identity[:8], "big")
            with _guard:
                # Unless it was assigned meanwhile.
                return int(self.__dict__.setdefault(STATE, (STATE_VERSION, number, identity))[1])
        finally:
            with _guard:
                if _in_flight.get(id(self)) is mine:
                    del _in_flight[id(self)]
            mine.done.set()

    def set_pad_value(self) -> None:
        """Does nothing: for callers of engines' items, whose hash this computed."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Resolves first where what would be hashed is about to be another."""
        if name in HASHED and STATE not in self.__dict__:
            self._save_hash(name, value)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Resolves first where what would be hashed is about to go."""
        if name in HASHED and STATE not in self.__dict__:
            self._save_hash(name, None)
        super().__delattr__(name)

    def _save_hash(self, name: str, value: Any) -> None:
        held = [getattr(self, each, None) for each in HASHED]
        source = _chosen(*held)
        held[HASHED.index(name)] = value
        if source is not None and _chosen(*held) is not source:
            self.resolve()

    # How it travels.

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Of pickle, copy and deepcopy: the hash is in the state that they take."""
        if self.resolve_before_copying and STATE not in self.__dict__ and _source(self) is not None:
            self.resolve()
        return super().__reduce_ex__(protocol)

    def __setstate__(self, state: Any) -> None:
        """As without the mixin, but refusing a hash that this version does not understand."""
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        if attributes:
            _checked_state(attributes.get(STATE))
            self.__dict__.update(attributes)
        for name, value in (slots or {}).items():
            object.__setattr__(self, name, value)


def _checked_hash(value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"hash: expected a non-negative int or None, found a {type(value).__qualname__}"
        ) from None
    if number < 0:
        raise ValueError(f"hash: expected a non-negative int or None, found {number}")
    return number & HASH_MASK


def _checked_state(state: Any) -> Any:
    if state is None:
        return None
    if not isinstance(state, tuple) or len(state) < 3 or not isinstance(state[0], int):
        raise ValueError(f"{STATE}: expected (version, hash, identity), found {state!r:.80}")
    if state[0] != STATE_VERSION:
        raise ValueError(
            f"{STATE}: this item was pickled by another version of mmhash (state version "
            f"{state[0]}, here {STATE_VERSION}): use the same mmhash on both sides"
        )
    return state


def is_empty(value: Any) -> bool:
    """Whether there is nothing in it: None, or nested lists of nothing but None."""
    return value is None or (isinstance(value, (list, tuple)) and all(map(is_empty, value)))


def _chosen(feature: Any, precomputed_embeddings: Any) -> Any:
    """What is hashed of the two; None if both are empty."""
    if not is_empty(feature):
        return feature
    return None if is_empty(precomputed_embeddings) else precomputed_embeddings


def _source(item: Any) -> Any:
    return _chosen(*(getattr(item, name, None) for name in HASHED))


def _identity_of(item: Any) -> bytes:
    source = _source(item)
    if source is None:
        raise ValueError(
            "hash: nothing to hash, feature and precomputed_embeddings are empty; read the hash "
            "before both are released, or assign it"
        )
    try:
        return profiling.hash_with(_core.identity, source)
    except AttributeError as error:
        # `item.hash` would look like a missing attribute, and ask the class's __getattr__ for it.
        raise RuntimeError(
            f"hash: hashing a {type(source).__qualname__} failed: {error}"
        ) from error
