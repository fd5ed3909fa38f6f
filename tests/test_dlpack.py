"""Objects that have `__dlpack__` and nothing else, and capsules no library would make."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import reference
import torch
from dlpack_capsules import CPU, CUDA, Producer, live_capsules
from reference import payload

import mmhash


class Holder:
    """Any array library's object: the protocol, and no NumPy or torch type."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()  # type: ignore[no-any-return]


class OldHolder(Holder):
    """Written before DLPack 1.0: knows no `max_version`."""

    def __dlpack__(self, stream: Any = None) -> Any:
        return self.array.__dlpack__()


GRID = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
ARRAYS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: GRID,
    "numpy-transposed": lambda: GRID.T,
    "numpy-backwards": lambda: GRID[::-1, :, ::-2],
    "numpy-0d": lambda: np.array(1.5),
    "numpy-empty": lambda: np.zeros((0, 3)),
    "numpy-complex": lambda: np.array([1j, 2]),
    "numpy-bool": lambda: np.array([True, False]),
    "torch": lambda: torch.arange(24.0).reshape(4, 6),
    "torch-expanded": lambda: torch.arange(4.0).expand(1000, 4),
    "torch-bfloat16": lambda: torch.arange(4).to(torch.bfloat16),
    "torch-float8": lambda: torch.arange(4).to(torch.float8_e4m3fn),
    "torch-large": lambda: torch.arange(1 << 20).reshape(1024, 1024).T,
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("holder", [Holder, OldHolder])
def test_other_libraries(name: str, holder: type[Holder]) -> None:
    array = ARRAYS[name]()
    expected = reference.identity(array)
    assert mmhash.identity(holder(array)) == expected
    assert reference.identity(holder(array)) == expected


def test_read_only_memory() -> None:
    array = np.arange(100)
    array.flags.writeable = False
    assert mmhash.identity(Holder(array)) == reference.identity(array)


DATA = payload(1, 4096)


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize(
    ("code", "bits", "dtype"),
    [
        (0, 8, "int8"), (0, 64, "int64"), (1, 8, "uint8"), (1, 16, "uint16"), (2, 16, "float16"),
        (2, 64, "float64"), (4, 16, "bfloat16"), (5, 64, "complex64"), (5, 128, "complex128"),
        (6, 8, "bool"), (10, 8, "float8_e4m3fn"), (11, 8, "float8_e4m3fnuz"),
        (12, 8, "float8_e5m2"), (13, 8, "float8_e5m2fnuz"), (14, 8, "float8_e8m0fnu"),
    ],
)  # fmt: skip
def test_every_dtype(versioned: bool, code: int, bits: int, dtype: str) -> None:
    data = bytes(64) if dtype == "bool" else DATA
    array = np.frombuffer(data, np.dtype(getattr(ml_dtypes, dtype, dtype)), 3)
    made = Producer(data, (3,), None, code=code, bits=bits, versioned=versioned)
    assert mmhash.identity(made) == reference.identity(array)


@pytest.mark.parametrize("versioned", [True, False])
def test_layouts_of_capsules(versioned: bool) -> None:
    """No strides, an offset in bytes, no shape at all for a scalar, no data for no elements."""
    whole = np.frombuffer(DATA, np.uint8)

    def check(array: Any, *args: Any, **options: Any) -> None:
        made = Producer(*args, versioned=versioned, **options)
        assert mmhash.identity(made) == reference.identity(array)

    check(whole[:24].reshape(2, 3, 4), DATA, (2, 3, 4), None)
    check(whole[:24].reshape(2, 3, 4), DATA, (2, 3, 4), (12, 4, 1))
    check(whole[:24].reshape(2, 3, 4).T, DATA, (4, 3, 2), (1, 4, 12))
    check(whole[9::-1], DATA, (10,), (-1,), byte_offset=9)
    check(whole[7:1007].view(np.uint16), DATA, (500,), None, bits=16, byte_offset=7)
    check(np.array(whole[3]), DATA, None, None, byte_offset=3)
    check(whole[:0].reshape(5, 0), None, (5, 0), None)
    check(whole[:0].reshape(0, 5), None, (0, 5), (2**62, -(2**62)))
    check(whole[:1].reshape(1, 1), DATA, (1, 1), (2**62, -(2**62)))


