"""Ten million values that are alike: what a weak hash maps to neighbours, or to one place.

Nothing is random, so that a check of their hashes gives the same verdict in every run. Each family
is a function that makes its values one by one, all distinct; some change one array in place, so
that a value must be hashed before the next is made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

#: Odd multiplier of Knuth's multiplicative hashing: spreads counters over 64 bits.
GOLDEN = 0x9E3779B97F4A7C15


def integers() -> Iterator[object]:
    return iter(range(1_000_000))


def floats() -> Iterator[object]:
    return map(float, range(1_000_000))


def texts() -> Iterator[object]:
    return map(str, range(1_000_000))


def counters() -> Iterator[object]:
    """Eight bytes each, of which the last five never change."""
    data = np.arange(1_000_000, dtype="<u8").tobytes()
    return (data[start : start + 8] for start in range(0, len(data), 8))


def two_bits() -> Iterator[object]:
    """200 bytes in which two bits are set: all 1,279,200 pairs of positions."""
    single = [1 << position for position in range(1600)]
    pairs = itertools.combinations(single, 2)
    return ((one | other).to_bytes(200, "little") for one, other in pairs)


def one_byte() -> Iterator[object]:
    """An image of 4 KiB, all 0 but for one element: each position, each value."""
    array = np.zeros((64, 64), np.uint8)
    flat = array.reshape(-1)
    for position in range(flat.size):
        for value in range(1, 256):
            flat[position] = value
            yield array
        flat[position] = 0


def one_bit_in_a_tree() -> Iterator[object]:
    """24 KiB, which are three leaves, in which one bit is set: each position."""
    data = bytearray(3 * 8192)
    for position in range(len(data)):
        for bit in range(8):
            data[position] = 1 << bit
            yield data
        data[position] = 0


def constants() -> Iterator[object]:
    """Arrays of one value throughout: each value, each length up to 4096."""
    for value in range(256):
        array = np.full(4096, value, np.uint8)
        for length in range(1, 4097):
            yield array[:length]


def shapes() -> Iterator[object]:
    """Arrays without any element: 1,048,576 shapes, and nothing else to tell them by."""
    empty = np.zeros(0, np.float32)
    for height in range(1024):
        for width in range(1024):
            yield empty.reshape(0, height, width)


def pairs() -> Iterator[object]:
    """Lists of two small numbers."""
    return ([one, other] for one in range(800) for other in range(800))


FAMILIES: tuple[Callable[[], Iterator[object]], ...] = (
    integers,
    floats,
    texts,
    counters,
    two_bits,
    one_byte,
    one_bit_in_a_tree,
    constants,
    shapes,
    pairs,
)


def flipped(words: int, bases: int) -> Iterator[object]:
    """Of each of so many tensors of 64-bit words: itself, then it with each bit flipped in turn."""
    for base in range(1, bases + 1):
        array = np.arange(1, words + 1, dtype=np.uint64) * np.uint64(base * GOLDEN % 2**64)
        yield array
        for word in range(words):
            for bit in range(64):
                array[word] ^= np.uint64(1 << bit)
                yield array
                array[word] ^= np.uint64(1 << bit)
