"""What is hashed stays where it is meanwhile, and is let go of afterwards."""

from __future__ import annotations

import array
import gc
import itertools
import mmap
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from dlpack_capsules import Producer
from PIL import Image
from value_strategies import ReadOnly

import mmhash

MIB = 1 << 20


class Hashing:
    """A thread that hashes a value again and again, so that it is in a hash nearly all the time."""

    def __init__(self, make_value: Callable[[], Any]) -> None:
        self.make_value = make_value
        self.digests: list[bytes] = []
        self.errors: list[BaseException] = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.digests.append(mmhash.identity(self.make_value()))
        except BaseException as error:
            self.errors.append(error)

    def finish(self) -> None:
        self.stop.set()
        self.thread.join(60)
        assert not self.thread.is_alive()
        assert self.errors == []


@contextmanager
def hashing(make_value: Callable[[], Any]) -> Iterator[Hashing]:
    worker = Hashing(make_value)
    worker.thread.start()
    try:
        yield worker
    finally:
        worker.finish()


RESIZES: dict[str, tuple[Callable[[], Any], Callable[[Any], None], Callable[[Any], None]]] = {
    "bytearray.append": (lambda: bytearray(64 * MIB), lambda v: v.append(0), lambda v: v.pop()),
    "bytearray.clear": (
        lambda: bytearray(64 * MIB),
        lambda v: v.clear(),
        lambda v: v.extend(bytes(64 * MIB)),
    ),
    "array.append": (
        lambda: array.array("B", bytes(64 * MIB)),
        lambda v: v.append(0),
        lambda v: v.pop(),
    ),
}


@pytest.mark.parametrize("name", RESIZES)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: {"images": [v]}], ids=["bare", "nested"])
def test_resizing_a_buffer_while_it_is_hashed(name: str, wrap: Callable[[Any], Any]) -> None:
    """It raises BufferError in the meantime, and works afterwards."""
    make, resize, restore = RESIZES[name]
    value = make()
    expected = mmhash.identity(wrap(value))
    refused = 0
    with hashing(lambda: wrap(value)) as worker:
        while refused < 5 and worker.thread.is_alive():
            try:
                resize(value)
            except BufferError:
                refused += 1
                continue
            while True:  # it came between two hashes
                try:
                    restore(value)
                    break
                except BufferError:
                    continue
    assert refused == 5
    resize(value)
    restore(value)
    assert mmhash.identity(wrap(value)) == expected
    assert expected in worker.digests


def test_resizing_a_map_while_it_is_hashed() -> None:
    region = mmap.mmap(-1, 64 * MIB)
    expected = mmhash.identity(region)
    refused = 0
    with hashing(lambda: region) as worker:
        while refused < 5 and worker.thread.is_alive():
            try:
                region.resize(len(region))  # between two hashes it works, and changes nothing
            except BufferError:
                refused += 1
    assert refused == 5
    assert set(worker.digests) == {expected}
    region.close()


@pytest.mark.parametrize("way", ["auto", "attributes"])
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize("n", [128, 200_000, 4 * MIB])
def test_a_tensor_whose_memory_is_replaced_while_it_is_hashed(
    way: str, strided: bool, n: int
) -> None:
    """Engines drop a feature with `item.feature.data = ...`: the digest is the old or the new one.

    Sizes below and above the one from which the GIL is released. Any step between learning the
    address and holding the memory that lets another thread run would show here.
    """
    contents = [torch.full((n,), i, dtype=torch.uint8) for i in range(2)]
    views = [c.reshape(64, -1).T if strided else c.reshape(-1, 64) for c in contents]
    expected = {mmhash.identity(view) for view in views}
    tensor = views[0].clone(memory_format=torch.preserve_format)
    assert tensor.is_contiguous() != strided
    mmhash._core.set_tensor_intake(way)
    end = time.monotonic() + 0.7
    with hashing(lambda: tensor) as worker, hashing(lambda: tensor) as other:
        for view in itertools.cycle(views):
            tensor.data = view.clone(memory_format=torch.preserve_format)
            over = time.monotonic() - end
            if over > 60 or (over > 0 and {*worker.digests, *other.digests} >= expected):
                break
    assert {*worker.digests, *other.digests} == expected