def test_host_memory_of_a_gpu() -> None:
    """Pinned memory belongs to a CUDA or ROCm device and is the CPU's to read."""
    expected = reference.identity(np.frombuffer(DATA, np.uint8, 9))
    for device in (3, 11):
        assert mmhash.identity(Producer(DATA, (9,), None, device=device)) == expected


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "vector elements": ({"lanes": 4}, "lanes|dtype"),
    "four bits": ({"bits": 4}, "dtype|bit"),
    "no bits": ({"bits": 0}, "dtype|bit"),
    "bool of one bit": ({"code": 6, "bits": 1}, "dtype|bit"),
    "addresses": ({"code": 3, "bits": 64}, "dtype"),
    "float of 80 bits": ({"code": 2, "bits": 80}, "dtype"),
    "float8 of another kind": ({"code": 7}, "dtype"),
    "float6": ({"code": 15, "bits": 6}, "dtype"),
    "unknown code": ({"code": 250}, "dtype"),
    "complex32": ({"code": 5, "bits": 32}, "dtype"),
    "version 2": ({"version": (2, 0)}, "version"),
    "negative number of dimensions": ({"ndim": -1}, "dimension"),
    "too many dimensions": ({"shape": (1,) * 256}, "dimension"),
    "negative size": ({"shape": (3, -1)}, "dimension|shape|negative"),
    "beyond 63 bits": ({"shape": (2**32, 2**32), "strides": (0, 0)}, "bytes"),
    "no memory": ({"data": None}, "memory|pointer|data"),
    "another device": ({"device": 12}, "device"),
}


@pytest.mark.parametrize("name", BAD)
def test_capsules_without_identity(name: str) -> None:
    changed, match = BAD[name]
    before = live_capsules()
    arguments: dict[str, Any] = {"data": DATA, "shape": (3,), "strides": None} | changed
    with pytest.raises(TypeError, match=rf"no identity for value\[0\].*({match})"):
        mmhash.identity([Producer(**arguments)])
    gc.collect()
    assert live_capsules() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="here it would be read as a GPU's address")
def test_gpu_memory_without_a_gpu() -> None:
    """Nothing here can read it: an error of this library, whatever torch makes of it."""
    with pytest.raises(TypeError, match=r"no identity for value\[0\].*device"):
        mmhash.identity([Producer(DATA, (3,), None, device=CUDA)])


def test_a_capsule_is_freed_once_and_after_the_hash() -> None:
    before = live_capsules()
    for data in (DATA, payload(2, 1 << 22)):
        for versioned in (True, False):
            made = Producer(data, (len(data),), None, versioned=versioned)
            for _ in range(3):
                assert mmhash.identity(made) == reference.identity(np.frombuffer(data, np.uint8))
                assert live_capsules() == before
            assert made.freed == 3


def test_a_capsule_that_was_consumed() -> None:
    made = Producer(DATA, (3,), None)
    capsule = made.__dlpack__()
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), b"used_dltensor_versioned")

    class Consumed:
        def __dlpack__(self, **options: Any) -> Any:
            return capsule

    with pytest.raises(TypeError, match=r"value\[0\].*Consumed.*capsule"):
        mmhash.identity([Consumed()])
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), b"dltensor_versioned")


@pytest.mark.parametrize("given", [None, 3, b"capsule", "dltensor", []])
def test_no_capsule(given: Any) -> None:
    class Confused:
        def __dlpack__(self, **options: Any) -> Any:
            return given

    with pytest.raises(TypeError, match=rf"value\[0\].*Confused.*{type(given).__name__}"):
        mmhash.identity([Confused()])


@pytest.mark.parametrize("error", [RuntimeError, BufferError, KeyError, KeyboardInterrupt])
def test_an_export_that_raises(error: type[BaseException]) -> None:
    class Raising:
        def __dlpack__(self, **options: Any) -> Any:
            raise error("the array was deleted")

    with pytest.raises(error, match="the array was deleted"):
        mmhash.identity([Raising()])


def test_a_type_error_of_the_export_itself() -> None:
    """Not mistaken for an old producer's complaint about `max_version`: it is raised again."""

    class Raising:
        def __dlpack__(self, **options: Any) -> Any:
            raise TypeError("cannot export this dtype")

    with pytest.raises(TypeError, match="cannot export this dtype"):
        mmhash.identity([Raising()])


def test_an_attribute_of_the_instance_is_no_protocol() -> None:
    class Nothing:
        pass

    value = Nothing()
    value.__dlpack__ = GRID.__dlpack__  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="Nothing"):
        mmhash.identity(value)


def test_list_that_has_dlpack_is_a_tensor() -> None:
    """Tensors come before lists and numbers in the order of kinds."""

    class Listed(list[int]):
        __dlpack_device__ = GRID.__dlpack_device__

        def __dlpack__(self, **options: Any) -> Any:
            return GRID.__dlpack__(**options)

    assert GRID.__dlpack_device__()[0] == CPU
    assert mmhash.identity(Listed([1])) == reference.identity(GRID)
