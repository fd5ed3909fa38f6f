"""Concurrent calls, the thread pool and the GIL."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import reference
import torch
from reference import payload
from subprocesses import python_output

import mmhash

MIB = 1 << 20


def test_many_threads_over_shared_values() -> None:
    """Twelve threads, values below and above every threshold, the number of threads changing."""
    whole = torch.from_numpy(np.frombuffer(bytearray(payload(1, 6 * MIB)), np.uint8))
    values: list[Any] = [
        whole,
        whole.reshape(2048, -1).T,
        whole[: MIB // 2].view(torch.float32),
        whole[:4096],
        {"images": [whole[:MIB], whole[MIB:]], "n": 2},
        bytearray(payload(2, 2 * MIB)),
        whole[: 3 * MIB].numpy()[::-1],
        "text" * 100_000,
    ]
    expected = [reference.identity(value) for value in values]
    stop = threading.Event()

    def hash_all(seed: int) -> int:
        order = np.random.default_rng(seed).integers(0, len(values), 150)
        for i in order:
            assert mmhash.identity(values[i]) == expected[i]
        return len(order)

    def change() -> None:
        while not stop.is_set():
            for count in (1, 2, 4, 3, 16):
                mmhash.set_num_threads(count)
                time.sleep(0.001)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(12) as pool:
            assert sum(pool.map(hash_all, range(12))) == 12 * 150
    finally:
        stop.set()
        changing.join()


SLOW: dict[str, Callable[[], Any]] = {
    "contiguous": lambda: np.ones(256 * MIB, np.uint8),
    "transposed": lambda: np.ones((1 << 12, 1 << 13), np.uint8).T,
    "torch": lambda: torch.ones(256 * MIB, dtype=torch.uint8),
    "bytes": lambda: bytes(256 * MIB),
    "str": lambda: "a" * (256 * MIB),
}


@pytest.mark.parametrize("kind", SLOW)
@pytest.mark.parametrize("call", [mmhash.identity, mmhash.hash_feature])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_gil_is_released(kind: str, call: Callable[[Any], Any], threads: int) -> None:
    progress = wakeups_during(call, SLOW[kind](), threads)
    assert progress > 20


@pytest.mark.parametrize("call", [mmhash.xxh3_64, mmhash.xxh3_128])
def test_the_gil_is_released_by_plain_hashes(call: Callable[[Any], Any]) -> None:
    assert wakeups_during(call, SLOW["contiguous"](), 1) > 20


def wakeups_during(call: Callable[[Any], Any], value: Any, threads: int) -> int:
    """How often another Python thread runs while the value is hashed ten times.

    Were the GIL kept, it could run only between two calls: ten times, or a few more.
    """
    mmhash.set_num_threads(threads)
    stop = threading.Event()
    wakeups = 0

    def run() -> None:
        nonlocal wakeups
        while not stop.is_set():
            time.sleep(0.0005)
            wakeups += 1

    thread = threading.Thread(target=run)
    thread.start()
    seen = 0
    try:
        for _ in range(10):
            before = wakeups
            call(value)
            seen += wakeups - before
    finally:
        stop.set()
        thread.join()
    return seen


def test_small_hashes_keep_the_gil() -> None:
    """Below the threshold nobody else runs: releasing would cost more than the hash."""
    size = int(str(mmhash.info()["gil_release_bytes"])) - 1
    value, large = bytes(size), bytes(16 * size)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # so that a thread loses the GIL only where it gives it up
    try:
        kept = switches(lambda: mmhash.identity(value))
        released = switches(lambda: mmhash.identity(large))
    finally:
        sys.setswitchinterval(interval)
    assert kept == 0
    assert released > 0


def switches(call: Callable[[], Any]) -> int:
    """How often a thread that waits for the GIL gets it while `call` is called 300 times."""
    started, stop, got = threading.Event(), False, 0

    def wait() -> None:
        nonlocal got
        started.set()
        while not stop:
            time.sleep(0)  # gives the GIL up and waits for it
            got += 1

    thread = threading.Thread(target=wait)
    thread.start()
    started.wait()
    before = got
    for _ in range(300):
        call()
    during = got - before
    stop = True
    thread.join()
    return during


@pytest.mark.parametrize(
    "n",
    [0, -1, 257, 10**6, 2**31, 2**63, 2**64 + 1, -(2**70), 10**5000],
    ids=lambda n: f"{n.bit_length()}bits",
)
def test_number_of_threads_out_of_range(n: int) -> None:
    before = mmhash.get_num_threads()
    with pytest.raises(ValueError, match=r"number of threads from 1 to 256"):
        mmhash.set_num_threads(n)
    assert mmhash.get_num_threads() == before


@pytest.mark.parametrize("n", [1.0, "2", None, True, [2], np.float64(2)])
def test_number_of_threads_of_another_type(n: Any) -> None:
    with pytest.raises(TypeError, match=rf"threads.*{type(n).__name__}"):
        mmhash.set_num_threads(n)


def test_number_of_threads() -> None:
    for n in (1, 2, 256, 4):
        mmhash.set_num_threads(n)
        assert mmhash.get_num_threads() == n == mmhash.info()["num_threads"]
    with pytest.raises(TypeError, match=r"argument|positional"):
        mmhash.set_num_threads()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"argument|positional"):
        mmhash.set_num_threads(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"argument|keyword|incompatible"):
        mmhash.get_num_threads(1)  # type: ignore[call-arg]


THREADS_OF_THE_PROCESS = """
import os, mmhash

