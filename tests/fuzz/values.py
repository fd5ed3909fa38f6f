"""Fuzz target: identities of nested Python values. fuzz_values.py runs it.

An input draws a recipe of a value, and objects are made of it. For every algorithm, keyed or not:
the identity is that of tests/reference.py; the same value in other containers and other memory has
it too; a value that differs in one place has not. A value that holds what has no identity is
refused by `TypeError` or `ValueError`, and nothing else is ever raised.
"""

from __future__ import annotations

from reprlib import repr as shown  # of values of any depth

import reference
from arrays import draw_array
from drawing import Draw
from images import draw_picture
from recipes import Buffer, Recipe, Sequence, draw_entries, draw_scalar
from refusals import draw_refused

import mmhash

ALGORITHMS = (
    ("xxh3", None),
    ("blake3", None),
    ("sha256", None),
    *((name, key) for name in ("blake3", "sha256") for key in (bytes(32), bytes(range(32)))),
)


class Drawn:
    """A recipe drawn from an input, and whether anything in it has no identity."""

    MOST_DEEP = 5

    def __init__(self, draw: Draw) -> None:
        self.refused = False
        self.recipe = self.part(draw, 0)

    def part(self, draw: Draw, depth: int) -> Recipe:
        way = draw.below(16)
        if way < 5 and depth < self.MOST_DEEP:
            if way < 3:
                return Sequence(tuple(self.part(draw, depth + 1) for _ in range(draw.below(5))))
            return draw_entries(draw, lambda draw: self.part(draw, depth + 1))
        if way < 9:
            return draw_array(draw)
        if way < 11:
            return Buffer(draw.content(draw.size()))
        if way < 13:
            return draw_picture(draw)
        if way == 13 and draw.one_in(4):
            self.refused = True
            return draw_refused(draw)
        return draw_scalar(draw)


def check_refused(value: object, name: str, key: bytes | None) -> None:
    for function in (mmhash.identity, mmhash.hash_feature):
        try:
            function(value, algorithm=name, key=key)
        except (TypeError, ValueError):
            continue
        raise AssertionError(f"{function.__name__} of what has no identity: {shown(value)}")


def check(data: bytes) -> None:
    draw = Draw(data)
    name, key = draw.choice(ALGORITHMS)
    drawn = Drawn(draw)
    value = drawn.recipe.make(draw)
    if drawn.refused:
        check_refused(value, name, key)
        return
    found = mmhash.identity(value, algorithm=name, key=key)
    expected = reference.identity(value, name, key)
    assert found == expected, f"{name}: {found.hex()}, expected {expected.hex()}: {shown(value)}"
    if value is not None:
        feature = mmhash.hash_feature(value, algorithm=name, key=key)
        assert feature == reference.hash64(expected), f"{name}: {feature:#x}: {shown(value)}"

    again = drawn.recipe.make(draw)
    same = mmhash.identity(again, algorithm=name, key=key)
    assert same == found, f"{name}: one value, two identities: {shown(value)} and {shown(again)}"

    another = drawn.recipe.changed(draw).make(draw)
    other = mmhash.identity(another, algorithm=name, key=key)
    assert other != found, f"{name}: two values, one identity: {shown(value)} and {shown(another)}"
