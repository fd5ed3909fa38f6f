"""Mappings of other classes than dict, whose methods raise or lie."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import mmhash


class Misbehaving(collections.abc.Mapping[Any, Any]):
    def __init__(self, items: Callable[[], Any], length: int = 1) -> None:
        self._items = items
        self._length = length

    def __getitem__(self, key: Any) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return self._length

    def items(self) -> Any:
        return self._items()


class ItemsError(Exception):
    pass


def raising() -> Any:
    raise ItemsError("the mapping has gone")


def raising_later() -> Iterator[Any]:
    yield ("a", 1)
    raise ItemsError("the mapping has gone")


@pytest.mark.parametrize("items", [raising, raising_later])
def test_a_mapping_that_raises(items: Callable[[], Any]) -> None:
    """What the caller's own code raises reaches the caller as it is."""
    with pytest.raises(ItemsError, match="the mapping has gone"):
        mmhash.identity([Misbehaving(items)])


@pytest.mark.parametrize(
    "items", [[("a",)], [("a", 1, 2)], [3], ["ab", "cd"], [["a", 1, 2]], [None]]
)
def test_a_mapping_whose_items_are_no_pairs(items: Any) -> None:
    with pytest.raises(TypeError, match=r"no identity for value\[0\]: .*Misbehaving.*pair"):
        mmhash.identity([Misbehaving(lambda: items)])


@pytest.mark.parametrize("items", [3, None, object()])
def test_a_mapping_whose_items_are_no_iterable(items: Any) -> None:
    with pytest.raises(TypeError, match=r"iterable|items"):
        mmhash.identity([Misbehaving(lambda: items)])


@pytest.mark.parametrize("length", [0, 1, 5, 2**40])
def test_a_mapping_that_lies_about_its_length(length: int) -> None:
    """The entries count that are there."""
    lying = Misbehaving(lambda: [("a", 1), ("b", 2)], length)
    assert mmhash.identity(lying) == mmhash.identity({"a": 1, "b": 2})
