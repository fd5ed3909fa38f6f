"""Hypothesis strategies for tensors: every dtype, any shape, any layout that memory allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided
from reference import DTYPES, payload
from vectors import numpy_dtype

Array = np.ndarray[Any, Any]

#: Lengths at which XXH3, a leaf, a staging block or a level of the tree ends, each +-1.
BOUNDARIES = sorted(
    {
        max(edge + step, 0)
        for edge in (0, 16, 128, 240, 1024, 8192, 16384, 65536, 8192 * 512)
        for step in (-1, 0, 1)
    }
)

dtype_names = st.sampled_from(sorted(DTYPES))
seeds = st.integers(0, 255)
thread_counts = st.sampled_from((1, 2, 4))

#: Up to six dimensions, many of them of size 1 or 0, where strides mean nothing.
shapes = st.lists(st.sampled_from((0, 1, 1, 2, 3, 4, 5, 7, 33)), max_size=6).map(
    lambda shape: tuple(shape) if np.prod(shape) <= 40_000 else tuple(min(n, 4) for n in shape)
)


def elements(dtype: str, n: int, seed: int) -> bytes:
    """`n` elements of any bits; of a bool only 0 and 1, as every library writes them."""
    data = payload(seed, n * DTYPES[dtype])
    return bytes(b & 1 for b in data) if dtype == "bool" else data


@st.composite
def contiguous_arrays(draw: st.DrawFn, dtypes: st.SearchStrategy[str] = dtype_names) -> Array:
    dtype, shape = draw(dtypes), draw(shapes)
    data = elements(dtype, int(np.prod(shape)), draw(seeds))
    return np.frombuffer(data, numpy_dtype(dtype)).reshape(shape)


@st.composite
def strided_arrays(draw: st.DrawFn, dtypes: st.SearchStrategy[str] = dtype_names) -> Array:
    """Arrays of arbitrary byte strides and offset.

    Strides may be negative, zero, no multiple of the element size (as in a field of packed records)
    or small enough that elements overlap; the data may be unaligned.
    """
    dtype, shape = draw(dtypes), draw(shapes)
    size = DTYPES[dtype]
    multiples = st.integers(-40, 40).map(lambda n: n * size)
    strides = tuple(draw(multiples | st.integers(-99, 99)) for _ in shape)
    # Dimensions of size 0 and 1 never step: any stride at all is legal there.
    strides = tuple(
        draw(st.integers(-(2**62), 2**62)) if n <= 1 else s
        for n, s in zip(shape, strides, strict=True)
    )
    steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True) if n > 1]
    before = -sum(step for step in steps if step < 0)
    after = sum(step for step in steps if step > 0) + size
    offset = draw(st.integers(0, 17))
    data = np.frombuffer(elements_as_bytes(dtype, offset + before + after, draw(seeds)), np.uint8)
    # As integers first: NumPy makes no strided view of the types of ml_dtypes.
    first = data[offset + before :][:size].view("V16" if size == 16 else f"u{size}")
    return as_strided(first, shape, strides, writeable=False).view(numpy_dtype(dtype))


def elements_as_bytes(dtype: str, n_bytes: int, seed: int) -> bytes:
    return elements("bool" if dtype == "bool" else "uint8", n_bytes, seed)


@st.composite
def torch_tensors(
    draw: st.DrawFn, dtypes: st.SearchStrategy[str] = dtype_names, *, aligned: bool = False
) -> torch.Tensor:
    """Torch tensors with arbitrary strides (torch has none below zero), offset and alignment."""
    dtype, shape = draw(dtypes), draw(shapes)
    strides = tuple(
        draw(st.integers(0, 2**40)) if n <= 1 else draw(st.integers(0, 40)) for n in shape
    )
    extent = 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True) if n > 1)
    storage_offset = draw(st.integers(0, 5))
    unaligned = 0 if aligned else draw(st.integers(0, 15))
    n_bytes = unaligned + (storage_offset + extent) * DTYPES[dtype]
    data = bytearray(elements_as_bytes(dtype, n_bytes, draw(seeds)))
    flat = torch.frombuffer(data, dtype=getattr(torch, dtype), offset=unaligned)
    return flat.as_strided(shape, strides, storage_offset)
