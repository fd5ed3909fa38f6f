"""Every algorithm, keyed and not, for tests that hold under each."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import reference

import mmhash

KEY = bytes(range(32))


class Hashing(NamedTuple):
    """An algorithm, and the key or None."""

    algorithm: str
    key: bytes | None = None

    def identity(self, value: object) -> bytes:
        return mmhash.identity(value, algorithm=self.algorithm, key=self.key)

    def hash_feature(self, value: object) -> int:
        return mmhash.hash_feature(value, algorithm=self.algorithm, key=self.key)

    def reference(self, value: object) -> bytes:
        return reference.identity(value, self.algorithm, self.key)

    def __str__(self) -> str:
        return self.algorithm + ("-keyed" if self.key else "")


#: All of them: a line each.
HASHINGS = (
    Hashing("xxh3"),
    Hashing("blake3"),
    Hashing("blake3", KEY),
    Hashing("sha256"),
    Hashing("sha256", KEY),
)

each_hashing = pytest.mark.parametrize("hashing", HASHINGS, ids=str)
