"""BLAKE3 on a GPU, plain and keyed: chunks of 1 KiB, trees of every form, every way to lie.

What it has in common with XXH3 there (dtypes, views, streams, the cache) is tested for both in the
other files of that name.
"""

from __future__ import annotations

import blake3
import hypothesis
import numpy as np
import pytest
import reference
import strategies
import torch
from hypothesis import strategies as st
from reference import DTYPES

import mmhash

pytestmark = pytest.mark.cuda
KEY = bytes(range(100, 132))
CHUNK = 1024
WARP, BLOCK, GROUP = 32, 128, 128 * 512  # chunks that lie together, are reduced together, and again
FOUR_EACH = 2 * 16 * 32 * 132  # on an H100: from so many chunks on, a thread hashes four


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    """300 MB of random bytes on the GPU."""
    generator = torch.Generator("cuda").manual_seed(1)
    words = (300_000_000 // 8,)
    return torch.randint(
        -(2**63), 2**63 - 1, words, dtype=torch.int64, device="cuda", generator=generator
    ).view(torch.uint8)


@pytest.fixture(scope="module")
def noise_here(noise: torch.Tensor) -> np.ndarray:
    return noise.cpu().numpy()


def identity_of(data: np.ndarray, key: bytes | None) -> bytes:
    """Of uint8 in one dimension: SPEC.md with the threads of the package."""
    hasher = blake3.blake3(key=key, max_threads=8) if key else blake3.blake3(max_threads=8)
    tree = data.tobytes() if len(data) <= 8192 else hasher.update(memoryview(data)).digest()
    head = reference.frame(b"T", b"\x05uint8\x01", reference.u64(len(data)))
    return blake3.blake3(head + tree, key=key).digest()


def check(noise: torch.Tensor, here: np.ndarray, begin: int, size: int) -> None:
    for key in (None, KEY):
        found = mmhash.identity(noise[begin : begin + size], algorithm="blake3", key=key)
        expected = identity_of(here[begin : begin + size], key)
        assert found == expected, f"{size} bytes from {begin} on, key: {key is not None}"


@pytest.mark.parametrize(
    "chunks",
    sorted(
        {
            n + step
            for n in (8, 16, WARP, 2 * WARP, BLOCK, 512, 4096, GROUP)
            for step in (-1, 0, 1, 2)
        }
        | {
            3 * WARP,
            BLOCK + WARP,
            5 * BLOCK,
            37 * BLOCK + 3,
            FOUR_EACH,
            FOUR_EACH + 1,
            2 * FOUR_EACH,
        }
    ),
)
def test_trees(noise: torch.Tensor, noise_here: np.ndarray, chunks: int) -> None:
    for step in (-CHUNK + 1, -64, -1, 0, 1, 17, 63, 64):
        check(noise, noise_here, 16 * (chunks % 7), chunks * CHUNK + step)


@pytest.mark.parametrize("offset", range(1, 16))
def test_unaligned(noise: torch.Tensor, noise_here: np.ndarray, offset: int) -> None:
    for size in (
        1,
        100,
        8192,
        8193,
        9000,
        32 * CHUNK,
        33 * CHUNK - offset,
        129 * CHUNK + 1,
        15_600_000,
    ):
        check(noise, noise_here, offset, size)
        check(noise, noise_here, len(noise_here) - size, size)


def test_one_size_after_another(noise: torch.Tensor, noise_here: np.ndarray) -> None:
    """Buffers that are used again hold what was there before, and counters must not."""
    rng = np.random.default_rng(2)
    for _ in range(150):
        size, begin = int(rng.integers(1, 70 << 20)), int(rng.integers(0, 1 << 20))
        check(noise, noise_here, begin, size >> int(rng.integers(0, 12)))


def test_both_algorithms_share_buffers(noise: torch.Tensor, noise_here: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        size = int(rng.integers(1, 9 << 20))
        pending = [
            (mmhash.identity_async(noise[:size], algorithm=name, key=key), name, key)
            for name, key in (("xxh3", None), ("blake3", None), ("blake3", KEY))
        ]
        for hash_, name, key in pending:
            found = hash_.result()
            assert found == mmhash.identity(noise_here[:size], algorithm=name, key=key)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, tuple[int, ...], tuple[int, ...], int]:
    """dtype, shape, strides, offset of views of about a power of two of bytes, up to 16 MiB."""
    dtype = draw(strategies.dtype_names)
    size = (1 << draw(st.integers(12, 24))) + draw(st.integers(-1100, 1100))
    elements = max(size // DTYPES[dtype], 1)
    rows = draw(st.sampled_from([1, 2, 3, 7, 32, 100, 1000]))
    shape = (rows, max(elements // rows, 1))
    step, gap = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(0, 9))
    order = draw(st.sampled_from(["rows", "columns", "expanded"]))
    strides = {
        "rows": (shape[1] * step + gap, step),
        "columns": (step, rows * step + gap),
        "expanded": (0, step),
    }[order]
    return dtype, shape, strides, draw(st.integers(0, 40))


@hypothesis.given(layout=layouts(), key=st.sampled_from([None, KEY]))
def test_any_layout(
    noise: torch.Tensor,
    noise_here: np.ndarray,
    layout: tuple[str, tuple[int, ...], tuple[int, ...], int],
    key: bytes | None,
) -> None:
    dtype, shape, strides, offset = layout
    views = [
        memory.view(getattr(torch, dtype)).as_strided(shape, strides, offset)
        for memory in (noise, torch.from_numpy(noise_here))
    ]
    device, host = views
    assert mmhash.identity(device, algorithm="blake3", key=key) == mmhash.identity(
        host, algorithm="blake3", key=key
    )