def test_a_value_whose_last_reference_is_dropped_while_it_is_hashed() -> None:
    """The container is emptied by another thread; what is being read stays alive."""
    part = np.arange(2 * MIB)
    expected = mmhash.identity([part, part])
    container: list[Any] = []

    def fill() -> list[Any]:
        container[:] = [part.copy(), part.copy()]
        return container

    with hashing(fill) as worker:
        while len(worker.digests) < 20 and worker.thread.is_alive():
            container.clear()
    assert expected in worker.digests
    partial = {mmhash.identity([]), mmhash.identity([part]), expected}
    assert set(worker.digests) <= partial


def test_memory_that_another_thread_writes() -> None:
    """Some digest, and no crash: no control flow depends on the content."""
    written = torch.zeros(16 * MIB, dtype=torch.uint8)
    with hashing(lambda: written) as worker:
        for i in itertools.count():
            written.fill_(i & 255)
            if (i >= 100 and len(worker.digests) >= 20) or not worker.thread.is_alive():
                break
    assert len({*worker.digests}) > 1, "no hash fell between two writes: nothing was tested"
    assert mmhash.identity(written) == mmhash.identity(torch.full_like(written, i & 255))


class Weak:
    """Anything that can be referred to weakly, in place of a leaf."""


WEAKLY: dict[str, Callable[[], Any]] = {
    "array": lambda: np.ones((300, 300)),
    "large array": lambda: np.ones((700, 700)),
    "strided array": lambda: np.ones((700, 700)).T,
    "swapped array": lambda: np.ones(9, ">f4"),
    "tensor": lambda: torch.ones(300, 300),
    "large tensor": lambda: torch.ones(1000, 1000),
    "strided tensor": lambda: torch.ones(1000, 1000).T,
    "conj tensor": lambda: torch.ones(9, dtype=torch.complex64).conj(),
    "tensor that requires grad": lambda: torch.ones(9, requires_grad=True),
    "memoryview": lambda: memoryview(bytes(9)),
    "array.array": lambda: array.array("B", b"abc"),
    "image": lambda: Image.new("P", (9, 9)),
    "mapping": lambda: ReadOnly({"a": [1]}),
    "DLPack": lambda: Producer(bytes(9), (9,), None),
    "set": lambda: {1, 2},
    "unknown": Weak,
    "object array": lambda: np.array([None]),
    "sparse tensor": lambda: torch.eye(3).to_sparse(),
}


@pytest.mark.parametrize("name", WEAKLY)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [{"a": v}]], ids=["bare", "nested"])
def test_nothing_is_kept_alive(name: str, wrap: Callable[[Any], Any]) -> None:
    gc.collect()
    gc.disable()
    try:
        value = WEAKLY[name]()
        alive = weakref.ref(value)
        for call in (mmhash.identity, mmhash.hash_feature, mmhash.xxh3_64):
            try:
                call(wrap(value))
            except (TypeError, ValueError) as error:
                error.__traceback__ = None
        del value
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", WEAKLY)
def test_reference_counts_stay(name: str) -> None:
    value = WEAKLY[name]()
    container: dict[str, Any] = {"a": [value]}
    watched = [value, type(value), container, container["a"], "a"]
    if isinstance(value, (np.ndarray, torch.Tensor)):
        watched.append(value.dtype)
    counts: list[list[int]] = []
    for _ in range(3):
        counts.append([sys.getrefcount(item) for item in watched])
        for call in (mmhash.identity, mmhash.hash_feature, mmhash.xxh3_128):
            for argument in (value, container):
                try:
                    call(argument)
                except (TypeError, ValueError) as error:
                    error.__traceback__ = None
    assert counts[1] == counts[2]
