"""Items whose hash is computed when it is first read, at most once, and travels with them."""

from __future__ import annotations

from typing import Any, ClassVar

from mmhash import _carried, _core, profiling
from mmhash._hash_state import (
    STATE,
    HashState,
    Known,
    Maker,
    arrived,
    checked_hash,
    first_64_bits,
)
from mmhash._item_algorithm import OWN, ItemAlgorithm, configured, opened
from mmhash._nested import is_empty
from mmhash._single_flight import AsksForItselfError, compute_once

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

    An item is hashed by its own algorithm and key (MultimodalDataItem takes them, and HashExecutor
    has them for items without), or those of its class, which come after the bases as in `class
    Item(mmhash.LazyHash, algorithm="blake3", key=...)` and which subclasses inherit, or those that
    mmhash.configure() has set when it is hashed. `copy` and `deepcopy` keep an item's own; pickle
    leaves them out, and no key is ever in a pickle.

    `item.pad_value` is `item.hash % 2**30`. `item.identity` is mmhash.identity(), 16 or 32 bytes,
    which an overriding hash does not change. `repr`, `==`, `dataclasses.asdict` and
    `dataclasses.replace` hash nothing, and `replace` makes an item that is unresolved again and has
    no algorithm of its own.

    Any thread may read and assign; two that read at once hash once. There is no lock: finalizers
    and signal handlers may do so too, an exception of theirs leaves nothing behind, and what they
    ask for while the same thread hashes may be hashed twice. Hashing releases the GIL from 256 KiB
    on. A feature on a GPU is hashed on the reading thread's current stream. What hashing
    raises is raised by the read, and not kept: TypeError for a feature that has no identity,
    ValueError where there is nothing to hash, RuntimeError in place of an AttributeError, which
    Python would take for a missing attribute.

    A computed hash travels with the name of its algorithm and the id of its key. Where it is first
    read it is used, if that item would be hashed by the same there; if not, the item is hashed
    again. Where that cannot be, because nothing is left to hash or what is there has no identity (a
    handle of a transport), it is used unchecked. An item that is only passed on keeps what it came
    with. `mmhash.info()["carried"]` counts all three, and the latter two are logged as a warning by
    the logger "mmhash", once for each pair of algorithms and keys: configure all processes alike.

    **A hash that came with a pickle, or was assigned, is trusted:** it is not compared with the
    feature. Whoever can send an engine such items can give one image the cache entry of another.
    Let only processes that you trust do so (they can run code through pickle anyway), and never
    take a hash from a client's request.

    A class must not have fields called `hash`, `pad_value` or `identity`: TypeError when it is
    defined, and for its algorithm and key what mmhash.identity() raises.

    >>> class Item(mmhash.LazyHash):
    ...     def __init__(self, feature=None, precomputed_embeddings=None):
    ...         self.feature, self.precomputed_embeddings = feature, precomputed_embeddings
    >>> item = Item(b"pixels")
    >>> item.is_resolved, item.hash == mmhash.hash_feature(b"pixels"), item.is_resolved
    (False, True, True)
    >>> item.feature = None
    >>> item.hash == mmhash.hash_feature(b"pixels")
    True
    >>> class Keyed(Item, algorithm="blake3", key=bytes(32)):
    ...     pass
    >>> Keyed(b"pixels").identity == mmhash.identity(b"pixels", algorithm="blake3", key=bytes(32))
    True
    >>> item.hash = -1
    Traceback (most recent call last):
    ValueError: hash: expected a non-negative int or None, found -1
    """

    resolve_before_copying: ClassVar[bool] = True
    """Whether pickle, copy and deepcopy of an unresolved item hash it first."""

    feature: Any
    precomputed_embeddings: Any

    _of_class: ClassVar[ItemAlgorithm | None] = None

    def __init_subclass__(cls, *, algorithm: Any = None, key: Any = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        given = opened(ItemAlgorithm, algorithm, key)
        if given is not None:
            cls._of_class = given
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
            HashState(forgotten=True)
            if value is None
            else HashState(Known(checked_hash(value), None, None))
        )

    @property
    def pad_value(self) -> int:
        """`hash % 2**30`: what stands for the item's tokens in the prefix cache."""
        return self.hash % PAD_VALUES

    @property
    def identity(self) -> bytes:
        """16 or 32 bytes: mmhash.identity() of what the item holds, or held when resolved."""
        state = self._state()
        known = self._known_in(state)
        if known.identity is None and state.of_identity is not None:
            known = self._known_in(state.of_identity)
        assert known.identity is not None
        return known.identity

    @property
    def is_resolved(self) -> bool:
        """Whether the hash is known, and not to be computed here. Never hashes."""
        state = self.__dict__.get(STATE)
        if type(state) is not HashState:
            return state is not None
        return self._is_settled(state) or ("carried" in state.cells and not self._parts())

    def resolve(self) -> int:
        """Computes the hash now, unless it is known, and returns it."""
        state = self._state()
        number = state.known()
        return self._known().number if number is None else number

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
        if type(state) is not HashState:
            if state is not None:
                return
        elif not copied and (state.forgotten or self._is_settled(state)):
            return
        before, after = self._parts(), self._parts(name, value)
        if copied:
            if after and not _same(before, after):
                self.hash = None  # what was computed was computed of the other item's
        elif not all(after.get(each) is part for each, part in before.items()):
            self.resolve()

    def _state(self) -> HashState:
        """ValueError for what is none, which a __setstate__ of the class's own put there."""
        state = self.__dict__.get(STATE)
        if state is None:
            state = self.__dict__.setdefault(STATE, HashState())
        if type(state) is not HashState:
            state = arrived(state)
        return state

    def _known(self) -> Known:
        """The hash and where it is from, computed now unless it is known."""
        state = self._state()
        if "carried" in state.cells and self._is_settled(state):
            known: Known = state.cells["result"]
        else:
            known = self._known_in(state)
        now = self.__dict__.get(STATE)
        if now is not state and type(now) is HashState and "result" in now.cells:
            known = now.cells["result"]  # assigned meanwhile
        return known

    def _algorithm(self) -> ItemAlgorithm:
        """Its own, its class's, or that of the process, now."""
        return self.__dict__.get(OWN) or self._of_class or configured()

    def _is_settled(self, state: HashState) -> bool:
        """Whether the hash is known. One that came is from now on, if this process agrees."""
        if state.known() is None:
            carried = state.cells.get("carried")
            if carried is not None:
                expected = self._algorithm().maker
                if carried.maker == expected:
                    _settle(state, state.cells.setdefault("result", carried), expected)
        return state.known() is not None  # another thread may have come to know it meanwhile

    def _known_in(self, state: HashState) -> Known:
        try:
            known: Known = compute_once(state.cells, lambda: self._compute(state.cells))
        except AsksForItselfError:
            raise RuntimeError(
                "hash: hashing the item's feature asked for the item's own hash"
            ) from None
        state.known()
        if "carried" in state.cells:
            _settle(state, known, self._algorithm().maker)
        return known

    def _compute(self, cells: dict[str, Any]) -> Known:
        """Or what came, if this process would have made the same or nothing can be hashed here."""
        by = self._algorithm()
        carried: Known | None = cells.get("carried")
        parts = self._parts()
        if carried is not None and (carried.maker == by.maker or not parts):
            return carried
        if not parts:
            raise ValueError(
                "hash: nothing to hash, feature and precomputed_embeddings are empty; read the "
                "hash before both are released, or assign it"
            )
        try:
            value, algorithm = self._whole(parts), by.algorithm
            if profiling.is_active():
                identity = profiling.hash_with(_core.identity, value, algorithm=algorithm)
            else:
                identity = _core.identity(value, algorithm=algorithm)
        except AttributeError as error:
            # `item.hash` would look like a missing attribute, and ask the class's __getattr__.
            source = next(parts[name] for name in HASHED if name in parts)
            raise RuntimeError(
                f"hash: hashing a {type(source).__qualname__} failed: {error}"
            ) from error
        except TypeError:
            # It has no identity, as a handle of a transport that stands for the feature.
            if carried is None:
                raise
            return carried
        return Known(first_64_bits(identity), identity, by.maker)

    # How it travels.

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Of pickle, copy and deepcopy: the hash is in the state that they take."""
        state = self.__dict__.get(STATE)
        # What came, and was not read, travels on as it is: the last to receive it may know it.
        travels = state.travelling() if type(state) is HashState else state
        if travels is None and self._parts():
            if self.resolve_before_copying:
                self.resolve()
            else:  # Pillow pickles an image that failed to load as black pixels
                _core.load_images(held_by(self))
        return super().__reduce_ex__(protocol)

    def __setstate__(self, state: Any) -> None:
        """As without the mixin, but refusing a hash that this version does not understand."""
        attributes, slots = state if isinstance(state, tuple) else (state, None)
        if attributes:
            own = attributes.get(STATE)
            if own is not None:
                own = own.taken() if type(own) is HashState else arrived(own)
            self.__dict__.update(attributes)
            # Neither of the two stands there where pickle has left it out.
            for name, value in ((STATE, own), (OWN, attributes.get(OWN))):
                if value is not None:
                    self.__dict__[name] = value
                else:
                    self.__dict__.pop(name, None)
        for name, value in (slots or {}).items():
            object.__setattr__(self, name, value)


def held_by(item: Any) -> list[Any]:
    """The values that are hashed of an item with LazyHash, or with attributes of the same names."""
    if isinstance(item, LazyHash):
        return list(item._parts().values())
    return [getattr(item, name, None) for name in HASHED]


def _settle(state: HashState, known: Known, expected: Maker) -> None:
    """Accounts once for a hash that came, now that there is a result."""
    carried = state.cells.pop("carried", None)
    if carried is not None:
        _carried.settled(carried, known, expected)


def _same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return before.keys() == after.keys() and all(after[name] is before[name] for name in after)
