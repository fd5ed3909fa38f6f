"""Hashing on a GPU waits for its own stream only, from any thread, on any device."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import mmhash

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("cuda_algorithm")]
MIB = 1 << 20
LONG = 400_000_000  # cycles: 0.2 s and more


@pytest.fixture(autouse=True)
def idle() -> Iterator[None]:
    torch.cuda.synchronize()
    yield
    torch.cuda.synchronize()


def filled(value: int, size: int = MIB) -> bytes:
    return mmhash.identity(torch.full((size,), value, dtype=torch.uint8))


def test_only_its_own_stream_is_waited_for() -> None:
    tensor = torch.full((MIB,), 3, dtype=torch.uint8, device="cuda")
    expected, other = filled(3), torch.cuda.Stream()
    mmhash.identity(tensor)
    torch.cuda.synchronize()
    with torch.cuda.stream(other):
        torch.cuda._sleep(LONG)
    with torch.cuda.stream(torch.cuda.Stream()):
        assert mmhash.identity(tensor) == expected
    assert not other.query(), "the other stream was waited for"


def test_two_streams_at_once() -> None:
    streams = [torch.cuda.Stream(), torch.cuda.Stream()]

    def work(i: int) -> None:
        with torch.cuda.stream(streams[i]):
            tensor = torch.empty(4 * MIB, dtype=torch.uint8, device="cuda")
            for n in range(100):
                tensor.fill_((n + i) % 256)
                assert mmhash.identity(tensor) == expected[(n + i) % 256]

    expected = [filled(n, 4 * MIB) for n in range(102)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))


def test_many_threads_on_one_stream() -> None:
    tensors = [torch.full((MIB + i,), i, dtype=torch.uint8, device="cuda") for i in range(16)]
    expected = [filled(i, MIB + i) for i in range(16)]

    def work(i: int) -> None:
        for _ in range(200):
            assert mmhash.identity(tensors[i]) == expected[i]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


def test_the_gil_is_released() -> None:
    """While one thread waits for the GPU, others run."""
    tensor = torch.ones(MIB, device="cuda")
    mmhash.identity(tensor)
    ticks = 0
    hashed = threading.Event()

    def hash_behind_work() -> None:
        torch.cuda._sleep(LONG)
        mmhash.identity(tensor)
        hashed.set()

    thread = threading.Thread(target=hash_behind_work)
    thread.start()
    while not hashed.is_set():
        ticks += 1
        time.sleep(0.001)
    thread.join()
    assert ticks > 20


def test_repeated_calls_allocate_nothing() -> None:
    tensor = torch.ones(4 * MIB, device="cuda")
    view = tensor.reshape(1024, -1).T
    for _ in range(3):
        mmhash.identity(tensor), mmhash.identity(view)
    torch.cuda.synchronize()
    free, allocated = torch.cuda.mem_get_info()[0], torch.cuda.memory_allocated()
    for _ in range(300):
        mmhash.identity(tensor), mmhash.identity(view)
    assert torch.cuda.mem_get_info()[0] == free
    assert torch.cuda.memory_allocated() == allocated


def test_capture_of_a_graph_in_another_thread() -> None:
    """It neither fails nor breaks the capture, even where buffers have to be made for it."""
    tensor = torch.ones(4 * MIB, device="cuda")
    static = torch.zeros(MIB, device="cuda")
    graph = torch.cuda.CUDAGraph()
    expected = mmhash.identity(tensor.cpu())

    def hash_elsewhere() -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            pending = [mmhash.identity_async(tensor) for _ in range(30)]
            assert mmhash.identity(tensor) == expected
            assert {p.result() for p in pending} == {expected}

    with ThreadPoolExecutor(1) as pool, torch.cuda.graph(graph):
        static += 1
        with pytest.raises(RuntimeError, match="captured"):
            mmhash.identity_async(static)
        pool.submit(hash_elsewhere).result()
        static += 1
    graph.replay()
    torch.cuda.synchronize()
    assert static[0].item() == 2


def test_every_device() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    expected = filled(5)
    tensors = [
        torch.full((MIB,), 5, dtype=torch.uint8, device=f"cuda:{i}")
        for i in range(torch.cuda.device_count())
    ]
    for current in range(torch.cuda.device_count()):
        with torch.cuda.device(current):
            assert {mmhash.identity(tensor) for tensor in tensors} == {expected}
            pending = [mmhash.identity_async(tensor) for tensor in tensors]
            assert {p.result() for p in pending} == {expected}
            assert torch.cuda.current_device() == current


def test_memory_of_another_process() -> None:
    context = torch.multiprocessing.get_context("spawn")
    tensors, done = context.SimpleQueue(), context.Event()
    child = context.Process(target=_send, args=(tensors, done))
    child.start()
    try:
        received = tensors.get()
        expected = filled(6)
        assert mmhash.identity(received) == expected
        mmhash.cache_resize(8)
        bypasses = mmhash.cache_info().bypasses
        assert mmhash.identity(received) == mmhash.identity(received) == expected
        assert mmhash.cache_info().bypasses == bypasses + 2, "the other process can write it"
        pending = mmhash.identity_async(received)
        del received
        assert pending.result() == expected
        del pending
    finally:
        done.set()
        child.join()


def _send(tensors: object, done: threading.Event) -> None:
    tensor = torch.full((MIB,), 6, dtype=torch.uint8, device="cuda")
    torch.cuda.synchronize()
    tensors.put(tensor)  # type: ignore[attr-defined]
    done.wait()


@pytest.mark.parametrize("wrapped", [lambda x: x, lambda x: [{"pixels": (x,)}]])
def test_an_executor_hashes_what_the_caller_has_enqueued(
    wrapped: Callable[[torch.Tensor], object],
) -> None:
    """Its threads have other current streams than the one that writes the tensor."""
    expected = mmhash.hash_feature(wrapped(torch.full((MIB,), 7, dtype=torch.uint8)))
    tensor = torch.empty(MIB, dtype=torch.uint8, device="cuda")
    with mmhash.HashExecutor() as executor:
        for stream in (torch.cuda.Stream(), torch.cuda.default_stream()):
            tensor.zero_()
            torch.cuda.synchronize()
            with torch.cuda.stream(stream):
                torch.cuda._sleep(LONG)
                tensor.fill_(7)
                item = mmhash.MultimodalDataItem(modality="IMAGE", feature=wrapped(tensor))
                future = executor.submit("request", item)
                assert not stream.query(), "over before the hash began: this tests nothing"
                assert executor.get_result("request") == future.result() == [expected]
