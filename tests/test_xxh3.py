"""`xxh3_64` and `xxh3_128` are XXH3: equal to PyPI's xxhash, on every instruction set."""

from __future__ import annotations

import array
import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st
from reference import DTYPES, payload
from strategies import BOUNDARIES
from vectors import numpy_dtype

import mmhash

U64 = st.integers(0, 2**64 - 1) | st.sampled_from((0, 1, 2**63, 2**64 - 1))
PAIRS: list[tuple[Callable[..., int], Callable[..., int]]] = [
    (mmhash.xxh3_64, xxhash.xxh3_64_intdigest),
    (mmhash.xxh3_128, xxhash.xxh3_128_intdigest),
]
both = pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["xxh3_64", "xxh3_128"])


@both
@pytest.mark.parametrize("seed", [0, 1, 0x9E3779B185EBCA8D, 2**64 - 1])
def test_every_length(isa: str, ours: Any, theirs: Any, seed: int) -> None:
    data = payload(3, 2100)
    for n in range(2100):
        assert ours(data[:n], seed=seed) == theirs(data[:n], seed), n


@both
@pytest.mark.parametrize("n", [n for n in BOUNDARIES if n > 2000])
def test_boundaries(isa: str, ours: Any, theirs: Any, n: int) -> None:
    data = payload(n & 255, n)
    for seed in (0, 2**64 - 1):
        assert ours(data, seed=seed) == theirs(data, seed)


@both
@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_what_is_hashed_in_slices(isa: str, ours: Any, theirs: Any, seed: int) -> None:
    """From 64 MiB on, in the streaming mode."""
    data = payload(5, 1 << 20) * 66
    for n in ((64 << 20) - 1, 64 << 20, (64 << 20) + 1, (65 << 20) + 257):
        assert ours(memoryview(data)[:n], seed=seed) == theirs(memoryview(data)[:n], seed), n


@both
@given(data=st.binary(max_size=3000), seed=U64, skip=st.integers(0, 70))
@example(data=b"", seed=0, skip=0)
def test_any_data(isa: str, ours: Any, theirs: Any, data: bytes, seed: int, skip: int) -> None:
    """Unaligned starts too."""
    assert ours(memoryview(data)[skip:], seed=seed) == theirs(data[skip:], seed)
    assert ours(data) == ours(data, seed=0) == theirs(data)


BUFFERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "array": lambda data: array.array("B", data),
    "ctypes": lambda data: (ctypes.c_char * len(data)).from_buffer_copy(data),
    "numpy": lambda data: np.frombuffer(data, "<i4").reshape(4, -1),
    "numpy-fortran": lambda data: np.frombuffer(data, np.uint8).reshape(-1, 1),
    "torch": lambda data: torch.frombuffer(bytearray(data), dtype=torch.bfloat16).reshape(2, -1),
    "torch-requires-grad": lambda data: torch.frombuffer(
        bytearray(data), dtype=torch.float32
    ).requires_grad_(),
    "memoryview-2d": lambda data: memoryview(data).cast("i", (4, len(data) // 16)),
}


@both
@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("n", [16, 4096, 1 << 21])
def test_kinds_of_buffers(ours: Any, theirs: Any, kind: str, n: int) -> None:
    data = payload(9, n)
    assert ours(BUFFERS[kind](data), seed=7) == theirs(data, 7)


@both
def test_mmap(ours: Any, theirs: Any) -> None:
    data = payload(9, 5 * mmap.PAGESIZE)
    with mmap.mmap(-1, len(data)) as region:
        region[:] = data
        assert ours(region) == theirs(data)


@both
@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_tensors_of_every_dtype(ours: Any, theirs: Any, intake: str, dtype: str) -> None:
    data = bytes(64) if dtype == "bool" else payload(5, 64)
    tensor = torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype))
    assert ours(tensor) == theirs(data)
    assert ours(np.frombuffer(data, numpy_dtype(dtype))) == theirs(data)


@both
def test_degenerate_tensors(ours: Any, theirs: Any, intake: str) -> None:
    """Nothing to hash, nothing to step over: contiguous whatever the strides say."""
    data = np.float32(1.5).tobytes()
    assert ours(torch.tensor(1.5)) == theirs(data)
    assert ours(torch.full((9,), 1.5).as_strided((1, 1, 1), (7, 0, 3), 2)) == theirs(data)
    assert ours(torch.ones(4, 3)[:0].T) == theirs(b"")
    assert ours(np.empty((0, 7), ml_dtypes.bfloat16)) == theirs(b"")


NOT_CONTIGUOUS: dict[str, Callable[[], Any]] = {
    "torch-transposed": lambda: torch.ones(3, 4).T,
    "torch-expanded": lambda: torch.ones(3, 1).expand(3, 4),
    "torch-conj": lambda: torch.ones(3, dtype=torch.complex64).conj(),
    "torch-negative": lambda: torch._neg_view(torch.ones(3)),
    "numpy-backwards": lambda: np.ones(3)[::-1],
    "numpy-fortran": lambda: np.asfortranarray(np.ones((3, 4))),
    "numpy-bfloat16": lambda: np.ones((3, 4), ml_dtypes.bfloat16).T,
    "memoryview": lambda: memoryview(bytes(9))[::2],
}


@both
@pytest.mark.parametrize("kind", NOT_CONTIGUOUS)
def test_not_contiguous(ours: Any, theirs: Any, kind: str) -> None:
    """There are no bytes to hash in place, and a hidden copy is what this function never makes."""
    with pytest.raises((BufferError, ValueError), match=r"contiguous|conj|negative"):
        ours(NOT_CONTIGUOUS[kind]())


@both
@pytest.mark.parametrize("value", ["text", 3, None, [b"x"], {}, object(), 1.5, bytes])
def test_no_buffer(ours: Any, theirs: Any, value: object) -> None:
    with pytest.raises(TypeError, match=rf"\b{type(value).__name__}\b"):
        ours(value)


@both
def test_meta_tensor(ours: Any, theirs: Any) -> None:
    with pytest.raises(TypeError, match="meta"):
        ours(torch.empty(3, device="meta"))


@both
@pytest.mark.parametrize(
    "seed", [-1, 2**64, 2**200, -(2**70), 2**20_000], ids=lambda n: f"{n.bit_length()}bits"
)
def test_seed_out_of_range(ours: Any, theirs: Any, seed: int) -> None:
    with pytest.raises((OverflowError, ValueError), match=r"seed.*(2\*\*64|18446744073709551615)"):
        ours(b"x", seed=seed)


@both
@pytest.mark.parametrize("seed", [1.0, "1", None, b"1"])
def test_seed_of_another_type(ours: Any, theirs: Any, seed: object) -> None:
    with pytest.raises(TypeError, match=rf"seed.*{type(seed).__name__}"):
        ours(b"x", seed=seed)


@both
def test_arguments(ours: Any, theirs: Any) -> None:
    """The data is positional only, the seed keyword only."""
    with pytest.raises(TypeError, match=r"argument|positional"):
        ours()
    with pytest.raises(TypeError, match=r"argument|positional"):
        ours(b"x", 1)
    with pytest.raises(TypeError, match=r"argument|positional|keyword"):
        ours(data=b"x")
    with pytest.raises(TypeError, match=r"argument|keyword"):
        ours(b"x", salt=1)
