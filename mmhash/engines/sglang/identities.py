"""All 256 bits of a hash, through functions of SGLang that know 64.

Since 0.5.23 an item can have an identity of 32 bytes, from which SGLang derives the four sentinels
that stand for it in the prefix cache. But `set_pad_value()` asks `hash_feature()` for an int and
gives it to `set_hash()`, which makes the sentinels of those 64 bits. So that int has the identity
on it, as an attribute that is lost in any arithmetic, and where it arrives in `set_hash()` as it
left `hash_feature()`, the item gets the identity. A hash that a caller or a processor has set, one
that SGLang draws or mixes with something, and what another plugin's hook makes of ours are plain
ints: they mean what they meant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

DIGEST_BYTES = 32  # what SGLang's set_identity() takes

SetHash = Callable[[Any, int], None]


class Hash(int):
    """The first 64 bits of an identity, big-endian, with all of it. A copy is a plain int."""

    identity: bytes

    @classmethod
    def of(cls, identity: bytes) -> Hash:
        """The hash of an identity."""
        made = cls.from_bytes(identity[:8], "big")
        made.identity = identity
        return made

    def __reduce__(self) -> Any:
        """Of pickle, copy and deepcopy: who unpickles it need not have mmhash."""
        return int, (int(self),)


def wrap(original: SetHash) -> SetHash:
    """MultimodalDataItem.set_hash, which sets the identity where the hash has one."""

    @functools.wraps(original)
    def set_hash(self: Any, hash_value: int) -> None:
        if isinstance(hash_value, Hash):
            self.set_identity(hash_value.identity)
        else:
            original(self, hash_value)

    return set_hash
