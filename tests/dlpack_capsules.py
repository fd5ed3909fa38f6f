"""DLPack capsules made by hand with ctypes, of any content, that count how often they are freed."""

from __future__ import annotations

import ctypes
from typing import Any

CPU, CUDA = 1, 2


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class Managed(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class ManagedVersioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


DESTRUCTOR = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, DESTRUCTOR)(
    ("PyCapsule_New", ctypes.pythonapi)
)

_live: dict[int, Producer] = {}


def live_capsules() -> int:
    """How many capsules exist that were not freed yet."""
    return len(_live)


@DESTRUCTOR
def free(capsule: int) -> None:
    _live.pop(capsule).freed += 1


class Producer:
    """An object with `__dlpack__` whose capsule says exactly what it is told to say."""

    def __init__(
        self,
        data: bytes | None,
        shape: tuple[int, ...] | None,
        strides: tuple[int, ...] | None,
        *,
        code: int = 1,
        bits: int = 8,
        lanes: int = 1,
        device: int = CPU,
        byte_offset: int = 0,
        ndim: int | None = None,
        versioned: bool = True,
        version: tuple[int, int] = (1, 0),
    ) -> None:
        self.freed = 0
        self._data = data  # kept alive, as are the arrays below
        self._shape = None if shape is None else (ctypes.c_int64 * len(shape))(*shape)
        self._strides = None if strides is None else (ctypes.c_int64 * len(strides))(*strides)
        self._device = device
        tensor = Tensor(
            ctypes.cast(data, ctypes.c_void_p) if data is not None else None,
            device,
            0,
            len(shape or ()) if ndim is None else ndim,
            code,
            bits,
            lanes,
            ctypes.cast(self._shape, ctypes.POINTER(ctypes.c_int64)) if shape is not None else None,
            ctypes.cast(self._strides, ctypes.POINTER(ctypes.c_int64)) if strides else None,
            byte_offset,
        )
        self._name = b"dltensor_versioned" if versioned else b"dltensor"
        self._managed = (
            ManagedVersioned(*version, None, None, 0, tensor)
            if versioned
            else Managed(tensor, None, None)
        )

    def __dlpack__(self, **options: Any) -> Any:
        capsule = new_capsule(ctypes.addressof(self._managed), self._name, free)
        _live[id(capsule)] = self
        return capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device, 0
