"""Dataclass items (SGLang 0.5.5 and those like it) that hash when the hash is read.

SGLang's own set_pad_value() means "the hash is that of the present feature". The replacement only
notes that it was called. From then on, until the hash is known,

- reading `hash` or `pad_value` resolves: it runs SGLang's own set_pad_value(), which hashes;
- so does whatever could change or take away what is to be hashed, or look past the attributes:
  assigning, setting or deleting `feature`, `precomputed_embeddings`, `hash` or `pad_value`
  (releasing a feature is `feature = None`), merge(), which adds in place, and pickle, copy and
  deepcopy.

An item on which set_pad_value() was not called yet is as it always was: its hash is None, its
feature may be replaced or sliced, and copies of it know nothing of each other. So every hash is
the one that SGLang would have had, unless a feature's *memory* is written between set_pad_value()
and the first read; SGLang reads in the same call.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import weakref
from typing import Any

from mmhash._counters import Counters
from mmhash.engines.patches import Patches

# In the item's __dict__ while its hash is put off: a _Pending.
PENDING = "_mmhash_pending"

_numbers = itertools.count()  # of what was put off, in whatever installation

_WATCHED = frozenset(("feature", "precomputed_embeddings", "hash", "pad_value"))


class _Pending:
    """Single flight of one item: its lock is held while it is hashed, and other readers wait.

    It belongs to the item and goes with it, so that no two items wait for each other. The lock is
    one that `with` gives back whatever interrupts hashing, and knows its own thread: SGLang's
    set_pad_value() reads and assigns attributes that would resolve in any other.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock: Any = threading.RLock()


class LazyItems:
    """Makes set_pad_value() of a dataclass put the hash off, once patch() was called."""

    def __init__(self, item_class: Any, counters: Counters) -> None:
        self._item_class, self._counters = item_class, counters
        self._set_pad_value = vars(item_class)["set_pad_value"]  # SGLang's own
        self._setitem = vars(item_class).get("__setitem__")
        self._merge = vars(item_class).get("merge")
        self._deferring = True
        # By number; an item that goes takes its entry along (a weakref callback).
        self._put_off: dict[int, weakref.ref[Any]] = {}

    def resolve(self, item: Any) -> None:
        """Hashes if that was put off. In the thread that is resolving: does nothing.

        What it raises leaves the item as it was: the next call hashes again.
        """
        state = item.__dict__
        pending = state.get(PENDING)
        if pending is None or pending.lock._is_owned():
            return
        try:
            with pending.lock:
                if state.get(PENDING) is pending:  # or another thread was first
                    self._set_pad_value(item)
                    self._put_off.pop(pending.number, None)
                    state.pop(PENDING)
        except AttributeError as error:
            # Out of a property it would be taken for a missing attribute.
            raise RuntimeError(f"hash: hashing the item failed: {error}") from error

    def set_pad_value_now(self, item: Any) -> None:
        """SGLang's own set_pad_value(), of an item whose hash may be put off."""
        if PENDING in item.__dict__:
            self.resolve(item)
        else:
            self._set_pad_value(item)

    def settle(self) -> None:
        """Puts no more hashes off, and resolves all that are: before the class is as it was."""
        self._deferring = False
        try:
            for reference in list(self._put_off.values()):
                item = reference()
                if item is not None:
                    with contextlib.suppress(Exception):  # what has no hash then has none now
                        self.resolve(item)
        except BaseException:
            self._deferring = True
            raise

    def patch(self, patches: Patches) -> None:
        """Replaces the methods and adds the properties."""
        resolve, cls = self.resolve, self._item_class
        original_setitem, original_merge = self._setitem, self._merge

        def set_pad_value(item: Any) -> None:
            """Puts the hash off, unless it is known or there is nothing to hash."""
            self._put_off_hash(item)

        def setattr_(item: Any, name: str, value: Any) -> None:
            if PENDING in item.__dict__ and name in _WATCHED:
                resolve(item)
            object.__setattr__(item, name, value)

        def delattr_(item: Any, name: str) -> None:
            if PENDING in item.__dict__ and name in _WATCHED:
                resolve(item)
            object.__delattr__(item, name)

        def setitem(item: Any, key: str, value: Any) -> None:
            if PENDING in item.__dict__ and key in _WATCHED:
                resolve(item)
            assert original_setitem is not None
            original_setitem(item, key, value)

        def merge(item: Any, other: Any) -> None:
            resolve(item)
            assert original_merge is not None
            original_merge(item, other)

        def reduce_ex(item: Any, protocol: Any) -> Any:
            if PENDING in item.__dict__:
                resolve(item)
            return object.__reduce_ex__(item, protocol)

        patches.replace(cls, "set_pad_value", set_pad_value)
        for name in ("hash", "pad_value"):
            patches.add(cls, name, self._property_of(name))
        patches.add(cls, "__setattr__", setattr_)
        patches.add(cls, "__delattr__", delattr_)
        patches.add(cls, "__reduce_ex__", reduce_ex)
        if original_setitem is not None:
            patches.replace(cls, "__setitem__", setitem)
        if original_merge is not None:
            patches.replace(cls, "merge", merge)

    def _put_off_hash(self, item: Any) -> None:
        state = item.__dict__
        if PENDING in state:
            return
        if (
            not self._deferring
            or state.get("hash") is not None
            or state.get("pad_value") is not None
            or (state.get("feature") is None and state.get("precomputed_embeddings") is None)
        ):
            self._set_pad_value(item)
            return
        self._counters.add("deferred")
        number, put_off = next(_numbers), self._put_off
        put_off[number] = weakref.ref(item, lambda _: put_off.pop(number, None))
        state[PENDING] = _Pending(number)
        if not self._deferring:  # since it was asked above: settle() may have passed this one by
            self.resolve(item)

    def _property_of(self, name: str) -> property:
        def read(item: Any) -> Any:
            if PENDING in item.__dict__:
                self.resolve(item)
            return item.__dict__.get(name)

        def write(item: Any, value: Any) -> None:
            item.__dict__[name] = value

        def delete(item: Any) -> None:
            if name not in item.__dict__:
                raise AttributeError(name)
            del item.__dict__[name]

        return property(read, write, delete, f"SGLang's `{name}`, hashed when it is first read.")
