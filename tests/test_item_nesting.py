"""Items whose features are nested deep, or contain themselves: as identity() has it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

import mmhash
from mmhash import _core, _nested, _streams, profiling


def nested(depth: int, innermost: Any) -> Any:
    value = innermost
    for i in range(depth):
        value = [value] if i % 2 else (value, None)
    return value


def circle() -> list[Any]:
    value: list[Any] = [b"pixels"]
    value.append([value])
    return value


def empty_circle() -> list[Any]:
    value: list[Any] = [None]
    value.append([value])
    return value


def item(feature: Any) -> mmhash.MultimodalDataItem:
    return mmhash.MultimodalDataItem.from_dict({"modality": "IMAGE", "feature": feature})


def read(feature: Any) -> int:
    return item(feature).hash


def release(feature: Any) -> int:
    made = item(feature)
    made.feature = None
    return made.hash


def profiled(feature: Any) -> int:
    with mmhash.profile():
        return item(feature).hash


def executed(feature: Any) -> int:
    with mmhash.HashExecutor(1) as executor:
        return executor.submit("a", item(feature)).result(60)[0]


def copied(feature: Any) -> int:
    return copy.copy(item(feature)).hash


def counted(feature: Any) -> int:
    """As an entry beside the feature."""
    made = item(b"pixels")
    made.set("images_crop", feature)
    assert made.hash
    return mmhash.hash_feature(feature)


WAYS = [read, release, profiled, executed, copied, counted]


@pytest.mark.parametrize("way", WAYS)
def test_as_deep_as_identity_takes(way: Callable[[Any], int]) -> None:
    feature = nested(990, b"pixels")
    assert way(feature) == mmhash.hash_feature(feature)
    with pytest.raises(ValueError, match="at most 1000 lists and mappings within each other"):
        way(nested(5000, b"pixels"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [circle, empty_circle])
def test_a_list_that_contains_itself_is_named(way: Callable[[Any], int], make: Any) -> None:
    with pytest.raises(ValueError, match="the value contains itself: the list at nesting level"):
        way(make())


def test_what_walks_over_nested_values() -> None:
    deep = nested(100_000, None)
    assert _nested.is_empty(deep)
    assert mmhash.MultimodalDataItem.is_empty_list(deep)
    assert not _nested.is_empty(nested(100_000, b"x"))
    assert not _nested.is_empty(empty_circle())
    twice = [None, []]
    assert _nested.is_empty([twice, [twice, twice]]), "held twice, and no circle"
    for value in (nested(100_000, b"abc"), [circle(), b"abc"]):
        assert profiling.nbytes(value) in (3, 9)
        _core.load_images([value])
    work = list
    assert _streams.after_current_work([nested(100_000, torch.zeros(3))], work) is work
    with pytest.raises(ValueError, match="both empty"):
        item(deep)


def test_a_shared_list_is_walked_once() -> None:
    value: list[Any] = [None]
    for _ in range(60):
        value = [value, value]  # 2**60 ways through it
    assert _nested.is_empty(value)
    assert profiling.nbytes(value) == 0


def test_pickled_where_pickle_can() -> None:
    feature = nested(100, b"pixels")
    assert pickle.loads(pickle.dumps(item(feature))).hash == mmhash.hash_feature(feature)
