"""10^5 calls leave no memory behind, neither those that succeed nor those that fail."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import psutil
import pytest
import torch
from dlpack_capsules import Producer
from PIL import Image
from test_bad_input import CASES as BAD_VALUES
from test_bad_tensors import CASES as BAD_TENSORS
from value_strategies import Grid, Modality, ReadOnly

import mmhash

CALLS = 100_000
TENSOR = torch.arange(24.0).reshape(4, 6)
ARRAY = np.arange(24).reshape(4, 6)
LARGE = np.zeros(1 << 20, np.uint8)

GOOD: dict[str, Any] = {
    "None": None,
    "bool": True,
    "int": 3,
    "huge int": 2**200,
    "IntEnum": Modality.AUDIO,
    "float": 1.5,
    "complex": 1j,
    "str": "image",
    "str with surrogates": "\ud800",
    "long str": "é" * 5000,
    "bytes": b"abc",
    "bytearray": bytearray(9000),
    "memoryview": memoryview(bytes(99))[::-2],
    "list": [1, [2, [3]]],
    "namedtuple": Grid(1, [2]),
    "dict": {"a": 1, ("b", 2): [None]},
    "mapping": ReadOnly({"a": 1}),
    "image": Image.new("P", (9, 9)),
    "numpy array": ARRAY,
    "numpy view": ARRAY.T[::-1],
    "numpy scalar": np.float64(1.5),
    "bfloat16 array": np.ones(3, ml_dtypes.bfloat16),
    "big-endian array": np.ones(3, ">f8"),
    "large array": LARGE,
    "large view": LARGE.reshape(1024, 1024)[:600, 1:600],
    "tensor": TENSOR,
    "tensor view": TENSOR.T,
    "conj": TENSOR.to(torch.complex64).conj(),
    "requires grad": torch.ones(3, requires_grad=True),
    "DLPack": Producer(bytes(24), (2, 3, 4), (12, 4, 1)),
}


def rise(function: Callable[[], object], calls: int, *, warm_up: int = 200) -> tuple[int, int]:
    """How many memory blocks of Python, and how many KiB, `calls` calls add."""
    process = psutil.Process()
    for _ in range(warm_up):
        function()
    gc.collect()
    blocks, resident = sys.getallocatedblocks(), process.memory_info().rss
    for _ in range(calls):
        function()
    gc.collect()
    grown = process.memory_info().rss - resident
    return sys.getallocatedblocks() - blocks, grown // 1024


def blocks_of(function: Callable[[], object], calls: int) -> int:
    blocks = sys.getallocatedblocks()
    for _ in range(calls):
        function()
    return sys.getallocatedblocks() - blocks


def check(function: Callable[[], object], calls: int) -> None:
    """A leak of one block in every fourth call, or of 10 bytes in each, is found."""
    blocks, kilobytes = rise(function, calls)
    assert blocks < 200 + calls // 4, f"{blocks} blocks in {calls} calls"
    assert kilobytes < 1024 + calls // 100, f"{kilobytes} KiB in {calls} calls"


@pytest.mark.parametrize("name", GOOD)
def test_identity(name: str) -> None:
    value = GOOD[name]
    check(lambda: mmhash.identity(value), 500 if "large" in name else 4000)


def test_many_calls() -> None:
    values = [value for name, value in GOOD.items() if "large" not in name]

    def every_kind() -> None:
        for value in values:
            mmhash.identity(value)

    check(every_kind, CALLS // len(values) + 1)


@pytest.mark.parametrize("way", ["attributes", "dlpack"])
def test_other_intakes(way: str) -> None:
    mmhash._core.set_tensor_intake(way)
    check(lambda: mmhash.identity([TENSOR, TENSOR.T]), 3000)


def test_plain_hashes() -> None:
    check(lambda: (mmhash.xxh3_64(TENSOR, seed=2**63), mmhash.xxh3_128(b"abc", seed=1)), 20_000)


def failing(value: object) -> Callable[[], None]:
    def call() -> None:
        try:
            mmhash.identity(value)
        except (TypeError, ValueError):
            return
        raise AssertionError("no error")

    return call


# An error that torch raises first takes it a millisecond, for the stack trace.
@pytest.mark.filterwarnings("ignore")  # torch warns of its own prototypes
@pytest.mark.parametrize(("cases", "calls"), [(BAD_VALUES, 300), (BAD_TENSORS, 50)])
def test_errors(cases: dict[str, tuple[Any, ...]], calls: int) -> None:
    """Every value and tensor that is refused, bare and within others."""
    made = [make() for make, *_ in cases.values()]
    failures = [failing(value) for value in made]
    failures += [failing({"images": [TENSOR, value], "n": 1}) for value in made]
    for failure in failures:
        blocks_of(failure, calls)  # fills the caches of whoever raises
    resident = psutil.Process().memory_info().rss
    for failure in failures:
        # Caches of the interpreter grow now and then; a leak grows each time.
        grown = min(blocks_of(failure, calls) for _ in range(3))
        assert grown < calls * 2 // 3, f"{grown} blocks in {calls} calls"
    kilobytes = (psutil.Process().memory_info().rss - resident) // 1024
    assert kilobytes < 8 * 1024, f"{kilobytes} KiB"


def test_errors_of_structure() -> None:
    cyclic: list[Any] = [TENSOR]
    cyclic.append({"a": cyclic})
    deep: Any = 1
    for _ in range(1001):
        deep = [deep]

    check(failing(cyclic), 3000)
    check(failing(deep), 300)


def test_errors_of_arguments() -> None:
    def wrong() -> None:
        for call in (
            lambda: mmhash.identity(),  # type: ignore[call-arg]
            lambda: mmhash.hash_feature(None),
            lambda: mmhash.xxh3_64(b"", seed=-1),
            lambda: mmhash.xxh3_64(ARRAY.T),
            lambda: mmhash.xxh3_128("text"),
            lambda: mmhash.set_num_threads(0),
            lambda: mmhash._core.set_isa("mmx"),
        ):
            try:
                call()
            except (TypeError, ValueError):
                continue
            raise AssertionError("no error")

    check(wrong, 1000)


def test_settings_and_info() -> None:
    def settings() -> None:
        mmhash.info()
        mmhash.set_num_threads(mmhash.get_num_threads())
        mmhash._core.set_isa(mmhash._core.isa())

    check(settings, 3000)
