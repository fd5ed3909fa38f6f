"""The frozen digests: every case, on every instruction set and thread count, by every intake.

And by every algorithm: the packages choose their own instructions, so those are not forced there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import make_vectors
import pytest
import reference
import torch
import vectors
from vectors import CASES, DIGESTS, TENSOR_CASES, Case

import mmhash
from mmhash import _core

#: Of each case, what `vectors-algorithms.json` has.
OTHER_DIGESTS = vectors.load_digests()


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


def every_second_element(case: Case) -> torch.Tensor:
    """The elements of the case, gathered out of a tensor of twice as many."""
    tensor = vectors.as_torch(case)
    view = torch.empty((*tensor.shape, 2), dtype=tensor.dtype)[..., 0]
    view.copy_(tensor)
    assert tensor.numel() <= 1 or not view.is_contiguous()
    return view


@by_name(TENSOR_CASES)
def test_tensor_not_contiguous(case: Case, isa: str, each_thread_count: Iterator[int]) -> None:
    view = every_second_element(case)
    for count in each_thread_count:
        assert mmhash.identity(view) == case.identity, f"{count} threads"


# BLAKE3 and SHA-256, with and without a key: all four digests of a case.


def test_no_case_is_missing_under_other_algorithms() -> None:
    assert make_vectors.PATH.read_text(encoding="utf-8") == make_vectors.text()
    found = [digest for case in OTHER_DIGESTS for digest in case.values()]
    assert len(OTHER_DIGESTS) == len(CASES)
    assert {len(digest) for digest in found} == {32}
    assert len(set(found)) == 97 * len(DIGESTS)


def agree(case: Case, value: Any, each_thread_count: Iterator[int]) -> None:
    for count in each_thread_count:
        for field, (name, key) in DIGESTS.items():
            found = mmhash.identity(value, algorithm=name, key=key)
            assert found == OTHER_DIGESTS[case.index][field], f"{field}, {count} threads"


@by_name(CASES)
def test_identity_by_other_algorithms(case: Case, each_thread_count: Iterator[int]) -> None:
    agree(case, vectors.as_value(case), each_thread_count)


@by_name(TENSOR_CASES)
def test_tensor_by_every_intake_by_other_algorithms(
    case: Case, intake: str, each_thread_count: Iterator[int]
) -> None:
    agree(case, vectors.as_torch(case), each_thread_count)


@by_name(TENSOR_CASES)
def test_numpy_array_by_other_algorithms(case: Case, each_thread_count: Iterator[int]) -> None:
    agree(case, vectors.as_numpy(case), each_thread_count)


@by_name(TENSOR_CASES)
def test_tensor_not_contiguous_by_other_algorithms(
    case: Case, each_thread_count: Iterator[int]
) -> None:
    agree(case, every_second_element(case), each_thread_count)


@by_name(TENSOR_CASES)
def test_tensor_in_pieces_by_other_algorithms(case: Case) -> None:
    data = case.tensor_bytes()
    for size in (8192, 100_003, max(len(data), 1)):
        for field, (name, key) in DIGESTS.items():
            pieces = (data[start : start + size] for start in range(0, len(data), size))
            found = _core.identity_from_pieces(case.dtype, case.shape, pieces, name, key)
            assert found == OTHER_DIGESTS[case.index][field], f"{field}, pieces of {size} bytes"


@by_name(CASES)
def test_hash_feature_by_other_algorithms(case: Case) -> None:
    value = vectors.as_value(case)
    if value is None:
        return  # refused, whatever the algorithm
    for field, (name, key) in DIGESTS.items():
        expected = int.from_bytes(OTHER_DIGESTS[case.index][field][:8], "big")
        assert mmhash.hash_feature(value, algorithm=name, key=key) == expected, field
