"""Recipes of values: one makes many objects that are the same value, and names one that is not.

`make(draw)` builds the value in a container and memory layout that are drawn, `changed(draw)` is
the recipe of a value that differs in one place. Arrays and images: arrays.py and images.py.
"""

from __future__ import annotations

import array
import collections
import ctypes
import math
import struct
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from drawing import Draw
from value_strategies import Grid, Lines, Number, ReadOnly, Text


class Recipe(Protocol):
    def make(self, draw: Draw) -> Any: ...

    def changed(self, draw: Draw) -> Recipe: ...


class Whole(int):
    pass


@dataclass(frozen=True)
class Nothing:
    def make(self, draw: Draw) -> None:
        return None

    def changed(self, draw: Draw) -> Recipe:
        return Truth(draw.one_in(2))


@dataclass(frozen=True)
class Truth:
    value: bool

    def make(self, draw: Draw) -> bool:
        return self.value

    def changed(self, draw: Draw) -> Recipe:
        return draw.choice((Truth(not self.value), Integer(int(self.value)), Nothing()))


@dataclass(frozen=True)
class Integer:
    value: int

    def make(self, draw: Draw) -> int:
        return Whole(self.value) if draw.one_in(4) else self.value

    def changed(self, draw: Draw) -> Recipe:
        if abs(self.value) < 2**53 and draw.one_in(4):
            return Real(struct.pack("<d", self.value))
        return Integer(self.value ^ 1 << draw.below(self.value.bit_length() + 9))


@dataclass(frozen=True)
class Real:
    """A float by its bits, since NaNs of all bits are one value."""

    bits: bytes

    @property
    def value(self) -> float:
        return struct.unpack("<d", self.bits)[0]  # type: ignore[no-any-return]

    def make(self, draw: Draw) -> float:
        number = self.value
        if math.isnan(number) and draw.one_in(2):
            number = struct.unpack("<d", draw.choice((b"\1", b"\2")) + bytes(5) + b"\xf8\xff")[0]
        return Number(number) if draw.one_in(4) else number

    def changed(self, draw: Draw) -> Recipe:
        if draw.one_in(4):
            return Imaginary(self.bits, bytes(8))
        return Real(other_number(self.bits, draw))


@dataclass(frozen=True)
class Imaginary:
    real: bytes
    imaginary: bytes

    def make(self, draw: Draw) -> complex:
        return complex(Real(self.real).value, Real(self.imaginary).value)

    def changed(self, draw: Draw) -> Recipe:
        return Imaginary(self.real, other_number(self.imaginary, draw))


def other_number(bits: bytes, draw: Draw) -> bytes:
    """The bits of a float that is not the same: not another NaN for a NaN."""
    other = flipped(bits, draw)
    return bytes(8) if math.isnan(Real(bits).value) and math.isnan(Real(other).value) else other


@dataclass(frozen=True)
class Writing:
    text: str

    def make(self, draw: Draw) -> str:
        return Text(self.text) if draw.one_in(4) else self.text

    def changed(self, draw: Draw) -> Recipe:
        if draw.one_in(4):
            return Buffer(self.text.encode("utf-8", "surrogatepass"))
        place = draw.below(len(self.text) + 1)
        return Writing(self.text[:place] + draw_character(draw) + self.text[place:])


@dataclass(frozen=True)
class Buffer:
    content: bytes

    def make(self, draw: Draw) -> Any:
        return draw.choice(BUFFERS)(self.content)

    def changed(self, draw: Draw) -> Recipe:
        if self.content and not draw.one_in(4):
            return Buffer(flipped(self.content, draw))
        return Buffer(self.content + b"\0")


def every_second(data: bytes) -> memoryview:
    spread = bytearray(2 * len(data))
    spread[::2] = data
    return memoryview(spread)[::2]


def transposed(data: bytes) -> memoryview:
    """Two dimensions whose bytes in C order are the data, which lie column by column."""
    rows = next((n for n in (3, 2) if len(data) % n == 0), 1)
    columns = np.frombuffer(data, np.uint8).reshape(rows, -1).T.copy()
    return memoryview(columns.T)


BUFFERS: tuple[Callable[[bytes], Any], ...] = (
    bytes,
    bytearray,
    memoryview,
    every_second,
    lambda data: memoryview(data[::-1])[::-1],
    transposed,
    lambda data: array.array("b", data),
    lambda data: (ctypes.c_uint8 * len(data)).from_buffer_copy(data),
)


