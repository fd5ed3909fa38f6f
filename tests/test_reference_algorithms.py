"""The reference by algorithms with 32-byte digests, against the last part of SPEC.md by hand."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import blake3
import numpy as np
import pytest
import reference

KEY = bytes(range(32))

BY_HAND: dict[tuple[str, bytes | None], Callable[[bytes], bytes]] = {
    ("sha256", None): lambda data: hashlib.sha256(data).digest(),
    ("sha256", KEY): lambda data: hmac.new(KEY, data, hashlib.sha256).digest(),
    ("blake3", None): lambda data: blake3.blake3(data).digest(),
    ("blake3", KEY): lambda data: blake3.blake3(data, key=KEY).digest(),
}


@pytest.mark.parametrize(("name", "key"), BY_HAND)
def test_frames_are_those_of_xxh3(name: str, key: bytes | None) -> None:
    hashed = BY_HAND[name, key]
    one, text = hashed(b"mmh1I\1"), hashed(b"mmh1S" + reference.u64(1) + b"a")
    assert reference.identity(1, name, key) == one
    assert reference.identity([1, "a"], name, key) == hashed(
        b"mmh1L" + reference.u64(2) + one + text
    )
    assert reference.identity({"a": 1}, name, key) == hashed(
        b"mmh1M" + reference.u64(1) + text + one
    )


@pytest.mark.parametrize(("name", "key"), BY_HAND)
@pytest.mark.parametrize("length", [0, 8192, 8193, 8192 * 512 + 1])
def test_a_long_payload_is_one_digest(name: str, key: bytes | None, length: int) -> None:
    hashed = BY_HAND[name, key]
    data = reference.payload(5, length)
    folded = data if length <= 8192 else hashed(data)
    expected = hashed(b"mmh1Y" + reference.u64(length) + folded)
    assert reference.identity(data, name, key) == expected
    array = np.frombuffer(data, np.uint8)
    head = b"mmh1T\5uint8\1" + reference.u64(length)
    assert reference.identity(array, name, key) == hashed(head + folded)
