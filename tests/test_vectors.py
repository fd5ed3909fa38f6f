"""The frozen digests: every case, on every instruction set and thread count, by every intake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import reference
import torch
import vectors
from vectors import CASES, TENSOR_CASES, Case

import mmhash
from mmhash import _core


def by_name(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=str)


def test_no_case_is_missing() -> None:
    assert len(CASES) == 98
    assert len(TENSOR_CASES) == 44
    assert len({case.identity for case in CASES}) == 97  # one mapping stands there in two orders


@by_name(CASES)
def test_reference(case: Case) -> None:
    assert reference.identity(vectors.as_value(case)) == case.identity


@by_name(TENSOR_CASES)
def test_reference_reads_numpy(case: Case) -> None:
    assert reference.identity(vectors.as_numpy(case)) == case.identity


@by_name(CASES)
def test_identity(case: Case, isa: str, each_thread_count: Iterator[int]) -> None:
    value = vectors.as_value(case)
    for count in each_thread_count:
        assert mmhash.identity(value) == case.identity, f"{count} threads"


@by_name(CASES)
def test_hash_feature(case: Case) -> None:
    value = vectors.as_value(case)
    if value is None:
        with pytest.raises(TypeError, match="None"):
            mmhash.hash_feature(value)
    else:
        assert mmhash.hash_feature(value) == int.from_bytes(case.identity[:8], "big")


@by_name(TENSOR_CASES)
def test_tensor_by_every_intake(case: Case, intake: str, each_thread_count: Iterator[int]) -> None:
    tensor = vectors.as_torch(case)
    for count in each_thread_count:
        assert mmhash.identity(tensor) == case.identity, f"{count} threads"


@by_name(TENSOR_CASES)
def test_numpy_array(case: Case, each_thread_count: Iterator[int]) -> None:
    array = vectors.as_numpy(case)
    for count in each_thread_count:
        assert mmhash.identity(array) == case.identity, f"{count} threads"


@by_name(TENSOR_CASES)
def test_tensor_in_pieces(case: Case, isa: str) -> None:
    """Pieces that end at a leaf, at a level of the tree, anywhere, and only at the end."""
    data = case.tensor_bytes()
    for size in (8192, 8192 * 512, 100_003, max(len(data), 1)):
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        found = _core.identity_from_pieces(case.dtype, case.shape, pieces)
        assert found == case.identity, f"pieces of {size} bytes"


@by_name(TENSOR_CASES)
def test_tensor_not_contiguous(case: Case, isa: str, each_thread_count: Iterator[int]) -> None:
    """Every second element of a larger tensor: the same elements, gathered."""
    tensor = vectors.as_torch(case)
    view = torch.empty((*tensor.shape, 2), dtype=tensor.dtype)[..., 0]
    view.copy_(tensor)
    assert tensor.numel() <= 1 or not view.is_contiguous()
    for count in each_thread_count:
        assert mmhash.identity(view) == case.identity, f"{count} threads"
