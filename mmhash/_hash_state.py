"""What an item knows of its hash: what its `__dict__` holds, and what is pickled of it."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

# The name in the item's __dict__, so that pickle, copy and vars() see it like any other attribute,
# and a class needs no field for it.
STATE = "_mmhash_state"
STATE_VERSION = 3
HASH_MASK = 2**64 - 1

Maker = tuple[str, str | None]  # the algorithm's name and the id of its key, or None without one


class Known(NamedTuple):
    """A hash, and where it is from.

    identity: whose first 64 bits the number is. None of a number that was assigned, or that was
    made of others' (merge()). maker: who computed it. None of a number that was assigned.
    """

    number: int
    identity: bytes | None
    maker: Maker | None


class HashState:
    """What is known since the item was made, or since its hash was last assigned.

    An assignment puts another in its place, so that who was still hashing meanwhile (a stale
    epoch) stores the result where nobody reads it. A state is never reset.

    number: the hash, once it is known; set by whoever knows it, always to the same.
    cells: of compute_once(), whose result is a Known; and under "carried" the Known that came with
    a pickle, until a reader finds out whether this process would have computed the same.
    of_identity: another, for the identity, where the hash is one that has none.
    forgotten: by `item.hash = None`. copied: the number was computed for the item of which this one
    is a copy, so that it is not that of another feature. unpickled: no item has it yet.
    """

    __slots__ = ("cells", "copied", "forgotten", "number", "of_identity", "unpickled")

    def __init__(
        self, known: Known | None = None, *, carried: Known | None = None, forgotten: bool = False
    ) -> None:
        self.number = None if known is None else known.number
        self.cells: dict[str, Any] = {} if known is None else {"result": known}
        if carried is not None:
            self.cells["carried"] = carried
        found = known or carried
        self.of_identity = HashState() if found is not None and found.identity is None else None
        self.forgotten, self.copied, self.unpickled = forgotten, False, False

    def known(self) -> int | None:
        """The hash, if it was assigned or computed here, or settled after it came."""
        if self.number is None and "result" in self.cells:
            self.number = self.cells["result"].number
        return self.number

    def travelling(self) -> Known | None:
        """What copies and pickles take along: what is known, or came and was not read here."""
        carried: Known | None = self.cells.get("carried")  # first: it goes when there is a result
        return self.cells.get("result") or carried

    def copy(self) -> HashState:
        """For a copy of the item, which shares nothing with it."""
        carried = self.cells.get("carried")
        known = self.cells.get("result")
        made = HashState(known, carried=None if known else carried, forgotten=self.forgotten)
        if self.of_identity is not None:
            made.of_identity = self.of_identity.copy()
        found = known or carried
        made.copied = found is not None and found.identity is not None
        return made

    def taken(self) -> HashState:
        """For an item that pickle or copy has made: itself, or a copy where another has it."""
        if not self.unpickled:
            return self.copy()
        self.unpickled = False
        return self

    def __deepcopy__(self, memo: Any) -> HashState:
        """The same as copy()."""
        return self.copy()

    def __reduce__(self) -> Any:
        """Pickled as (STATE_VERSION, number, identity, algorithm, key id); of no hash, as None.

        The last two are of the identity, which is that of the number or, where the number was
        assigned, of what the item held; without identity they are of the number. A forgotten hash
        has none of the four.
        """
        found = self.travelling()
        if found is None:
            if not self.forgotten:
                return type(None), ()
            return arrived, ((STATE_VERSION, None, None, None, None),)
        number, identity, maker = found
        if maker is None and self.of_identity is not None:
            beside = self.of_identity.travelling()
            if beside is not None:
                _, identity, maker = beside
        return arrived, ((STATE_VERSION, number, identity, *(maker or (None, None))),)


def first_64_bits(identity: bytes) -> int:
    """As hash_feature() has them."""
    return int.from_bytes(identity[:8], "big")


def arrived(state: Any) -> HashState:
    """Of what was pickled. ValueError for what this version does not understand.

    By this name since state version 3: where an earlier mmhash reads the pickle, a function of this
    name says that the version is another.
    """
    if not isinstance(state, tuple) or len(state) < 3 or not isinstance(state[0], int):
        raise ValueError(f"{STATE}: expected (version, hash, identity, ...), found {state!r:.80}")
    if state[0] != STATE_VERSION or len(state) != 5:
        raise ValueError(
            f"{STATE}: this item was pickled by another version of mmhash (state version "
            f"{state[0]}, here {STATE_VERSION}): use the same mmhash on both sides"
        )
    _, number, identity, name, key_id = state
    maker = None if name is None else (name, key_id)
    if number is None:
        made = HashState(forgotten=True)
    elif maker is None:
        made = HashState(Known(number, None, None))
    elif identity is not None and first_64_bits(identity) != number:
        made = HashState(Known(number, None, None))
        made.of_identity = HashState(carried=Known(first_64_bits(identity), identity, maker))
    else:
        made = HashState(carried=Known(number, identity, maker))
    made.unpickled = True
    return made


def checked_hash(value: Any) -> int:
    """Of what is assigned. TypeError and ValueError say what a hash is."""
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
