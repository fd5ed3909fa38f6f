"""Items whose hash is computed when it is first read, at most once, and travels with them."""

from __future__ import annotations

import operator
from typing import Any, ClassVar

from mmhash import _core, profiling
from mmhash._hash_state import STATE, HashState, arrived, checked
from mmhash._nested import is_empty
from mmhash._single_flight import AsksForItselfError, compute_once

HASH_MASK = 2**64 - 1
PAD_VALUES = 2**30

HASHED = ("feature", "precomputed_embeddings")
PROVIDED = ("hash", "pad_value", "identity")


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

    `item.hash = n` overrides it with `n & (2**64 - 1)`. **After `item.hash = None` the next read
    computes it of what the item holds then, whatever was assigned in between** (pickling and
    copying read, too); and a copy that is given another feature forgets a hash that was computed
    of the old one, as if by None, so that parts of a bundle may be made by `copy.copy`.

    `item.pad_value` is `item.hash % 2**30`. `item.identity` is the 16 bytes of mmhash.identity(),
    which an overriding hash does not change. `repr`, `==`, `dataclasses.asdict` and
    `dataclasses.replace` hash nothing, and `replace` makes an item that is unresolved again.

    Any thread may read and assign; two that read at once hash once. There is no lock: finalizers
    and signal handlers may do so too, an exception of theirs leaves nothing behind, and what they
    ask for while the same thread hashes may be hashed twice. Hashing releases the GIL from 256 KiB
    on. A feature on a GPU is hashed on the reading thread's current stream. What hashing
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
        if type(state) is HashState and state.number is not None:
            return state.number
        return self.resolve()

    @hash.setter
    def hash(self, value: int | None) -> None:
        # In the place of the old state, in which a thread that is hashing now will store.
        self.__dict__[STATE] = (
            HashState(forgotten=True) if value is None else HashState(_checked_hash(value))
        )

    @property
    def pad_value(self) -> int:
        """`hash % 2**30`: what stands for the item's tokens in the prefix cache."""
        return self.hash % PAD_VALUES

    @property
    def identity(self) -> bytes:
        """16 bytes: mmhash.identity() of what the item holds, or held when it was resolved."""
        state = self._state()
        if type(state) is HashState:
            return self._identity_in(state)
        return checked(state)[2] or self._compute()

    @property
    def is_resolved(self) -> bool:
        """Whether the hash is known. Never hashes."""
        return _is_known(self.__dict__.get(STATE))

    def resolve(self) -> int:
        """Computes the hash now, unless it is known, and returns it."""
        state = self._state()
        if type(state) is not HashState:
            return int(checked(state)[1])
        if state.known() is None:
            self._identity_in(state)
            now = self.__dict__.get(STATE)
            if type(now) is HashState and now.number is not None:
                return now.number  # assigned meanwhile
        number = state.known()
        assert number is not None
        return number

    def set_pad_value(self) -> None:
        """Does nothing: for callers of engines' items, whose hash this computed."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Resolves first where what would be hashed is about to be another."""
        state = self.__dict__.get(STATE)
        settled = type(state) is HashState and state.number is not None and not state.copied
        if not settled and self._is_hashed(name):
            self._keep_hash(name, value)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Resolves first where what would be hashed is about to go."""
        if self._is_hashed(name):
            self._keep_hash(name, None)
        super().__delattr__(name)

    # What is hashed. MultimodalDataItem, which hashes more, overrides these three.

    def _is_hashed(self, name: str) -> bool:
        """Whether that attribute can be part of what is hashed."""
        return name in HASHED

    def _parts(self, name: str | None = None, value: Any = None) -> dict[str, Any]:
        """What is hashed, or would be if the attribute `name` had that value. Of nothing: {}."""
        for each in HASHED:
            held = value if each == name else getattr(self, each, None)
            if not is_empty(held):
                return {each: held}
        return {}

    def _whole(self, parts: dict[str, Any]) -> Any:
        """The value whose identity is that of an item with these parts."""
        (source,) = parts.values()
        return source

    def _keep_hash(self, name: str, value: Any) -> None:
        """Before an attribute gets that value: sees to it that the hash stays right."""
        state = self.__dict__.get(STATE)
        copied = type(state) is HashState and state.copied
        if not copied and (_is_known(state) or (type(state) is HashState and state.forgotten)):
            return
        before, after = self._parts(), self._parts(name, value)
        if copied:
            if after and not _same(before, after):
                self.hash = None  # what was computed was computed of the other item's
        elif not all(after.get(each) is part for each, part in before.items()):
            self.resolve()

    def _state(self) -> Any:
        """A HashState, or what a __setstate__ of the class's own put there."""
        state = self.__dict__.get(STATE)
        return self.__dict__.setdefault(STATE, HashState()) if state is None else state

    def _identity_in(self, state: HashState) -> bytes:
        try:
            return compute_once(state.cells, self._compute)
        except AsksForItselfError:
            raise RuntimeError(
                "hash: hashing the item's feature asked for the item's own hash"
            ) from None

    def _compute(self) -> bytes:
        parts = self._parts()
        if not parts:
            raise ValueError(
                "hash: nothing to hash, feature and precomputed_embeddings are empty; read the "
                "hash before both are released, or assign it"
            )
        try:
            return profiling.hash_with(_core.identity, self._whole(parts))
        except AttributeError as error:
            # `item.hash` would look like a missing attribute, and ask the class's __getattr__.
            source = next(parts[name] for name in HASHED if name in parts)
            raise RuntimeError(
                f"hash: hashing a {type(source).__qualname__} failed: {error}"
            ) from error

    # How it travels.

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Of pickle, copy and deepcopy: the hash is in the state that they take."""
        if not self.is_resolved and self._parts():
            if self.resolve_before_copying:
                self.resolve()
            else:  # Pillow pickles an image that failed to load as black pixels
                _core.load_images(held_by(self))
        return super().__reduce_ex__(protocol)

    def __setstate__(self, state: Any) -> None:
        """As without the mixin, but refusing a hash that this version does not understand."""
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        if attributes:
            own = arrived(attributes.get(STATE))
            self.__dict__.update(attributes)
            if own is not None:
                self.__dict__[STATE] = own
            else:
                self.__dict__.pop(STATE, None)
        for name, value in (slots or {}).items():
            object.__setattr__(self, name, value)


def held_by(item: Any) -> list[Any]:
    """The values that are hashed of an item with LazyHash, or with attributes of the same names."""
    if isinstance(item, LazyHash):
        return list(item._parts().values())
    return [getattr(item, name, None) for name in HASHED]


def _is_known(state: Any) -> bool:
    return state.known() is not None if type(state) is HashState else state is not None


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return before.keys() == after.keys() and all(after[name] is before[name] for name in after)


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
