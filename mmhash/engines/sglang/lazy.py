"""Dataclass items (SGLang 0.5.5 and those like it) that hash when the hash is read.

SGLang's own set_pad_value() means "the hash is that of the present feature". The replacement only
notes that it was called. From then on, until the hash is known,

- reading `hash` or `pad_value` resolves: it runs SGLang's own set_pad_value(), which hashes;
- so does whatever could change or take away what is to be hashed, or look past the attributes:
  assigning or setting `feature`, `precomputed_embeddings`, `hash` or `pad_value` (releasing a
  feature is `feature = None`), merge(), which adds in place, and pickle, copy and deepcopy.

An item on which set_pad_value() was not called yet is as it always was: its hash is None, its
feature may be replaced or sliced, and copies of it know nothing of each other. So every hash is
the one that SGLang would have had, unless a feature's *memory* is written between set_pad_value()
and the first read; SGLang reads in the same call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import weakref
from collections.abc import Callable
from typing import Any

from mmhash.engines.patches import Patches
from mmhash.engines.sglang.counts import Counts

# In the item's __dict__: True while the hash is put off, False while a thread resolves it.
PENDING = "_mmhash_pending"

_WATCHED = frozenset(("feature", "precomputed_embeddings", "hash", "pad_value"))

# Of all items: held while one is hashed. Ranks have one thread that reads hashes, and senders hash
# in threads without this, so nothing waits for it in practice; it makes two readers hash once.
_lock = threading.RLock()


@dataclasses.dataclass(frozen=True)
class LazyItems:
    """What make_lazy() made."""

    set_pad_value_now: Callable[[Any], None]
    """SGLang's own set_pad_value(), of an item whose hash may be put off."""
    resolve_all: Callable[[], None]
    """Resolves every item whose hash is put off: before the class becomes what it was."""


def make_lazy(item_class: Any, patches: Patches, counts: Counts) -> LazyItems:
    """Makes set_pad_value() of a dataclass put the hash off."""
    put_off: dict[int, weakref.ref[Any]] = {}  # by id; an item that goes takes its entry along
    original_set_pad_value = vars(item_class)["set_pad_value"]
    original_setitem = vars(item_class).get("__setitem__")
    original_merge = vars(item_class).get("merge")

    def resolve(item: Any) -> None:
        """Hashes if that was put off. In the thread that is resolving: does nothing."""
        state = item.__dict__
        with _lock:
            if not state.get(PENDING):
                return
            state[PENDING] = False
            try:
                original_set_pad_value(item)
            except AttributeError as error:
                # Out of a property it would be taken for a missing attribute.
                raise RuntimeError(f"hash: hashing the item failed: {error}") from error
            finally:
                if state.get("pad_value") is None:
                    state[PENDING] = True  # it raised, and will again
                else:
                    del state[PENDING]
                    put_off.pop(id(item), None)

    def set_pad_value(self: Any) -> None:
        """Puts the hash off, unless it is known or there is nothing to hash."""
        state = self.__dict__
        if PENDING in state:
            return
        if (
            state.get("hash") is not None
            or state.get("pad_value") is not None
            or (state.get("feature") is None and state.get("precomputed_embeddings") is None)
        ):
            original_set_pad_value(self)
            return
        counts.add("deferred")
        key = id(self)
        put_off[key] = weakref.ref(self, lambda _: put_off.pop(key, None))
        state[PENDING] = True

    def resolve_all() -> None:
        for reference in list(put_off.values()):
            item = reference()
            if item is not None:
                with contextlib.suppress(Exception):  # what has no hash then has none now
                    resolve(item)

    def set_pad_value_now(item: Any) -> None:
        """As SGLang's own."""
        if PENDING in item.__dict__:
            resolve(item)
        else:
            original_set_pad_value(item)

    def property_of(name: str) -> property:
        def read(self: Any) -> Any:
            if PENDING in self.__dict__:
                resolve(self)
            return self.__dict__.get(name)

        def write(self: Any, value: Any) -> None:
            self.__dict__[name] = value

        return property(read, write, doc=f"SGLang's `{name}`, hashed when it is first read.")

    def setattr_(self: Any, name: str, value: Any) -> None:
        if PENDING in self.__dict__ and name in _WATCHED:
            resolve(self)
        object.__setattr__(self, name, value)

    def setitem(self: Any, key: str, value: Any) -> None:
        if PENDING in self.__dict__ and key in _WATCHED:
            resolve(self)
        assert original_setitem is not None
        original_setitem(self, key, value)

    def merge(self: Any, other: Any) -> None:
        resolve(self)
        assert original_merge is not None
        original_merge(self, other)

    def reduce_ex(self: Any, protocol: Any) -> Any:
        if PENDING in self.__dict__:
            resolve(self)
        return object.__reduce_ex__(self, protocol)

    patches.replace(item_class, "set_pad_value", set_pad_value)
    for name in ("hash", "pad_value"):
        patches.add(item_class, name, property_of(name))
    patches.add(item_class, "__setattr__", setattr_)
    patches.add(item_class, "__reduce_ex__", reduce_ex)
    if original_setitem is not None:
        patches.replace(item_class, "__setitem__", setitem)
    if original_merge is not None:
        patches.replace(item_class, "merge", merge)
    return LazyItems(set_pad_value_now, resolve_all)
