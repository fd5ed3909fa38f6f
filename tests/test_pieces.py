"""Payloads that arrive in pieces, as those of a device do: the digest is that of the whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import DTYPES, payload, tensor_frame
from strategies import thread_counts, torch_tensors

import mmhash
from mmhash import _core, _device


def identity_of(dtype: str, shape: tuple[int, ...], data: bytes) -> bytes:
    return reference.H(tensor_frame(dtype, shape, reference.canonical(dtype, data)))


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@given(
    n=st.integers(0, 70_000),
    cuts=st.lists(st.integers(0, 70_000), max_size=9),
    dtype=st.sampled_from(sorted(DTYPES)),
    threads=thread_counts,
)
def test_any_cuts(isa: str, n: int, cuts: list[int], dtype: str, threads: int) -> None:
    """Pieces of any sizes, none among them, that end within elements and leaves."""
    mmhash.set_num_threads(threads)
    n -= n % DTYPES[dtype]
    data = payload(n & 255, n)
    shape = (n // DTYPES[dtype],)
    pieces = iter(split(data, cuts))
    assert _core.identity_from_pieces(dtype, shape, pieces) == identity_of(dtype, shape, data)


@pytest.mark.parametrize("size", [8192 * 512 - 1, 8192 * 512, 8192 * 512 + 1, 9_000_001])
@pytest.mark.parametrize("piece", [1 << 20, (1 << 20) + 1, 8191, 1 << 22, 1 << 24])
def test_levels_of_the_tree(size: int, piece: int, each_thread_count: Iterator[int]) -> None:
    data = payload(7, size)
    expected = identity_of("uint8", (size,), data)
    for count in each_thread_count:
        pieces = (memoryview(data)[i : i + piece] for i in range(0, size, piece))
        found = _core.identity_from_pieces("uint8", (size,), pieces)
        assert found == expected, f"{count} threads"


def test_pieces_of_any_buffer() -> None:
    parts: list[Any] = [b"abcd", bytearray(b"efgh"), np.arange(4, dtype=np.uint8), memoryview(b"")]
    data = b"".join(bytes(part) for part in parts)
    found = _core.identity_from_pieces("int16", (2, 3), parts)
    assert found == identity_of("int16", (2, 3), data)


@given(n=st.integers(0, 70_000), cuts=st.lists(st.integers(0, 70_000), max_size=9))
def test_bytes_in_pieces(n: int, cuts: list[int]) -> None:
    data = payload(n & 255, n)
    assert _core.bytes_identity_from_pieces(n, split(data, cuts)) == reference.identity(data)


def test_no_payload() -> None:
    for shape in ((0,), (3, 0), (2**40, 0)):
        expected = identity_of("float32", shape, b"")
        assert _core.identity_from_pieces("float32", shape, []) == expected
        assert _core.identity_from_pieces("float32", shape, [b"", b""]) == expected


@pytest.mark.parametrize("pieces", [[], [b"abc"], [b"abcd", b"e"], [b"ab"] * 5, [bytes(100_000)]])
def test_other_sizes_than_the_shape_says(pieces: list[bytes]) -> None:
    found = sum(map(len, pieces))
    with pytest.raises(ValueError, match=rf"pieces hold ({found}|more than).*\b4\b"):
        _core.identity_from_pieces("float32", (1,), pieces)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="no dtype named 'float'"):
        _core.identity_from_pieces("float", (1,), [])
    with pytest.raises(ValueError, match="negative"):
        _core.identity_from_pieces("uint8", (-1,), [])
    with pytest.raises(ValueError, match="dimensions"):
        _core.identity_from_pieces("uint8", (1,) * 256, [b"a"])
    with pytest.raises(ValueError, match="bytes"):
        _core.identity_from_pieces("float64", (2**31, 2**31), [b"a"])
    with pytest.raises(ValueError, match="contiguous"):
        _core.identity_from_pieces("uint8", (2,), [memoryview(b"abcd")[::2]])
    with pytest.raises(TypeError, match=r"buffers.*str"):
        _core.identity_from_pieces("uint8", (1,), ["a"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"int|iterable|incompatible"):
        _core.identity_from_pieces("uint8", (1,), 3)  # type: ignore[arg-type]


def test_pieces_that_raise() -> None:
    """As copying from a device may: the error comes through."""

    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise MemoryError("the device has no memory left")

    with pytest.raises(MemoryError, match="the device has no memory left"):
        _core.identity_from_pieces("uint8", (2,), pieces())


@given(tensor=torch_tensors(aligned=True), piece_bytes=st.integers(16, 5000))
def test_pieces_of_a_tensor(tensor: torch.Tensor, piece_bytes: int) -> None:
    """What is copied from a device: the payload in order, in parts no larger than asked for."""
    parts = list(_device.pieces(tensor, piece_bytes))
    assert all(0 < part.numel() <= piece_bytes for part in parts)
    assert all(part.dtype == torch.uint8 and part.dim() == 1 for part in parts)
    whole = b"".join(part.numpy().tobytes() for part in parts)
    assert whole == reference.torch_tensor(tensor)[2]


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t,
        lambda t: t.mT,
        lambda t: t.conj(),
        torch._neg_view,
        lambda t: t[:, ::2, 1:].conj(),
        lambda t: t.conj().imag,
        lambda t: t[:1].expand(9, -1, -1),
        lambda t: t[:, :0],
        lambda t: t[1, 2, 3],
    ],
    ids=["contiguous", "transposed", "conj", "neg", "strided", "imag", "expanded", "empty", "0-d"],
)
def test_the_way_of_devices_on_the_cpu(view: Any) -> None:
    # No zeros: torch's negation of a contiguous complex tensor makes 0.0 of 0.0 instead of -0.0.
    tensor = torch.arange(1, 7 * 350 * 501 + 1).reshape(7, 350, 501) * (1 + 2j)
    assert _device.identity(view(tensor)) == mmhash.identity(view(tensor))


def test_unknown_algorithm() -> None:
    with pytest.raises(ValueError, match="expected one of 'xxh3', 'blake3', 'sha256', found 'md5'"):
        _core.identity_from_pieces("uint8", (1,), [b"a"], "md5")


def test_python_code_that_hashes_while_a_piece_is_hashed() -> None:
    """As a finalizer may, or a package that is written in Python."""
    data = b"\2" * 50_000  # true, though not 1: so each is copied before it is hashed
    other = torch.zeros(50_000, 2, dtype=torch.uint8)[:, 0]

    class Hashing:
        def __init__(self, first: bytes = b"") -> None:
            self.inner = hashlib.sha256(first)

        def update(self, more: Any) -> None:
            mmhash.identity(other, cache=False)
            self.inner.update(more)

        def digest(self) -> bytes:
            return self.inner.digest()

    hashing = _core.PackageAlgorithm(
        "test", key=None, key_id=None, new_hash=Hashing, new_parallel_hash=None, parallel_bytes=0
    )
    found = _core.identity_from_pieces("bool", (50_000,), [memoryview(data)], hashing)
    array = np.frombuffer(data, np.uint8) != 0
    assert found == reference.identity(array, "sha256", None)
