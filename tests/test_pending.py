"""Identities that are started now and read later."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from subprocesses import python_output

import mmhash

MIB = 1 << 20
LONG = 200_000_000


@pytest.mark.parametrize(
    "value", [None, b"x", [1, "a"], np.arange(9), torch.ones(70_000), torch.ones(0), {"a": [2.5]}]
)
def test_any_value(value: object) -> None:
    pending = mmhash.identity_async(value)
    assert pending.done()
    assert pending.result() == pending.result() == mmhash.identity(value)


def test_a_value_of_the_cpu_may_change_afterwards() -> None:
    tensor = torch.ones(1000)
    expected, pending = mmhash.identity(tensor), mmhash.identity_async(tensor)
    tensor.zero_()
    assert pending.result() == expected


@pytest.mark.parametrize("value", [{1}, torch.ones(3).to_sparse(), [object()]])
def test_errors_are_raised_at_once(value: object) -> None:
    with pytest.raises(TypeError, match="no identity for value"):
        mmhash.identity_async(value)


def test_it_is_made_by_the_function_only() -> None:
    with pytest.raises(TypeError):
        mmhash.PendingIdentity()


def gpu(value: int, size: int = MIB) -> torch.Tensor:
    return torch.full((size,), value % 256, dtype=torch.uint8, device="cuda")


def filled(value: int, size: int = MIB) -> bytes:
    return mmhash.identity(torch.full((size,), value % 256, dtype=torch.uint8))


@pytest.mark.cuda
def test_it_does_not_wait() -> None:
    tensor = gpu(0)
    mmhash.identity(tensor)
    torch.cuda._sleep(LONG)
    tensor.fill_(7)
    pending = mmhash.identity_async(tensor)
    tensor.fill_(8)  # behind it on the stream, so it does not show
    assert not pending.done()
    assert pending.result() == filled(7)
    assert pending.done()
    assert mmhash.identity(tensor) == filled(8)


@pytest.mark.cuda
def test_it_is_done_by_itself() -> None:
    pending = mmhash.identity_async(gpu(5))
    torch.cuda.synchronize()
    assert pending.done()
    assert pending.result() == filled(5)


@pytest.mark.cuda
def test_only_its_own_work_is_waited_for() -> None:
    tensor = gpu(1)
    mmhash.identity_async(tensor).result()
    torch.cuda._sleep(LONG // 100)
    pending = mmhash.identity_async(tensor)
    behind = torch.cuda.Event()
    torch.cuda._sleep(4 * LONG)
    behind.record()
    pending.result()
    assert not behind.query()


@pytest.mark.cuda
def test_many_at_once() -> None:
    tensors = [gpu(i, 10_000 + i) for i in range(500)]  # CUDA itself stops at about 1,000
    first = [mmhash.identity_async(tensor) for tensor in tensors]  # makes the buffers
    assert len({p.result() for p in first}) == 500
    torch.cuda._sleep(LONG)
    pending = [mmhash.identity_async(tensor) for tensor in tensors]
    assert not any(p.done() for p in pending)
    for i in reversed(range(500)):
        assert pending[i].result() == filled(i, 10_000 + i)


@pytest.mark.cuda
def test_in_a_forked_child() -> None:
    """Where nothing of the GPU may be touched, both methods say so."""
    script = """
import os, torch, mmhash
pending = mmhash.identity_async(torch.ones(1 << 20, device="cuda"))
pending.result()
pending = mmhash.identity_async(torch.ones(1 << 20, device="cuda"))
child = os.fork()
if child == 0:
    told = 0
    for method in (pending.done, pending.result):
        try:
            method()
        except RuntimeError as error:
            told += "before fork()" in str(error)
    os._exit(told)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), pending.result() is not None)
"""
    assert python_output(script).split() == ["2", "True"]


@pytest.mark.cuda
def test_the_tensor_may_be_dropped() -> None:
    """Its memory is not handed out again while it is read, not even on another stream."""
    side = torch.cuda.Stream()
    for i in range(20):
        tensor = gpu(i, 4 * MIB)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            torch.cuda._sleep(LONG // 20)
            pending = mmhash.identity_async(tensor)
        del tensor
        others = [gpu(255, 4 * MIB) for _ in range(3)]
        assert pending.result() == filled(i, 4 * MIB)
        del others


def _own_memory(value: int) -> torch.Tensor:
    return gpu(value, 4 * MIB)


def _of_another_library(value: int) -> torch.Tensor:
    cupy = pytest.importorskip("cupy")
    return torch.from_dlpack(cupy.full(4 * MIB, value, dtype="uint8"))


@pytest.mark.cuda
@pytest.mark.parametrize("make", [_own_memory, _of_another_library])
def test_dropped_without_a_result(make: Callable[[int], torch.Tensor]) -> None:
    torch.cuda.synchronize()
    gc.collect()
    before = torch.cuda.memory_allocated()
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):
        with torch.cuda.stream(stream):
            for i in range(20):
                tensor = make(i)
                torch.cuda._sleep(LONG // 100)
                pending = mmhash.identity_async(tensor)
                del tensor, pending
    torch.cuda.synchronize()
    mmhash.identity_async(gpu(1)).result()  # lets go of what was not the allocator's
    assert torch.cuda.memory_allocated() == before


@pytest.mark.cuda
def test_one_result_for_many_threads() -> None:
    for i in range(20):
        tensor = gpu(i)
        torch.cuda._sleep(LONG // 50)
        pending = mmhash.identity_async(tensor)
        barrier = threading.Barrier(8)

        def read(_: int, pending: mmhash.PendingIdentity = pending) -> bytes:
            barrier.wait()  # noqa: B023
            return pending.result()

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(read, range(8))) == {filled(i)}


@pytest.mark.cuda
def test_pending_when_the_process_ends() -> None:
    code = """
import mmhash, torch
tensor = torch.ones(1 << 20, device="cuda")
torch.cuda._sleep(100_000_000)
kept = [mmhash.identity_async(tensor) for _ in range(10)]
print("ended")
"""
    assert python_output(code) == "ended"


@pytest.mark.cuda
def test_an_error_of_the_gpu() -> None:
    """Reported, not waited for without end; in a process of its own, which it ruins."""
    code = """
import mmhash, torch
tensor = torch.ones(1 << 20, device="cuda")
mmhash.identity(tensor)
table = torch.zeros(10, device="cuda")
torch.cuda._sleep(200_000_000)
table[torch.tensor([1 << 40], device="cuda")]
pending = mmhash.identity_async(tensor)
for read in (pending.result, pending.result, lambda: mmhash.identity(tensor)):
    try:
        read()
    except RuntimeError as error:
        print("CUDA_ERROR" in str(error) or "CUDA error" in str(error), end=" ")
import os
os._exit(0)
"""
    assert python_output(code).split() == ["True"] * 3
