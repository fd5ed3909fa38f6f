"""Recipes of tensors and arrays: any dtype and shape, in any library's and any memory layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from drawing import Draw
from recipes import Buffer, Recipe, flipped
from reference import DTYPES
from vectors import numpy_dtype

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Elements:
    """The payload: the elements in C order, little-endian; of bools 0 and 1."""

    dtype: str
    shape: tuple[int, ...]
    payload: bytes

    def make(self, draw: Draw) -> Any:
        payload = self.payload
        if self.dtype == "bool" and draw.one_in(4):  # any other byte is true as well
            payload = bytes(byte and draw.choice((1, 2, 0x80, 0xFF)) for byte in payload[:64])
            payload += self.payload[64:]
        raw = np.frombuffer(bytearray(payload), word(self.dtype)).reshape(self.shape)
        return draw.choice(LIBRARIES)(raw, self.dtype, draw)

    def changed(self, draw: Draw) -> Recipe:
        way = draw.below(6)
        if way == 0:
            return replace(self, shape=draw.choice(((1, *self.shape), (*self.shape, 1))))
        if way == 1:
            same_size = [n for n in sorted(DTYPES) if DTYPES[n] == DTYPES[self.dtype]]
            others = [n for n in same_size if n not in (self.dtype, "bool")]
            if others:
                return replace(self, dtype=draw.choice(others))
        if way == 2 and self.shape != (turned := self.shape[::-1]):
            return replace(self, shape=turned)
        if way == 3:
            return Buffer(self.payload)
        if not self.payload:
            return replace(self, shape=(0, *self.shape))
        if self.dtype == "bool":
            place = draw.below(len(self.payload))
            byte = bytes([1 - self.payload[place]])
            return replace(self, payload=self.payload[:place] + byte + self.payload[place + 1 :])
        return replace(self, payload=flipped(self.payload, draw))


def word(dtype: str) -> str:
    """Unsigned integers of the dtype's size: NumPy lays out those of all dtypes alike."""
    return "V16" if DTYPES[dtype] == 16 else f"u{DTYPES[dtype]}"


# Layouts of the raw elements: other memory, the same elements.


def dense(raw: Array, draw: Draw) -> Array:
    return raw


def padded(raw: Array, draw: Draw) -> Array:
    """A slice of a larger array in each dimension."""
    steps = [1 + draw.below(3) for _ in raw.shape]
    starts = [draw.below(3) for _ in raw.shape]
    shape = [a + n * step for a, n, step in zip(starts, raw.shape, steps, strict=True)]
    if math.prod(shape) > 1 << 21:
        return raw
    larger = np.full(shape, 0xAB if raw.dtype.kind == "u" else b"\xab" * 16, raw.dtype)
    window = larger[(..., *(slice(a, None, step) for a, step in zip(starts, steps, strict=True)))]
    window = window[(..., *(slice(n) for n in raw.shape))]
    window[...] = raw
    return window


def turned(raw: Array, draw: Draw) -> Array:
    """Its axes lie in memory in another order."""
    axes = list(range(raw.ndim))
    order = [axes.pop(draw.below(len(axes))) for _ in raw.shape]
    back = [order.index(axis) for axis in range(raw.ndim)]
    return raw.transpose(order).copy(order="C").transpose(back)


def reversed_(raw: Array, draw: Draw) -> Array:
    back = tuple(slice(None, None, draw.choice((1, -1))) for _ in raw.shape)
    return raw[(..., *back)].copy(order="C")[(..., *back)]


def unaligned(raw: Array, draw: Draw) -> Array:
    offset = 1 + draw.below(15)
    memory = np.zeros(raw.nbytes + offset, np.uint8)
    shifted = memory[offset:].view(raw.dtype).reshape(raw.shape)
    shifted[...] = raw
    return shifted


FORWARD: tuple[Callable[[Array, Draw], Array], ...] = (dense, padded, turned)
LAYOUTS = (*FORWARD, reversed_, unaligned)


# Libraries.


def as_numpy(raw: Array, dtype: str, draw: Draw) -> Any:
    array = draw.choice(LAYOUTS)(raw, draw).view(numpy_dtype(dtype))
    if array.ndim == 0 and draw.one_in(2):
        return array[()]  # a NumPy scalar
    if draw.one_in(3):
        array.flags.writeable = False
    return array


def as_big_endian(raw: Array, dtype: str, draw: Draw) -> Any:
    array = draw.choice(LAYOUTS)(raw, draw).view(numpy_dtype(dtype))
    if not hasattr(np, dtype):  # those of ml_dtypes have no byte order
        return array
    return array.byteswap().view(array.dtype.newbyteorder(">"))


def as_torch(raw: Array, dtype: str, draw: Draw) -> Any:
    laid = draw.choice(FORWARD)(raw, draw)
    if dtype.startswith("complex"):
        return torch.from_numpy(laid.view(dtype))
    return torch.from_numpy(laid).view(getattr(torch, dtype))


def as_lazy_torch(raw: Array, dtype: str, draw: Draw) -> Any:
    """Under torch's lazy conjugate bit, which the memory undoes."""
    if not dtype.startswith("complex"):
        return as_torch(raw, dtype, draw)
    parts = raw.reshape(-1).view(f"u{DTYPES[dtype] // 2}").copy()
    parts[1::2] ^= parts.dtype.type(1 << (8 * parts.itemsize - 1))
    return as_torch(parts.view(word(dtype)).reshape(raw.shape), dtype, draw).conj()


class Exported:
    """Whatever else has `__dlpack__`."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def as_dlpack(raw: Array, dtype: str, draw: Draw) -> Any:
    tensor = as_torch(raw, dtype, draw)
    return Exported(tensor) if not dtype.startswith("float8") else tensor


LIBRARIES = (as_numpy, as_torch, as_big_endian, as_dlpack, as_lazy_torch)


def draw_array(draw: Draw) -> Elements:
    dtype = draw.choice(sorted(DTYPES))
    shape = [draw.choice((0, 1, 2, 3, 4, 7, 1, 33)) for _ in range(draw.below(6))]
    if shape and draw.one_in(5):
        others = math.prod(shape[1:])
        shape[0] = draw.size() // max(others * DTYPES[dtype], 1)
    while math.prod(shape) * DTYPES[dtype] > 1 << 19:
        shape[shape.index(max(shape))] //= 2
    payload = draw.content(math.prod(shape) * DTYPES[dtype])
    if dtype == "bool":
        payload = bytes(byte & 1 for byte in payload)
    return Elements(dtype, tuple(shape), payload)
