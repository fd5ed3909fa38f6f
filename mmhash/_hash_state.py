"""What an item knows of its hash: what its `__dict__` holds, and what is pickled of it."""

from __future__ import annotations

from typing import Any

# The name in the item's __dict__, so that pickle, copy and vars() see it like any other attribute,
# and a class needs no field for it.
STATE = "_mmhash_state"
STATE_VERSION = 2


class HashState:
    """What is known since the item was made, or since its hash was last assigned.

    An assignment puts another in its place, so that who was still hashing meanwhile (a stale
    epoch) stores the result where nobody reads it. A state is never reset.

    number: the hash, once it is known; set by whoever knows it, always to the same.
    cells: of compute_once(), whose result is the identity.
    forgotten: by `item.hash = None`. copied: the number was computed for the item of which this one
    is a copy, so that it is not that of another feature.
    """

    __slots__ = ("cells", "copied", "forgotten", "number")

    def __init__(
        self,
        number: int | None = None,
        identity: bytes | None = None,
        forgotten: bool = False,
        copied: bool = False,
    ) -> None:
        self.number, self.forgotten, self.copied = number, forgotten, copied
        self.cells: dict[str, Any] = {} if identity is None else {"result": identity}

    def known(self) -> int | None:
        """The hash, if it was assigned or computed."""
        if self.number is None and "result" in self.cells:
            self.number = first_64_bits(self.cells["result"])
        return self.number

    def copy(self) -> HashState:
        """For a copy of the item, which shares nothing with it."""
        number, identity = self.known(), self.cells.get("result")
        computed = identity is not None and number == first_64_bits(identity)
        return HashState(number, identity, self.forgotten, computed)

    def __deepcopy__(self, memo: Any) -> HashState:
        """The same."""
        return self.copy()

    def __reduce__(self) -> Any:
        """Pickled as the tuple (STATE_VERSION, hash, identity or None); of no hash, as None."""
        number = self.known()
        if number is not None:
            return tuple, ((STATE_VERSION, number, self.cells.get("result")),)
        return (HashState, (None, None, True)) if self.forgotten else (type(None), ())


def first_64_bits(identity: bytes) -> int:
    """As hash_feature() has them."""
    return int.from_bytes(identity[:8], "big")


def checked(state: Any) -> tuple[int, int, bytes | None]:
    """The tuple that was pickled. ValueError for what this version does not understand."""
    if not isinstance(state, tuple) or len(state) < 3 or not isinstance(state[0], int):
        raise ValueError(f"{STATE}: expected (version, hash, identity), found {state!r:.80}")
    if state[0] != STATE_VERSION:
        raise ValueError(
            f"{STATE}: this item was pickled by another version of mmhash (state version "
            f"{state[0]}, here {STATE_VERSION}): use the same mmhash on both sides"
        )
    return state[:3]


def arrived(state: Any) -> HashState | None:
    """Of an item that was unpickled or copied: its own state, of what was in the other's."""
    if state is None:
        return None
    return state.copy() if isinstance(state, HashState) else HashState(*checked(state)[1:])
