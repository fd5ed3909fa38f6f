"""Equal bools have equal identities: a byte that is neither 0 nor 1 is true like any other.

Views of other memory have such bytes (`uint8.view(bool)`, `frombuffer`), and NumPy itself has
returned some (numpy 22840). What is expected is the identity of the array of 0 and 1, which the
reference hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from dlpack_capsules import Producer
from hypothesis import given
from hypothesis import strategies as st
from strategies import Array, strided_arrays, thread_counts

import mmhash
from mmhash import _core
from mmhash.cli import main, piecewise

#: Where a payload that is copied, one that is joined to its frame, a leaf and a block of leaves
#: end, and from where threads share one.
EDGES = (1, 16, 128, 240, 3072, 8192, 16384, 65536, 131072, 4 << 20)
sizes = st.sampled_from([edge + step for edge in EDGES for step in (-1, 0, 1)])
DLPACK_BOOL = 6


@st.composite
def bool_bytes(draw: st.DrawFn) -> Array:
    """0 and 1, but for a few bytes at any place; often the first, the last, or none."""
    size = draw(sizes)
    content = np.random.default_rng(draw(st.integers(0, 255))).integers(0, 2, size, np.uint8)
    places = st.sampled_from((0, size - 1)) | st.integers(0, max(size - 1, 0))
    for place in draw(st.lists(places, max_size=3)) if size else ():
        content[place] = draw(st.integers(2, 255))
    return content


def expected(content: Array) -> bytes:
    """Of the array that every library would make itself."""
    return reference.identity(content != 0)


def gathered() -> int:
    slow_paths = mmhash.info()["slow_paths"]
    assert isinstance(slow_paths, dict)
    return int(slow_paths["gathered"])


ARRAYS: dict[str, Callable[[Array], Any]] = {
    "view": lambda u: u.view(bool),
    "frombuffer": lambda u: np.frombuffer(u.tobytes(), bool),
    "unaligned": lambda u: np.concatenate([u[:1] * 0, u]).view(bool)[1:],
    "reversed": lambda u: u[::-1].copy().view(bool)[::-1],
    "every second": lambda u: np.repeat(u, 2).view(bool)[::2],
    "field of records": lambda u: np.stack([u * 0, u, u * 0], -1).view("u1,?,u1")["f1"][..., 0],
    "bool of another byte order": lambda u: u.view(np.dtype(bool).newbyteorder(">")),
    "DLPack": lambda u: Producer(u.tobytes(), u.shape, None, code=DLPACK_BOOL),
}


@pytest.mark.parametrize("kind", ARRAYS)
@given(content=bool_bytes())
def test_arrays(kind: str, content: Array) -> None:
    assert mmhash.identity(ARRAYS[kind](content)) == expected(content)


@given(content=bool_bytes(), threads=thread_counts)
def test_instruction_sets_and_threads(isa: str, content: Array, threads: int) -> None:
    mmhash.set_num_threads(threads)
    assert mmhash.identity(content.view(bool)) == expected(content)


TENSORS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "view": lambda t: t.view(torch.bool),
    "every second": lambda t: t.repeat_interleave(2).view(torch.bool)[::2],
    "unaligned": lambda t: torch.cat([t[:1], t]).view(torch.bool)[1:] if len(t) else t.bool(),
}


@pytest.mark.parametrize("kind", TENSORS)
@given(content=bool_bytes())
def test_tensors(kind: str, intake: str, content: Array) -> None:
    assert mmhash.identity(TENSORS[kind](torch.from_numpy(content))) == expected(content)


@given(array=strided_arrays(st.just("uint8")))
def test_any_layout(array: Array) -> None:
    """All bytes of the memory are random, and none of it is read in place but what is dense."""
    assert mmhash.identity(array.view(bool)) == expected(array)


@pytest.mark.parametrize("size", [1, 3072, 8192, 100_000, 9_000_001])
def test_every_byte_is_another_true(size: int, each_thread_count: Iterator[int]) -> None:
    content = (np.arange(size) % 255 + 1).astype(np.uint8)
    for count in each_thread_count:
        assert mmhash.identity(content.view(bool)) == expected(content), f"{count} threads"


def test_scalars_and_0d() -> None:
    for byte in (0, 1, 2, 127, 128, 254, 255):
        whole = np.array([byte], np.uint8).view(bool)
        values = [whole[0], whole[0, ...], whole.reshape(()), torch.from_numpy(whole)[0]]
        right = reference.identity(np.bool_(byte != 0))
        assert [mmhash.identity(value).hex() for value in values] == [right.hex()] * 4


def test_in_nested_values() -> None:
    content = np.array([0, 2, 255], np.uint8)
    right = reference.identity({"masks": [content != 0, (content != 0,)]})
    dirty, tensor = content.view(bool), torch.from_numpy(content).view(torch.bool)
    assert mmhash.identity({"masks": [dirty, (tensor,)]}) == right
    assert mmhash.identity_async({"masks": [tensor, (dirty,)]}).result() == right
    assert mmhash.hash_feature([dirty, dirty]) == mmhash.hash_feature([content != 0] * 2)


@given(content=bool_bytes(), cuts=st.lists(st.integers(0, 140_000), max_size=5))
def test_pieces(content: Array, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, content.size) for cut in cuts), content.size]
    for as_piece in (bytes, lambda part: part, lambda part: part.view(bool)):
        pieces = [as_piece(content[a:b]) for a, b in pairwise(edges)]
        found = _core.identity_from_pieces("bool", content.shape, pieces)
        assert found == expected(content)


def test_pieces_of_other_dtypes_are_bytes_as_they_stand() -> None:
    content = np.array([0, 2, 255], np.uint8)
    for piece in (content, content.view(bool)):
        assert _core.identity_from_pieces("uint8", (3,), [piece]) == reference.identity(content)
        assert _core.bytes_identity_from_pieces(3, [piece]) == reference.identity(bytes(content))


@pytest.mark.parametrize("piece_bytes", [5000, 64 << 20], ids=["in pieces", "whole"])
def test_files(
    piece_bytes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(piecewise, "PIECE_BYTES", piece_bytes)
    content = np.arange(20_000, dtype=np.uint8) * 3
    np.save(tmp_path / "mask.npy", content.view(bool))
    np.savez(tmp_path / "mask.npz", mask=content.view(bool))
    assert main(["hash", str(tmp_path / "mask.npy"), str(tmp_path / "mask.npz")]) == 0
    assert capsys.readouterr().out.count(expected(content).hex()) == 2


def test_the_cache_keeps_the_same_identity() -> None:
    mmhash.cache_resize(16)
    content = np.arange(300_000, dtype=np.uint8)
    tensor = torch.from_numpy(content).clone().view(torch.bool)
    assert mmhash.identity(tensor) == expected(content)
    hits = mmhash.cache_info().hits
    assert mmhash.identity(tensor) == expected(content)
    assert mmhash.cache_info().hits == hits + 1
    tensor[255] = True  # equal values, from a tensor that was written
    assert mmhash.identity(tensor) == expected(content)


@pytest.mark.parametrize("size", [5, 5000, 8192, 1 << 20])
def test_dense_bools_are_no_slow_path(size: int) -> None:
    clean = np.ones(size, bool)
    before = gathered()
    for value in (clean, torch.from_numpy(clean)):
        assert _core.data_pointer(value) == clean.ctypes.data
        assert mmhash.identity(value) == reference.identity(clean)
    assert gathered() == before


def test_bytes_and_plain_hashes_take_the_memory() -> None:
    """A buffer without a dtype is its bytes, and xxh3_64() promises those as they stand."""
    content = np.array([0, 2, 255], np.uint8)
    assert mmhash.identity(memoryview(content.view(bool))) == reference.identity(bytes(content))
    assert mmhash.xxh3_64(content.view(bool)) == mmhash.xxh3_64(bytes(content))
