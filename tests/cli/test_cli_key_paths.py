"""Key paths into nested containers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmhash.cli.key_paths import MAX_DEPTH, flatten

KEYS = st.text(max_size=4) | st.sampled_from(["a", "a[0]", '["a"]', "a.b", "[0]"]) | st.integers()
TREES = st.recursive(
    st.integers(),
    lambda tree: st.lists(tree, max_size=3) | st.dictionaries(KEYS, tree, max_size=3),
    max_leaves=12,
)


def count(tree: Any) -> int:
    if isinstance(tree, (dict, list)) and tree:
        return sum(map(count, tree.values() if isinstance(tree, dict) else tree))
    return 1


@given(TREES)
def test_nothing_is_passed_over_and_no_name_is_used_twice(tree: Any) -> None:
    found = list(flatten(tree))
    assert len(found) == count(tree)
    assert len({name for name, _ in found}) == len(found)


def test_names() -> None:
    tree = {"layers.0.weight": 1, "a b": [2, {"a": 3, 4: ()}], 5: {"x": None}}
    assert dict(flatten(tree)) == {
        "layers.0.weight": 1,
        '["a b"][0]': 2,
        '["a b"][1]["a"]': 3,
        '["a b"][1][4]': (),
        '[5]["x"]': None,
    }
    assert dict(flatten([1, (2,)])) == {"[0]": 1, "[1][0]": 2}
    assert dict(flatten("alone")) == {"": "alone"}


def nested(depth: int) -> Any:
    tree: Any = 1
    for _ in range(depth):
        tree = [tree]
    return tree


def test_depth_is_bounded() -> None:
    ((name, value),) = flatten(nested(MAX_DEPTH))
    assert (name, value) == ("[0]" * MAX_DEPTH, 1)
    with pytest.raises(ValueError, match="expected at most 1,000 containers one within the other"):
        list(flatten(nested(MAX_DEPTH + 1)))


def test_a_container_within_itself_is_an_error_but_twice_beside_is_not() -> None:
    shared = [1]
    assert dict(flatten({"a": shared, "b": shared})) == {"a[0]": 1, "b[0]": 1}
    loop: dict[str, Any] = {"x": 1}
    loop["y"] = [loop]
    walk = flatten(loop)
    assert next(walk) == ("x", 1)
    with pytest.raises(ValueError, match=r"expected a tree of containers, but y\[0\] contains"):
        next(walk)
