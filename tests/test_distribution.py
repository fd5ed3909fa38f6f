"""The 64-bit hash by XXH3, and pad values cut from it, over ten million structured inputs.

A hash without fault fails this with a probability below 1e-9 (distribution.py), and since nothing
here is random, one that has passed passes always. It takes ten to twenty seconds.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import structured_inputs
import xxhash
from distribution import (
    COMPARISONS,
    CUTS,
    Hashes,
    avalanche_faults,
    faults,
    repeats,
    repeats_expected,
)
from hashings import Hashing, each_hashing
from structured_inputs import FAMILIES, GOLDEN, flipped

import mmhash

#: Words of a tensor, and how many tensors: of 64 and of 256 bytes.
AVALANCHES = ((8, 1024), (32, 256))


def hashed(hash_of: Callable[[object], int], values: Iterator[object]) -> Hashes:
    return np.fromiter(map(hash_of, values), np.uint64)


def avalanche(hash_of: Callable[[object], int], words: int, bases: int) -> Hashes:
    return hashed(hash_of, flipped(words, bases)).reshape(bases, 1 + words * 64)


def test_ten_million_inputs() -> None:
    found = {family.__name__: hashed(mmhash.hash_feature, family()) for family in FAMILIES}
    for words, bases in AVALANCHES:
        changes = avalanche(mmhash.hash_feature, words, bases)
        assert avalanche_faults(changes) == [], f"{words} words"
        found[f"flipped {words}"] = changes.reshape(-1)
    for name, hashes in found.items():
        assert faults(hashes) == [], name
    everything = np.concatenate([*found.values()])
    assert len(everything) >= 10_000_000
    assert faults(everything) == []
    assert repeats(everything) == 0, "frozen inputs of a frozen format: a fact, and no chance"


@each_hashing
def test_a_part_of_them_by_every_algorithm(hashing: Hashing) -> None:
    """Cryptographic functions need no statistics; but where they are cut may be wrong."""
    for family in FAMILIES:
        hashes = hashed(hashing.hash_feature, itertools.islice(family(), 20_000))
        assert faults(hashes) == [], family.__name__
    assert avalanche_faults(avalanche(hashing.hash_feature, 1, 512)) == []


def test_there_are_fewer_comparisons_than_the_bounds_allow_for() -> None:
    samples = len(FAMILIES) + len(AVALANCHES) + 1
    cells = sum(64 * (words * 64 + 1) for words, _ in AVALANCHES)
    assert samples * (len(CUTS) + 64) + cells < COMPARISONS


def test_the_bounds_are_near_what_is_expected() -> None:
    """Of ten million: none in 64 bits, and in 30 what the birthday problem has exactly."""
    assert repeats_expected(10**7, 64) == (0, 2)
    expected = 10**7 + 2**30 * math.expm1(10**7 * math.log1p(-(2.0**-30)))
    least, most = repeats_expected(10**7, 30)
    assert 0.95 * expected < least < expected < most < 1.05 * expected


# Negative controls: what a hash may have of faults, and the check that finds it.


def good() -> Hashes:
    return hashed(mmhash.hash_feature, iter(range(1_000_000)))


def mixed(values: Hashes) -> Hashes:
    """A permutation of 64-bit numbers, that of splitmix64: cut values look like whole ones."""
    values = (values ^ values >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ values >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return values ^ values >> np.uint64(31)


def numbered(hashes: Hashes) -> Hashes:
    return np.arange(len(hashes), dtype=np.uint64)


def low(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


SPOILT: dict[str, tuple[Callable[[Hashes], Hashes], str]] = {
    "a bit is always set": (lambda h: h | np.uint64(1), "bit 0: set in 1000000"),
    "a bit leans by 0.8 %": (lambda h: h | (h >> np.uint64(58) == 0).astype(np.uint64), "bit 0: "),
    "two bits are one": (lambda h: h & ~low(1) | h >> np.uint64(1) & low(1), "30 bits: "),
    "only 32 bits count": (lambda h: mixed(h & low(32)), "64 bits: "),
    "29 bits make the pad value": (
        lambda h: h & ~low(30) | mixed(h & low(29)) & low(30),
        "30 bits: ",
    ),
    "the counter itself": (lambda h: numbered(h), "bit 63: set in 0,"),
    "spread too evenly": (lambda h: numbered(h) * np.uint64(GOLDEN), "30 bits: 0 repeats"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_hash_is_found(name: str) -> None:
    spoil, expected = SPOILT[name]
    assert any(fault.startswith(expected) for fault in faults(spoil(good())))


def test_the_hash_that_the_spoilt_ones_are_made_of_is_not() -> None:
    assert faults(good()) == faults(mixed(good())) == []


def test_a_hash_of_the_elements_alone_is_found() -> None:
    def blind(array: object) -> int:
        return xxhash.xxh3_64_intdigest(memoryview(array).tobytes())  # type: ignore[arg-type]

    hashes = hashed(blind, itertools.islice(structured_inputs.shapes(), 1000))
    assert faults(hashes)[0] == "64 bits: 999 repeats, expected 0 to 1"


def test_a_linear_hash_is_found() -> None:
    """CRC-32 spreads well, but a bit of the value changes the same bits of it always."""

    def linear(array: object) -> int:
        data = memoryview(array).tobytes()  # type: ignore[arg-type]
        return zlib.crc32(data) << 32 | zlib.crc32(data, 1)

    found = avalanche_faults(avalanche(linear, 8, 256))
    assert found[0].startswith("input bit 0 changes bit ")
