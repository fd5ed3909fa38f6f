"""Contiguous memory is read where it lies, and strided memory never materialised."""

from __future__ import annotations

import array
import ctypes
import mmap
import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import psutil
import pytest
import torch
from reference import DTYPES
from subprocesses import python_output

import mmhash
from mmhash._core import data_pointer

GIB = 1 << 30


def address(value: Any) -> int:
    """Where the buffer of a value begins, by a way that mmhash does not take."""
    return int(np.frombuffer(value, np.uint8).ctypes.data)


BUFFERS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: b"abc" * 100,
    "bytearray": lambda: bytearray(1000),
    "memoryview": lambda: memoryview(bytes(1000))[7:],
    "array": lambda: array.array("d", [1.0, 2.0]),
    "ctypes": lambda: (ctypes.c_int * 5)(1, 2, 3),
    "mmap": lambda: mmap.mmap(-1, 8192),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_buffers(kind: str) -> None:
    value = BUFFERS[kind]()
    assert data_pointer(value) == address(value)


ARRAYS: dict[str, Callable[[], Any]] = {
    "whole": lambda: np.ones((3, 4)),
    "rows": lambda: np.ones((9, 4))[2:5],
    "0-d": lambda: np.array(1.5),
    "read-only": lambda: np.frombuffer(b"abcdefgh", np.int64),
    "unaligned": lambda: np.frombuffer(bytes(17), np.uint8)[1:].view(np.float64),
    "structured view of bytes": lambda: np.ones(8, np.uint8).view(np.int32),
    "garbage strides": lambda: np.lib.stride_tricks.as_strided(np.ones(5), (1, 5, 1), (77, 8, -3)),
    "bfloat16": lambda: np.ones((3, 4), ml_dtypes.bfloat16)[1:],
    "matrix": lambda: np.matrix([[1, 2], [3, 4]]),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(kind: str) -> None:
    value = ARRAYS[kind]()
    assert data_pointer(value) == value.ctypes.data


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_tensors(dtype: str, intake: str) -> None:
    whole = torch.zeros((6, 4), dtype=getattr(torch, dtype))
    for tensor in (whole, whole[2:], whole[0, 1], whole.T.T, whole[None, :, None], whole.detach()):
        assert data_pointer(tensor) == tensor.data_ptr()


@pytest.mark.parametrize(
    "view",
    [
        np.ones((3, 4)).T,
        np.ones((3, 4))[::-1],
        np.broadcast_to(np.ones(4), (3, 4)),
        np.ones(3, ">f4"),
        torch.ones(3, 4)[:, 1:],
        torch.ones(3, dtype=torch.complex64).conj(),
        torch._neg_view(torch.ones(3)),
    ],
    ids=["transposed", "backwards", "expanded", "swapped", "cropped", "conj", "negative"],
)
def test_what_is_gathered_is_counted(view: Any) -> None:
    """The slow path is no secret: `data_pointer` knows no address, and `info` counts the call."""
    assert data_pointer(view) == 0
    before = slow_paths()["gathered"]
    mmhash.identity(view)
    assert slow_paths()["gathered"] == before + 1
    mmhash.identity([np.ones(3), b"abc", "abc", torch.ones(3, 4)])
    assert slow_paths()["gathered"] == before + 1


def test_attribute_intakes_are_counted() -> None:
    before = slow_paths()["attributes"]
    mmhash.identity(torch.ones(3))
    exchange = mmhash.info()["tensor_intake"] == "dlpack_c_exchange"
    assert slow_paths()["attributes"] == before + (not exchange)
    mmhash._core.set_tensor_intake("attributes")
    mmhash.identity(torch.ones(3))
    assert slow_paths()["attributes"] == before + 1 + (not exchange)


def slow_paths() -> dict[str, int]:
    counted = mmhash.info()["slow_paths"]
    assert isinstance(counted, dict)
    return counted


# One GiB, looked at in many ways. VmHWM is the peak of the resident memory; writing 5 to clear_refs
# starts it anew.
PEAK = """
import sys, mmhash, torch

def kilobytes(field):
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(field)

mmhash.set_num_threads(int(sys.argv[1]))
tensor = torch.full((16_001, 16_777), 3.0)  # a little more than a GiB
array = tensor.numpy()
mmhash.identity(tensor[:1024, :1024])  # starts the threads
cases = [
    ("torch", mmhash.identity, tensor),
    ("torch transposed", mmhash.identity, tensor.T),
    ("torch negative", mmhash.hash_feature, torch._neg_view(tensor)),
    ("numpy", mmhash.identity, array),
    ("numpy backwards", mmhash.identity, array[::-1, ::-1]),
    ("nested", mmhash.hash_feature, {"images": [1, [tensor]]}),
    ("memoryview", mmhash.identity, memoryview(array).cast("B")[1:]),
    ("xxh3", mmhash.xxh3_128, tensor),
]
for name, hash, value in cases[: int(sys.argv[2])]:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = kilobytes("VmRSS")
    hash(value)
    print(name, kilobytes("VmHWM") - before, sep=":")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of the memory")
@pytest.mark.parametrize(("threads", "cases"), [(1, 8), (2, 3)])
def test_peak_memory(threads: int, cases: int) -> None:
    """A GiB of anything makes the process grow by less than 16 MiB."""
    if psutil.virtual_memory().available < 3 * GIB:
        pytest.skip("less than 3 GiB of memory are free")
    lines = python_output(PEAK, threads, cases).splitlines()
    grown = {name: int(kilobytes) for name, kilobytes in (line.split(":") for line in lines)}
    assert len(grown) == cases
    assert {name: k for name, k in grown.items() if k >= 16 * 1024} == {}
