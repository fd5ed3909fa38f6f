"""Identities of nested values equal the reference's, and tell apart what is not equal."""

from __future__ import annotations

import collections
import math
import random
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference import payload
from value_strategies import (
    Grid,
    Kind,
    Lines,
    Modality,
    ReadOnly,
    Text,
    buffers,
    complexes,
    floats,
    from_bits,
    integers,
    keys,
    leaves,
    nans,
    nested_values,
    texts,
)

import mmhash


def check(value: object) -> None:
    expected = reference.identity(value)
    assert mmhash.identity(value) == expected
    if value is not None:
        assert mmhash.hash_feature(value) == reference.hash64(expected)


@given(value=integers)
def test_integers(value: int) -> None:
    check(value)


@given(value=floats | nans)
def test_floats(value: float) -> None:
    check(value)


@given(value=complexes)
def test_complex_numbers(value: complex) -> None:
    check(value)


@given(value=texts)
def test_texts(value: str) -> None:
    check(value)


@given(value=buffers)
def test_buffers(value: Any) -> None:
    check(value)
    assert mmhash.identity(value) == mmhash.identity(memoryview(value).tobytes())


@given(value=leaves)
def test_leaves(value: object) -> None:
    check(value)


@given(value=nested_values)
def test_nested_values(isa: str, value: object) -> None:
    check(value)


@given(entries=st.dictionaries(keys, leaves, max_size=8), seed=st.integers())
def test_the_order_of_a_mapping_does_not_show(entries: dict[Any, Any], seed: int) -> None:
    shuffled = list(entries.items())
    random.Random(seed).shuffle(shuffled)
    expected = reference.identity(entries)
    for kind in (dict, collections.OrderedDict, lambda v: types.MappingProxyType(dict(v))):
        assert mmhash.identity(kind(shuffled)) == expected


@given(items=st.lists(leaves, max_size=6))
def test_the_kind_of_sequence_does_not_show(items: list[object]) -> None:
    assert mmhash.identity(items) == mmhash.identity(tuple(items)) == mmhash.identity(Lines(items))


SAME: dict[str, tuple[object, ...]] = {
    "IntEnum": (Modality.IMAGE, 1),
    "str Enum and subclass": (Kind.IMAGE, "image", Text("image"), np.str_("image")),
    "namedtuple": (Grid(1, [2]), (1, (2,)), [1, [2]]),
    "mappings": ({"a": 1}, ReadOnly({"a": 1}), types.MappingProxyType({"a": 1})),
    "bytes-like": (b"ab", bytearray(b"ab"), memoryview(b"ab"), np.bytes_(b"ab")),
    "every NaN": (from_bits(0x7FF8000000000000), from_bits(0xFFF0000000000001), -float("nan")),
    "float64": (np.float64(1.5), np.array(1.5), torch.tensor(1.5, dtype=torch.float64)),
    "bool_": (np.True_, np.array(True), torch.tensor(True)),
    "same element, other name in C": (np.longlong(3), np.int64(3), np.array(3, np.int_)),
    "torch.Size": (torch.Size([2, 3]), (2, 3)),
    "parameters": (torch.nn.Parameter(torch.ones(2)), torch.ones(2), np.ones(2, np.float32)),
}


@pytest.mark.parametrize("values", SAME.values(), ids=SAME)
def test_same_identity(values: tuple[object, ...]) -> None:
    for value in values:
        check(value)
    assert len({mmhash.identity(value) for value in values}) == 1


def test_different_identities() -> None:
    """Pairs that SGLang's `hash_feature` or a careless frame would take for one another."""
    grid = np.arange(24, dtype=np.float32).reshape(4, 6)
    values: list[object] = [
        None, False, 0, 0.0, -0.0, 0j, -0j, "", b"", [], {}, np.float64(0), np.False_, np.int64(0),
        True, 1, 1.0, "1", b"1", [1], {1: 1}, {1: True}, [[1]], [1, 1], [[1], 1], [1, [1]],
        [None], [[]], [[], []], [[[]]], {"": None}, {None: ""}, [("", None)], "N", b"mmh1N",
        {"a": 1, "b": 2}, {"a": 2, "b": 1}, [("a", 1), ("b", 2)], ["ab"], ["a", "b"], ["", "ab"],
        grid, grid.T, grid.reshape(6, 4), grid.view(np.int32), grid[0], grid.reshape(-1),
        [grid[0]] * 4, list(grid.reshape(4, 6, 1)), grid.tobytes(), grid[:0], grid.T[:0],
        np.zeros(0, np.uint8), np.zeros(1, np.uint8), np.zeros((1, 1), np.uint8), np.uint8(0),
        2**64, -(2**64), 2**63, 255, -1, 128, -128, np.uint8(255), np.int8(-1),
        "é", "e\u0301", "\ud800", "\U00010000", "\ufffd", "?", "\0", "\0\0",
        float("inf"), float("-inf"), float("nan"), complex(0, math.nan), complex(math.nan, 0),
    ]  # fmt: skip
    identities = collections.defaultdict(list)
    for value in values:
        check(value)
        identities[mmhash.identity(value)].append(value)
    assert [same for same in identities.values() if len(same) > 1] == []


WIDE: dict[str, Callable[[], object]] = {
    "integers": lambda: list(range(20_000)),
    "texts by text": lambda: {f"key {i}": i for i in range(5_000)},
    "lists by integer": lambda: {i: [str(i)] * (i % 3) for i in range(3_000)},
    "bytes": lambda: [payload(i, 1000 * i) for i in range(60)],
    "images": lambda: {"images": [np.full((3, 200, 300 + i), i, np.uint8) for i in range(8)]},
}


@pytest.mark.parametrize("name", WIDE)
def test_wide_containers(name: str, each_thread_count: Iterator[int]) -> None:
    """Frames beyond any fixed buffer: many elements, many entries, and large ones among them."""
    value = WIDE[name]()
    expected = reference.identity(value)
    for count in each_thread_count:
        assert mmhash.identity(value) == expected, f"{count} threads"


def test_a_value_that_stands_in_several_places() -> None:
    shared = [1, 2, {"a": torch.ones(3)}]
    check([shared, shared, {"again": shared, "and": [shared]}])
    check([[shared] * 50] * 20)


def test_equal_keys_of_unequal_identity() -> None:
    """A key is hashed as it stands: 1, 1.0 and True are one key of a dict but three identities."""
    assert len({mmhash.identity({key: 0}) for key in (1, 1.0, True)}) == 3


def test_the_digest_is_new_each_time() -> None:
    digest = mmhash.identity(b"x")
    assert type(digest) is bytes
    assert len(digest) == 16
    assert type(mmhash.hash_feature(b"x")) is int
    assert 0 <= mmhash.hash_feature(b"x") < 2**64