def running():
    return len(os.listdir("/proc/self/task"))

counts = [running()]
small, large = bytes(1000), bytes(64 << 20)
mmhash.set_num_threads(4)
counts.append(running())       # nothing was hashed yet
mmhash.identity(small)
counts.append(running())       # too small for the pool
for _ in range(20):
    mmhash.identity(large)
counts.append(running())       # three besides this one, and they stay
mmhash.set_num_threads(1)
expected = mmhash.identity(large)
mmhash.set_num_threads(2)
assert mmhash.identity(large) == expected
counts.append(running())
print(*counts)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the threads are counted in /proc")
def test_the_pool_starts_late_and_stays() -> None:
    assert python_output(THREADS_OF_THE_PROCESS) == "1 1 1 4 4"


FIRST_CALLS = """
import sys, threading, mmhash
{imports}

values = {values}
ready = threading.Barrier(len(values))
digests = [None] * len(values)

def first_call(i):
    ready.wait()
    digests[i] = mmhash.identity(values[i])

threads = [threading.Thread(target=first_call, args=(i,)) for i in range(len(values))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(digests == [mmhash.identity(value) for value in values])
"""


@pytest.mark.parametrize(
    ("imports", "values"),
    [
        ("", "[[i] for i in range(8)]"),
        ("", "[{'a': i} for i in range(8)]"),
        ("", "[bytes(2 << 20)] * 8"),
        (
            "import types",
            "[types.MappingProxyType({}), b'', [], 2**99, '\\ud800', (), {}, None] * 2",
        ),
        ("import numpy", "[numpy.ones(9 + i) for i in range(8)]"),
        ("import torch", "[torch.ones(9 + i) for i in range(8)]"),
    ],
    ids=["list", "dict", "large", "kinds", "numpy", "torch"],
)
def test_first_calls_at_the_same_time(imports: str, values: str) -> None:
    """What is looked up once must not be looked up under a lock: importing lets others run."""
    for _ in range(1 if "torch" in imports else 4):
        code = FIRST_CALLS.format(imports=imports, values=values)
        assert python_output(code, timeout=30) == "True"


SHUTDOWN = """
import sys, threading, time, mmhash
mmhash.set_num_threads(int(sys.argv[1]))
values = [bytes(32 << 20), [bytes(300_000)] * 9, memoryview(bytes(32 << 20))[::-1]]
started = threading.Barrier(7)

def hash_for_ever(value):
    started.wait()
    while True:
        mmhash.identity(value)

for i in range(6):
    threading.Thread(target=hash_for_ever, args=(values[i % 3],), daemon=True).start()
started.wait()
time.sleep(float(sys.argv[2]))
print("done")
"""


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("delay", [0, 0.01, 0.05])
def test_shutdown_while_daemon_threads_hash(threads: int, delay: float) -> None:
    """The interpreter ends with status 0 while threads are in the middle of a hash."""
    for _ in range(3):
        assert python_output(SHUTDOWN, threads, delay, timeout=30) == "done"


def test_shutdown_with_an_idle_pool() -> None:
    code = "import mmhash; mmhash.set_num_threads(4); mmhash.identity(bytes(64 << 20))"
    assert python_output(code, timeout=30) == ""
