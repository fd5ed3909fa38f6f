"""Identities of arrays and tensors equal the reference's, whatever the dtype, shape or layout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import reference
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from reference import DTYPES, payload
from strategies import (
    BOUNDARIES,
    Array,
    contiguous_arrays,
    dtype_names,
    elements,
    seeds,
    shapes,
    strided_arrays,
    thread_counts,
    torch_tensors,
)
from vectors import numpy_dtype

import mmhash

ORDERED_NAMES = sorted({*DTYPES} - {name for name in DTYPES if name.startswith("float8")})
COMPLEX = st.sampled_from(("complex64", "complex128"))
# The dtypes that torch itself can negate, so that it can say what a lazy negative bit means.
# fmt: off
NEGATABLE = st.sampled_from((
    "int8", "int16", "int32", "int64", "uint8", "float16", "bfloat16", "float32", "float64",
    "complex64", "complex128",
))
# fmt: on


def check(value: object) -> None:
    assert mmhash.identity(value) == reference.identity(value)


@given(array=contiguous_arrays())
def test_contiguous_arrays(isa: str, array: Array) -> None:
    check(array)


@given(array=strided_arrays())
def test_strided_arrays(isa: str, array: Array) -> None:
    check(array)


@given(array=strided_arrays(st.sampled_from(ORDERED_NAMES)), order=st.sampled_from("<>=|"))
def test_byte_orders(array: Array, order: str) -> None:
    """A byte order is a way to write the same elements: the identity does not see it."""
    ordered = array.astype(array.dtype.newbyteorder(order))
    check(ordered)
    assert mmhash.identity(ordered) == mmhash.identity(array)
    check(array.view(array.dtype.newbyteorder(order)))  # same bytes, other elements: strided


@given(tensor=torch_tensors())
def test_torch_tensors(intake: str, tensor: torch.Tensor) -> None:
    check(tensor)


@given(tensor=torch_tensors(), threads=thread_counts)
def test_torch_tensors_on_every_isa(isa: str, tensor: torch.Tensor, threads: int) -> None:
    mmhash.set_num_threads(threads)
    check(tensor)


@given(array=contiguous_arrays())
def test_containers_do_not_show(array: Array) -> None:
    """NumPy array, torch tensor, and a scalar out of either: equal elements, one identity."""
    flat = torch.from_numpy(np.frombuffer(bytearray(array.tobytes()) or bytearray(16), np.uint8))
    tensor = flat[: array.nbytes].view(getattr(torch, array.dtype.name)).reshape(array.shape)
    assert mmhash.identity(array) == mmhash.identity(tensor)
    if array.size:
        scalar = array.reshape(-1)[0]
        check(scalar)
        assert mmhash.identity(scalar) == mmhash.identity(tensor.reshape(-1)[0])


@given(
    tensor=torch_tensors(COMPLEX, aligned=True),
    lazily=st.sampled_from(("conj", "neg", "both", "imag")),
)
@pytest.mark.parametrize("way", ["auto", "attributes"])
def test_lazy_complex(way: str, tensor: torch.Tensor, lazily: str) -> None:
    mmhash._core.set_tensor_intake(way)
    view = {
        "conj": lambda: tensor.conj(),
        "neg": lambda: torch._neg_view(tensor),
        "both": lambda: torch._neg_view(tensor.conj()),
        "imag": lambda: tensor.conj().imag,
    }[lazily]()
    assert view.is_conj() == (lazily in ("conj", "both"))
    assert view.is_neg() == (lazily in ("neg", "both", "imag"))
    check(view)


@given(tensor=torch_tensors(NEGATABLE, aligned=True))
def test_lazy_negative(isa: str, tensor: torch.Tensor) -> None:
    """Also NaN and zero change their sign bit, and the least integer stays as it is."""
    view = torch._neg_view(tensor)
    assert view.is_neg()
    check(view)


@pytest.mark.parametrize("dtype", ["bool", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e8m0fnu"])
def test_negative_bit_that_means_nothing(dtype: str) -> None:
    """Torch has no negation of these dtypes, so nothing says what the elements are."""
    view = torch._neg_view(torch.ones(3).to(getattr(torch, dtype)))
    with pytest.raises(TypeError, match=r"value\[0\].*negat"):
        mmhash.identity([view])


@pytest.mark.parametrize("n", BOUNDARIES)
def test_lengths(isa: str, n: int, each_thread_count: Iterator[int]) -> None:
    """Every length at which a kernel, a leaf or a level of the tree begins or ends."""
    data = payload(n & 255, n)
    array = np.frombuffer(data, np.uint8)
    backwards = np.frombuffer(data[::-1], np.uint8)[::-1]
    spread = np.zeros((n, 3), np.uint8)
    spread[:, 1] = array
    as_bytes, as_array = reference.identity(data), reference.identity(array)
    for count in each_thread_count:
        assert mmhash.identity(data) == as_bytes, f"{count} threads"
        for view in (array, backwards, spread[:, 1]):
            assert mmhash.identity(view) == as_array, f"{count} threads, {view.strides}"


@given(dtype=dtype_names, shape=shapes, seed=seeds, bits=st.data())
@example(dtype="bool", shape=(), seed=1, bits=None)
def test_every_element_counts(
    dtype: str, shape: tuple[int, ...], seed: int, bits: st.DataObject | None
) -> None:
    """Changing one byte anywhere changes the identity; changing it back restores it."""
    data = bytearray(elements(dtype, int(np.prod(shape)), seed))
    array = np.frombuffer(data, numpy_dtype(dtype)).reshape(shape)
    if not data:
        return
    before = mmhash.identity(array)
    position = 0 if bits is None else bits.draw(st.integers(0, len(data) - 1))
    data[position] ^= 1
    assert mmhash.identity(array) != before
    data[position] ^= 1
    assert mmhash.identity(array) == before


@given(shape=shapes, other=shapes, seed=seeds)
def test_the_shape_counts(shape: tuple[int, ...], other: tuple[int, ...], seed: int) -> None:
    array = np.frombuffer(payload(seed, int(np.prod(shape))), np.uint8).reshape(shape)
    if array.size == np.prod(other):
        same = shape == other
        assert (mmhash.identity(array) == mmhash.identity(array.reshape(other))) == same


def test_the_dtype_counts() -> None:
    data = bytes(16)
    identities = {
        mmhash.identity(np.frombuffer(data[: DTYPES[name]], numpy_dtype(name))) for name in DTYPES
    }
    assert len(identities) == len(DTYPES)


def test_signed_zeros_and_nans_are_their_bits() -> None:
    """In a tensor the bits count: only a Python float has one NaN."""
    assert mmhash.identity(np.float64(0.0)) != mmhash.identity(np.float64(-0.0))
    quiet = np.array(0x7FF8000000000000, np.uint64).view(np.float64)
    other = np.array(0x7FF8000000000001, np.uint64).view(np.float64)
    assert mmhash.identity(quiet) != mmhash.identity(other)
    check(quiet)
    check(other)
