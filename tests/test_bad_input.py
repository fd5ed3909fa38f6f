"""Values that have no identity: a `TypeError` that says what, where and what to do instead."""

from __future__ import annotations

import array
import collections
import ctypes
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import mmhash


class Unknown:
    pass


class Plain(enum.Enum):
    A = 1


class Liar:
    """Says that it is a list; its memory is not one."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return list


class BadRepr:
    def __repr__(self) -> str:
        raise RuntimeError("this repr must not be asked for")

    __str__ = __repr__


class LongName:
    pass


LongName.__name__ = LongName.__qualname__ = "L" * 5000

#: The value, what of it the message names, and a word of the remedy.
CASES: dict[str, tuple[Callable[[], object], str, str]] = {
    "object array": (lambda: np.array([1, None]), "numpy.ndarray.*object", ""),
    "empty object array": (lambda: np.array([], object), "numpy.ndarray.*object", ""),
    "structured array": (lambda: np.zeros(2, "i4,f8"), "numpy.ndarray", ""),
    "record array": (lambda: np.rec.array([(1, 2.0)]), r"numpy.*rec(ord|)", ""),
    "record": (lambda: np.rec.array([(1, 2.0)])[0], "record", ""),
    "void scalar": (lambda: np.void(b"abc"), "void", ""),
    "void array": (lambda: np.zeros(2, "V3"), "numpy.ndarray.*V3", ""),
    "text array": (lambda: np.array(["a"]), "numpy.ndarray.*(U1|str)", ""),
    "bytes array": (lambda: np.array([b"a"]), "numpy.ndarray.*(S1|bytes)", ""),
    "string array": (lambda: np.array(["a"], np.dtypes.StringDType()), "numpy.ndarray.*String", ""),
    "datetime array": (lambda: np.array(["2026-01-01"], "M8[D]"), "ndarray.*(datetime|M8)", ""),
    "timedelta array": (lambda: np.array([1], "m8[s]"), "numpy.ndarray.*(timedelta|m8)", ""),
    "datetime scalar": (lambda: np.datetime64("2026-01-01"), "datetime64", ""),
    "timedelta scalar": (lambda: np.timedelta64(1, "s"), "timedelta64", ""),
    "longdouble array": (lambda: np.zeros(2, np.longdouble), "ndarray.*(float128|longdouble)", ""),
    "longdouble scalar": (lambda: np.longdouble(1), "longdouble", ""),
    "clongdouble scalar": (lambda: np.clongdouble(1), "clongdouble", ""),
    "int4 array": (lambda: np.zeros(2, ml_dtypes.int4), "numpy.ndarray.*int4", ""),
    "float6 array": (lambda: np.zeros(2, ml_dtypes.float6_e2m3fn), "numpy.ndarray.*float6", ""),
    "masked array": (lambda: np.ma.array([1, 2], mask=[0, 1]), "MaskedArray.*mask", "filled"),
    "masked constant": (lambda: np.ma.masked, "Masked", ""),
    "addresses": (lambda: memoryview(np.array([1, None])), "memoryview", ""),
    "pointers": (lambda: (ctypes.c_char_p * 2)(b"a", b"b"), "c_char_p_Array_2", ""),
    "py_object": (lambda: ctypes.py_object(3), "py_object", ""),
    "set": (lambda: {1, 2}, "set", ""),
    "frozenset": (lambda: frozenset(), "frozenset", ""),
    "dict view": (lambda: {}.keys(), "dict_keys", ""),
    "unknown class": (Unknown, "Unknown", ""),
    "object": (object, "object", ""),
    "plain Enum": (lambda: Plain.A, "Plain", ""),
    "class": (lambda: int, "type", ""),
    "class list": (lambda: list, "type", ""),
    "class ndarray": (lambda: np.ndarray, "type", ""),
    "function": (lambda: len, "builtin_function", ""),
    "generator": (lambda: (i for i in ()), "generator", ""),
    "iterator": (lambda: iter([]), "list_iterator", ""),
    "range": (lambda: range(3), "range", ""),
    "slice": (lambda: slice(3), "slice", ""),
    "deque": (lambda: collections.deque([1]), "deque", ""),
    "UserList": (lambda: collections.UserList([1]), "UserList", ""),
    "UserString": (lambda: collections.UserString("a"), "UserString", ""),
    "ellipsis": (lambda: ..., "ellipsis", ""),
    "NotImplemented": (lambda: NotImplemented, "NotImplementedType", ""),
    "date": (lambda: datetime.date(2026, 1, 1), "date", ""),
    "Decimal": (lambda: decimal.Decimal(1), "Decimal", ""),
    "Fraction": (lambda: fractions.Fraction(1, 2), "Fraction", ""),
    "Path": (lambda: pathlib.PurePosixPath("a"), "PurePosixPath", ""),
    "namespace": (lambda: types.SimpleNamespace(a=1), "SimpleNamespace", ""),
    "module": (lambda: types, "module", ""),
    "numpy dtype": (lambda: np.dtype("f4"), "dtype", ""),
    "liar": (Liar, "Liar", ""),
    "bad repr": (BadRepr, "BadRepr", ""),
    "long name": (LongName, "LLLL", ""),
}  # fmt: skip
each_case = pytest.mark.parametrize("name", CASES)


def message(value: object) -> str:
    with pytest.raises(TypeError, match=r"^no identity for value") as caught:
        mmhash.identity(value)
    return str(caught.value)


@each_case
def test_unsupported(name: str) -> None:
    make, named, remedy = CASES[name]
    text = message(make())
    assert text.startswith("no identity for value: ")
    assert re.search(named, text), text
    assert remedy in text
    what, semicolon, advice = text.partition("; ")
    assert what
    assert semicolon
    assert len(advice) > 10, f"no remedy: {text}"


@each_case
def test_unsupported_within_a_value(name: str) -> None:
    make, named, _ = CASES[name]
    text = message({"text": "a", "images": [b"", [], 3.5, make()]})
    assert 'value["images"][3]' in text
    assert re.search(named, text), text


@each_case
def test_hash_feature_refuses_the_same(name: str) -> None:
    make, named, _ = CASES[name]
    with pytest.raises(TypeError, match=named):
        mmhash.hash_feature([make()])


PLACES: dict[str, tuple[object, str]] = {
    "list": ([1, {2}], "value[1]"),
    "tuple": (((), ((), {2})), "value[1][1]"),
    "mapping": ({"a": {"b": {2}}}, 'value["a"]["b"]'),
    "mapping by integer": ({7: [{2}]}, "value[7][0]"),
    "MappingProxyType": (types.MappingProxyType({"a": {2}}), 'value["a"]'),
    "after larger parts": ([b"x" * 10_000, list(range(5000)), [{2}]], "value[2][0]"),
    "not ASCII": ({"图": {2}}, "value["),
    "last entry": ({str(i): (i if i < 99 else {2}) for i in range(100)}, 'value["99"]'),
}


@pytest.mark.parametrize("name", PLACES)
def test_places(name: str) -> None:
    value, place = PLACES[name]
    assert f"no identity for {place}" in message(value)


@pytest.mark.parametrize("key", [frozenset(), Unknown(), (1, frozenset()), object, Plain.A])
def test_keys_without_identity(key: Any) -> None:
    text = message({"a": 1, key: 2})
    assert "key" in text
    assert "value" in text


def test_keys_whose_repr_fails() -> None:
    class Key(str):
        def __repr__(self) -> str:
            raise RuntimeError("this repr must not be asked for")

        __str__ = __repr__

    text = message({Key("k"): [{2}]})
    assert "Key" in text


def test_lone_surrogate_in_a_key() -> None:
    assert "value[" in message({"\ud800": {2}})


def test_a_place_is_never_longer_than_a_line_or_two() -> None:
    value: object = {2}
    for _ in range(400):
        value = {"a long key, and another, " * 50: [value]}
    assert len(message(value)) < 1000


def test_none_is_no_feature() -> None:
    """None is a value, but no feature: an engine that asks for its hash has dropped the feature."""
    with pytest.raises(TypeError, match="None"):
        mmhash.hash_feature(None)
    assert mmhash.hash_feature([None]) > 0


def test_released_memoryview() -> None:
    view = memoryview(b"abc")
    view.release()
    with pytest.raises(ValueError, match="released"):
        mmhash.identity([view])


def test_an_array_that_refuses_its_buffer() -> None:
    class Refusing(array.array):  # type: ignore[type-arg]
        def __buffer__(self, flags: int) -> memoryview:  # from Python 3.12 on
            raise BufferError("not now")

    value = Refusing("B", b"abc")
    try:
        memoryview(value)
    except BufferError:
        with pytest.raises(BufferError, match="not now"):
            mmhash.identity(value)
    else:
        assert mmhash.identity(value) == mmhash.identity(b"abc")


def test_arguments() -> None:
    for function in (mmhash.identity, mmhash.hash_feature):
        with pytest.raises(TypeError, match=r"argument|positional"):
            function()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"argument|positional"):
            function(1, 2)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match=r"argument|keyword"):
            function(1, seed=0)  # type: ignore[call-arg]
        for name in ("value", "feature", "data"):
            with pytest.raises(TypeError, match=r"argument|positional|keyword"):
                function(**{name: 1})


def test_a_good_call_after_every_bad_one() -> None:
    """An error leaves no state behind: neither an exception set nor a half-written frame."""
    expected = mmhash.identity([1, {"a": b"x"}])
    for make, _, _ in CASES.values():
        with pytest.raises(TypeError):
            mmhash.identity([1, {"a": make()}])
        assert mmhash.identity([1, {"a": b"x"}]) == expected