@dataclass(frozen=True)
class Sequence:
    items: tuple[Recipe, ...]

    def make(self, draw: Draw) -> Any:
        items = [item.make(draw) for item in self.items]
        if len(items) == 2 and draw.one_in(3):
            return Grid(*items)
        return draw.choice((list, tuple, Lines))(items)

    def changed(self, draw: Draw) -> Recipe:
        if not self.items or draw.one_in(4):
            return draw.choice((Sequence((*self.items, Nothing())), Sequence((self,))))
        place = draw.below(len(self.items))
        other = self.items[place].changed(draw)
        return Sequence((*self.items[:place], other, *self.items[place + 1 :]))


MAPPINGS: tuple[Callable[[dict[Any, Any]], Any], ...] = (
    dict,
    collections.OrderedDict,
    types.MappingProxyType,
    collections.UserDict,
    ReadOnly,
)


@dataclass(frozen=True)
class Entries:
    """A mapping. Of keys that are equal in Python, such as 1 and True, it has one only."""

    entries: tuple[tuple[Recipe, Recipe], ...]

    def make(self, draw: Draw) -> Any:
        entries = list(self.entries)
        if draw.one_in(2):
            entries.reverse()
        if entries:
            first = draw.below(len(entries))
            entries = entries[first:] + entries[:first]
        return draw.choice(MAPPINGS)({key.make(draw): item.make(draw) for key, item in entries})

    def changed(self, draw: Draw) -> Recipe:
        if not self.entries:
            return Sequence(())
        place = draw.below(len(self.entries))
        before, (key, item), after = (
            self.entries[:place],
            self.entries[place],
            self.entries[place + 1 :],
        )
        if draw.one_in(4):
            return Entries((*before, *after))
        return Entries((*before, (key, item.changed(draw)), *after))


def flipped(data: bytes, draw: Draw) -> bytes:
    """The data with one bit changed."""
    place = draw.below(len(data))
    return data[:place] + bytes([data[place] ^ 1 << draw.below(8)]) + data[place + 1 :]


# Drawing recipes.


def draw_character(draw: Draw) -> str:
    return chr(draw.below(draw.choice((0x80, 0x800, 0x10000, 0x110000))))


def draw_text(draw: Draw) -> Writing:
    few = "".join(draw_character(draw) for _ in range(draw.below(6)))
    return Writing(few + draw.choice(("x", "é", "\ud800", "\U0001f600")) * draw.size())


def draw_integer(draw: Draw) -> Integer:
    if draw.one_in(3):
        power = 2 ** draw.below(700)
        return Integer(draw.choice((power, power - 1, -power, -power - 1, 1 - power)))
    return Integer(int.from_bytes(draw.bytes(draw.below(12)), "little", signed=True))


def draw_real(draw: Draw) -> Real:
    special = (0.0, -0.0, 1.0, math.inf, -math.inf, math.nan, sys.float_info.min, 5e-324)
    if draw.one_in(2):
        return Real(struct.pack("<d", draw.choice(special)))
    return Real(draw.bytes(8))


def draw_scalar(draw: Draw) -> Recipe:
    drawers: tuple[Callable[[Draw], Recipe], ...] = (
        lambda draw: Nothing(),
        lambda draw: Truth(draw.one_in(2)),
        draw_integer,
        draw_real,
        lambda draw: Imaginary(draw_real(draw).bits, draw_real(draw).bits),
        draw_text,
    )
    return draw.choice(drawers)(draw)


def draw_key(draw: Draw) -> Recipe:
    if draw.one_in(6):
        return FixedTuple(tuple(draw_scalar(draw) for _ in range(draw.below(3))))
    return draw_scalar(draw)


@dataclass(frozen=True)
class FixedTuple(Sequence):
    """A sequence that is hashable whenever its items are."""

    def make(self, draw: Draw) -> Any:
        return tuple(item.make(draw) for item in self.items)


def draw_entries(draw: Draw, draw_item: Callable[[Draw], Recipe]) -> Entries:
    seen: dict[Any, tuple[Recipe, Recipe]] = {}
    for _ in range(draw.below(5)):
        key = draw_key(draw)
        made = key.make(Draw(b""))
        if made not in seen:
            seen[made] = (key, draw_item(draw))
    return Entries(tuple(seen.values()))
