"""More than 4 GiB: sizes, offsets and strides that do not fit in 32 bits."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np
import pytest
import reference
import torch
import xxhash
from reference import LEAF, H, payload, tree

import mmhash

GIB = 1 << 30
MIB = 1 << 20
SIZE = 4 * GIB + 5 * MIB + 3


def tensor_identity(dtype: str, shape: tuple[int, ...], leaves: bytes) -> bytes:
    """The identity of a tensor whose leaves' digests are given."""
    dimensions = b"".join(map(reference.u64, shape))
    head = [reference.len8(dtype.encode()), dtype.encode(), bytes([len(shape)]), dimensions]
    return H(reference.frame(b"T", *head, tree(leaves)))


def leaves_of(data: bytes) -> bytes:
    return b"".join(H(data[i : i + LEAF]) for i in range(0, len(data), LEAF))


@pytest.fixture(scope="module")
def region() -> Iterator[mmap.mmap]:
    """4 GiB and more of zeros that take no memory, with marks at the start and beyond 4 GiB."""
    try:
        made = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE)
    except (OSError, AttributeError) as refused:
        pytest.skip(f"no room in the address space: {refused}")
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        made.madvise(mmap.MADV_NOHUGEPAGE)  # reading then maps the one page of zeros everywhere
    made[:MIB] = payload(1, MIB)
    made[-MIB:] = payload(2, MIB)
    yield made
    made.close()


def region_leaves() -> bytes:
    zeros = (SIZE - 2 * MIB) // LEAF - 1
    last = payload(2, MIB)
    tail = bytes(SIZE - MIB - (MIB + zeros * LEAF)) + last
    return leaves_of(payload(1, MIB)) + H(bytes(LEAF)) * zeros + leaves_of(tail)


def test_buffer(region: mmap.mmap) -> None:
    expected = H(reference.frame(b"Y", reference.u64(SIZE), tree(region_leaves())))
    assert mmhash.identity(region) == expected


def test_array_and_tensor(region: mmap.mmap, each_thread_count: Iterator[int]) -> None:
    array = np.frombuffer(region, np.uint8)
    tensor = torch.from_numpy(array)
    expected = tensor_identity("uint8", (SIZE,), region_leaves())
    for count in each_thread_count:
        if count != 4:
            value = array if count == 1 else tensor
            assert mmhash.identity(value) == expected, f"{count} threads"


def test_plain_hashes(region: mmap.mmap) -> None:
    assert mmhash.xxh3_128(region, seed=5) == xxhash.xxh3_128_intdigest(region, 5)


def test_strides_and_offsets_beyond_4_gib(region: mmap.mmap) -> None:
    """Few elements, far apart, in both directions."""
    array = np.frombuffer(region, np.uint8)
    for view in (
        array[:: GIB + 1],
        array[:: -(GIB + 1)],
        array[4 * GIB :: 3][:100_000],
        array[-1:-1000:-1],
        array[1 : 1 + 4 * GIB].reshape(4, -1)[:, :3].T,
        np.lib.stride_tricks.as_strided(array, (2, 1000, 2), (4 * GIB + MIB, 7, 5)),
    ):
        assert mmhash.identity(view) == reference.identity(view)
    tensor = torch.from_numpy(array)
    for strided in (tensor[:: GIB + 1], tensor.as_strided((2, 50, 3), (4 * GIB + 7, 3, 1), 9)):
        assert mmhash.identity(strided) == reference.identity(strided)


@pytest.mark.parametrize("threads", [1, 2])
def test_expanded_views(threads: int) -> None:
    """A MiB that stands there 4,100 times, by a stride of zero."""
    row = np.frombuffer(payload(3, MIB), np.uint8)
    array = np.broadcast_to(row, (4100, MIB))
    expected = tensor_identity("uint8", array.shape, leaves_of(row.tobytes()) * 4100)
    mmhash.set_num_threads(threads)
    assert mmhash.identity(array) == expected
    if threads == 2:
        assert mmhash.identity(torch.tensor(row).expand(4100, MIB)) == expected


def test_pieces_of_more_than_4_gib() -> None:
    piece = payload(3, 64 * MIB)
    expected = tensor_identity("uint8", (66, 64 * MIB), leaves_of(piece) * 66)
    found = mmhash._core.identity_from_pieces("uint8", (66, 64 * MIB), (piece for _ in range(66)))
    assert found == expected
