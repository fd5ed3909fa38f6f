"""Reports of hashes that differ for one value, or agree for two: see reported_faults.py."""

from __future__ import annotations

import array
import ctypes
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from subprocesses import python_output

from mmhash import identity

LAYOUTS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "reversed": lambda a: a[::-1, ::-1],
    "Fortran": np.asfortranarray,
    "transposed": lambda a: a.T,
    "column": lambda a: a[:, :1],
    "new axes": lambda a: a[None, :, None],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "broadcast": lambda a: np.broadcast_to(a[0], (3, a.shape[1])),
    "masked out": lambda a: a[np.zeros(len(a), bool)],
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_that_pickle_changes(name: str) -> None:
    a = LAYOUTS[name](np.arange(20_000.0).reshape(100, 200))
    expected = identity(np.array(a, dtype=a.dtype.newbyteorder("="), order="C"))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert identity(pickle.loads(pickle.dumps(a, protocol))) == expected
    assert identity(a) == expected


def test_what_is_shared_within_a_value() -> None:
    text = "ab"
    copied = "abc"[:-1]
    assert copied is not text
    assert identity([text, text]) == identity([text, copied])
    a = np.zeros(2)
    value = [np.float64(0), a, a]
    assert identity(value) == identity([np.float64(0), a, a.copy()])
    assert identity(value) == identity(pickle.loads(pickle.dumps(value)))


def test_zero_dimensions() -> None:
    small = np.finfo(float).eps ** (1 / 3)
    assert (
        len({identity(number) for number in (small, np.float64(1e99) * small, np.float64(0))}) == 3
    )
    for number in (small, np.int8(-3), np.complex64(1j), np.True_):
        scalar = np.asarray(number)
        assert identity(number) == identity(scalar) == identity(torch.from_numpy(scalar.copy()))
        assert identity(scalar) != identity(scalar.reshape(1))


class Wrapping:
    """Shows no more of itself than repr() of what is in it."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return repr(self.inner)


def test_elements_in_the_middle() -> None:
    a = np.zeros((1000, 1000))
    b = a.copy()
    b[500, 500] = 1
    assert repr(a) == repr(b)
    assert identity(a) != identity(b)
    for inner in (a, b):
        with pytest.raises(TypeError, match=r"no identity for value: a .*Wrapping"):
            identity(Wrapping(inner))


def test_containers_of_the_same_elements() -> None:
    pairs = [("a", 1), ("b", 2)]
    values = (pairs, dict(pairs), [[*pair] for pair in pairs][::-1], [*dict(pairs)], "ab", ["ab"])
    assert len({identity(value) for value in values}) == len(values)
    for value in ({*pairs}, frozenset(pairs), range(2), dict(pairs).items(), iter(pairs)):
        with pytest.raises(TypeError, match=f"no identity for value: a {type(value).__name__}"):
            identity(value)


def test_the_hash_seed_of_the_process() -> None:
    code = """if True:
        import mmhash
        names = {f"name {i}" for i in range(20)}
        print(list(names))
        print(mmhash.identity({name: len(name) for name in names}).hex())
    """
    orders, identities = zip(
        *(python_output(code, PYTHONHASHSEED=seed).splitlines() for seed in "123"), strict=True
    )
    assert len({*orders}) > 1
    assert {*identities} == {identity({f"name {i}": len(f"name {i}") for i in range(20)}).hex()}


def test_numbers_that_equality_confuses() -> None:
    nans = [
        float("nan"),
        -float("nan"),
        float("inf") - float("inf"),
        pickle.loads(pickle.dumps(float("nan"))),
    ]
    assert len({identity(nan) for nan in nans}) == 1
    assert identity({"x": nans[0]}) == identity({"x": nans[2]})
    different = (
        0,
        False,
        0.0,
        -0.0,
        0j,
        complex(-0.0, 0.0),
        np.float64(0),
        np.float64(-0.0),
        np.False_,
    )
    assert len({identity(number) for number in different}) == len(different)
    assert len({identity({key: "x"}) for key in (1, True, 1.0, np.int64(1))}) == 4


def test_images_of_the_same_bytes() -> None:
    data = bytes(range(240))
    images = [
        Image.frombytes(mode, size, data)
        for mode, size in (
            ("RGB", (8, 10)),
            ("RGB", (10, 8)),
            ("YCbCr", (8, 10)),
            ("L", (24, 10)),
            ("RGBA", (6, 10)),
            ("CMYK", (6, 10)),
            ("I;16", (12, 10)),
        )
    ]
    assert {image.tobytes() for image in images} == {data}
    assert len({identity(image) for image in images}) == len(images)


def test_palettes_in_several_orders() -> None:
    def image(palette: bytes, rawmode: str) -> Image.Image:
        made = Image.frombytes("P", (2, 1), b"\0\1")
        made.putpalette(palette, rawmode)
        return made

    red_blue = image(bytes((255, 0, 0, 0, 0, 255)), "RGB")
    blue_red = image(bytes((0, 0, 255, 255, 0, 0)), "RGB")
    reordered = image(bytes((0, 0, 255, 0, 255, 0, 0, 0)), "BGRX")
    assert red_blue.tobytes() == blue_red.tobytes() == reordered.tobytes()
    assert red_blue.convert("RGB").tobytes() == reordered.convert("RGB").tobytes()
    assert identity(red_blue) == identity(reordered) != identity(blue_red)


def test_a_buffer_with_methods_of_its_own() -> None:
    class Evil(array.array):  # type: ignore[type-arg]
        def __hash__(self) -> int:  # type: ignore[override]
            view.release()
            self.clear()
            return 1

        def fail(self, *ignored: object) -> Any:
            raise AssertionError("the bytes are read, and nothing is asked")

        __len__ = __eq__ = __getitem__ = __iter__ = tobytes = fail

    data = Evil("B", b"A" * 300_000)
    view = memoryview(data).toreadonly()
    assert identity(view) == identity(data) == identity(b"A" * 300_000)


POINTERS: dict[str, Callable[[], object]] = {
    "pointer": lambda: ctypes.pointer(ctypes.c_int(1)),
    "char pointer": lambda: ctypes.c_char_p(b"x"),
    "wide pointer": lambda: ctypes.c_wchar_p("x"),
    "void pointer": lambda: ctypes.c_void_p(1),
    "array": lambda: (ctypes.c_char_p * 2)(b"x", b"y"),
    "objects": lambda: (ctypes.py_object * 1)(ctypes.py_object("x")),
    "view": lambda: memoryview((ctypes.c_void_p * 2)()),
    "structure": lambda: type("S", (ctypes.Structure,), {"_fields_": [("p", ctypes.c_char_p)]})(),
}


@pytest.mark.parametrize("name", POINTERS)
def test_pointers(name: str) -> None:
    with pytest.raises(TypeError, match="whose elements are addresses"):
        identity(POINTERS[name]())
