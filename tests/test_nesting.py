"""Values that contain themselves or are nested too deeply: `ValueError`, never a crash."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
import torch
from PIL import Image
from subprocesses import python_output

import mmhash

MAX_DEPTH = 1000
WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda v: [v],
    "tuple": lambda v: (v,),
    "dict": lambda v: {"a": v},
    "MappingProxyType": lambda v: types.MappingProxyType({"a": v}),
}


def nested(leaf: object, depth: int, wrap: Callable[[Any], Any] = WRAPPERS["list"]) -> Any:
    value = leaf
    for _ in range(depth):
        value = wrap(value)
    return value


def palette_image() -> Image.Image:
    picture = Image.new("P", (3, 3))
    picture.putpalette(bytes(30))
    return picture


LEAVES: dict[str, Callable[[], Any]] = {
    "int": lambda: 1,
    "text": lambda: "a" * 9000,
    "tensor": lambda: torch.ones(3),
    "array": lambda: np.ones(3),
    "bytes": lambda: b"a",
    "image": palette_image,
}


def expected_identity(leaf: object, depth: int, kind: str) -> bytes:
    """As the reference has it, without its recursion."""
    digest = reference.identity(leaf)
    key = reference.identity("a")
    for _ in range(depth):
        if kind in ("list", "tuple"):
            digest = reference.H(reference.frame(b"L", reference.u64(1), digest))
        else:
            digest = reference.H(reference.frame(b"M", reference.u64(1), key + digest))
    return digest


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("leaf", LEAVES)
def test_deepest(kind: str, leaf: str) -> None:
    made = LEAVES[leaf]()
    found = mmhash.identity(nested(made, MAX_DEPTH, WRAPPERS[kind]))
    assert found == expected_identity(made, MAX_DEPTH, kind)


@pytest.mark.parametrize("kind", WRAPPERS)
@pytest.mark.parametrize("leaf", LEAVES)
def test_one_deeper(kind: str, leaf: str) -> None:
    value = nested(LEAVES[leaf](), MAX_DEPTH + 1, WRAPPERS[kind])
    with pytest.raises(ValueError, match=r"1000"):
        mmhash.identity(value)


def test_much_deeper() -> None:
    for depth in (1002, 5000, 100_000):
        with pytest.raises(ValueError, match=r"1000"):
            mmhash.identity(nested(1, depth))


def test_deep_keys() -> None:
    digest = mmhash.identity({nested(1, MAX_DEPTH - 1, tuple_of): 2})
    key = expected_identity(1, MAX_DEPTH - 1, "tuple")
    frame = reference.frame(b"M", reference.u64(1), key + reference.identity(2))
    assert digest == reference.H(frame)
    with pytest.raises(ValueError, match=r"1000"):
        mmhash.identity({nested(1, MAX_DEPTH, tuple_of): 2})


def tuple_of(value: object) -> tuple[object]:
    return (value,)


def test_depth_needs_no_stack() -> None:
    """Threads have small stacks, and Python's recursion limit has no say here."""
    value, found = nested(1, MAX_DEPTH), []
    expected = mmhash.identity(value)
    before, limit = threading.stack_size(128 * 1024), sys.getrecursionlimit()
    try:
        thread = threading.Thread(target=lambda: found.append(mmhash.identity(value)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert found == [expected]
    assert sys.getrecursionlimit() == limit


def test_breadth_is_not_depth() -> None:
    value: list[object] = [[i] for i in range(5000)]
    assert mmhash.identity(value) == reference.identity(value)


def cyclic_list() -> Any:
    value: list[Any] = [1]
    value.append(value)
    return value


def cyclic_dict() -> Any:
    value: dict[str, Any] = {"a": 1}
    value["self"] = value
    return value


def cyclic_tuple() -> Any:
    inner: list[Any] = []
    value = (inner,)
    inner.append(value)
    return value


def mutual() -> Any:
    outer: list[Any] = [1, 2]
    outer.append({"a": types.MappingProxyType({"b": (outer,)})})
    return outer


def long_cycle() -> Any:
    first: list[Any] = []
    first.append(nested(first, 500))
    return first


def below_the_top() -> Any:
    return [{"a": [0, cyclic_list()]}]


CYCLES = (cyclic_list, cyclic_dict, cyclic_tuple, mutual, long_cycle, below_the_top)


@pytest.mark.parametrize("make", CYCLES)
def test_cycles(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="contains itself"):
        mmhash.identity(make())
    with pytest.raises(ValueError, match="contains itself"):
        mmhash.hash_feature(make())


def test_an_endless_mapping_of_new_mappings() -> None:
    """No cycle that identity of objects could tell, and yet it ends."""

    class Endless(dict[str, Any]):
        def items(self) -> Any:
            return [("deeper", Endless())]

    with pytest.raises(ValueError, match=r"1000"):
        mmhash.identity(Endless())


@pytest.mark.parametrize("changed", ["list", "dict"])
def test_a_container_that_its_own_content_changes(changed: str) -> None:
    """Code that runs during the walk (here an items()) may change what is being walked."""

    class Changing(dict[str, int]):
        def items(self) -> Any:
            container.clear()
            return super().items()

    container: Any
    content = [Changing(a=1), [2] * 1000, "x" * 1000]
    container = list(content) if changed == "list" else dict(enumerate(content))
    expected = mmhash.identity(content if changed == "list" else dict(enumerate(content)))
    container = list(content) if changed == "list" else dict(enumerate(content))
    assert mmhash.identity(container) == expected
    assert not container


def test_deallocating_deep_values_is_no_concern_of_the_hash() -> None:
    """In a process of its own, since what may fail here would end this one."""
    code = """
import mmhash
value = 1
for _ in range(1_000_000):
    value = [value]
try:
    mmhash.identity(value)
except ValueError as error:
    print("1000" in str(error))
"""
    assert python_output(code) == "True"
