"""Signals and other threads are not kept waiting by what takes long, and nothing is left behind."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
import reference
from subprocesses import python_output

import mmhash

INTERRUPTED = """
import signal, sys, time
{imports}
import mmhash

mmhash.set_num_threads(int(sys.argv[1]))
value = {value}

class Alarm(Exception):
    pass

def ring(number, frame):
    raise Alarm

signal.signal(signal.SIGALRM, ring)
for _ in range(2):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    start = time.perf_counter()
    try:
        {call}
    except Alarm:
        pass
    else:
        raise SystemExit("it was not interrupted")
    assert time.perf_counter() - start < 5
assert mmhash.identity([1]).hex() == "2e6bd2d4a8922ef4e9e1c19b6e5cda99"
assert mmhash.identity(bytes(32 << 20)) == mmhash.identity(memoryview(bytes(32 << 20)))
print("interrupted")
"""

# Each would take minutes, or as long as the memory of this machine allows.
ENDLESS = {
    "gathered": ("import numpy as np", "np.broadcast_to(np.uint8(1), 2**40)"),
    "gathered, in a list": ("import numpy as np", "[0, np.broadcast_to(np.uint8(1), 2**40)]"),
    "parts": ("", "[[[[[b'part'] * 1000] * 1000] * 1000] * 1000]"),
    "large parts": ("", "[[[bytes(200_000)] * 1000] * 1000]"),
    "pieces": ("import numpy as np", "bytes(1 << 28)"),
    # Memory that is only read takes none.
    "xxh3_64": ("import mmap", "mmap.mmap(-1, 2**38, mmap.MAP_PRIVATE, mmap.PROT_READ)"),
    "xxh3_128": ("import mmap", "mmap.mmap(-1, 2**38, mmap.MAP_PRIVATE, mmap.PROT_READ)"),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ENDLESS)
def test_a_signal_ends_the_call(kind: str, threads: int) -> None:
    """The handler's exception comes out of identity(), soon, and the next calls are as ever."""
    imports, value = ENDLESS[kind]
    call = "mmhash.identity(value, cache=False)"
    if kind == "pieces":
        call = 'mmhash._core.identity_from_pieces("uint8", (2**40,), [value] * 4096)'
    elif kind.startswith("xxh3"):
        call = f"mmhash.{kind}(value)"
    code = INTERRUPTED.format(imports=imports, value=value, call=call)
    assert python_output(code, threads, timeout=60) == "interrupted"


@pytest.mark.parametrize(
    "value",
    [
        [1] * 3_000_000,
        dict.fromkeys(range(1_000_000)),
        "\xe9" * 60_000_000,
        "\u4e2d" * 40_000_000,
    ],
    ids=["list", "dict", "latin-1", "UCS-2"],
)
def test_other_threads_get_their_turns(value: Any) -> None:
    """Every 10 ms or so; were the GIL kept, they could run just before and after the call."""
    started, stop, turns = threading.Event(), False, 0

    def wait() -> None:
        nonlocal turns
        started.set()
        while not stop:
            time.sleep(0)
            turns += 1

    thread = threading.Thread(target=wait)
    try:
        thread.start()
        started.wait()
        before = turns
        mmhash.identity(value)
        during = turns - before
    finally:
        stop = True
        thread.join()
    assert during >= 5


LENGTHS = [65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 700_000]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "alphabet",
    [
        "a\x7f",
        "a\x80\xff",
        "a\x80\u07ff\u0800\uffff",
        "a\u07ff\uffff\U00010000\U0010ffff",
        "a\ud800\udfff\udcff",
        "\ud83d\ude00\U0001f600",
    ],
    ids=["ascii", "latin-1", "UCS-2", "UCS-4", "surrogates", "pairs"],
)
def test_long_text(alphabet: str, length: int) -> None:
    """UTF-8 that is made piece by piece is what CPython makes, and none stays in the str."""
    random = np.random.default_rng(length)
    text = "".join(random.choice(list(alphabet), length))
    size = sys.getsizeof(text)
    found = mmhash.identity(text)
    if length >= 65_536:
        assert sys.getsizeof(text) == size
    assert found == reference.identity(text)


LOW_MEMORY = """
import resource, sys, threading
import mmhash

mmhash.set_num_threads(int(sys.argv[1]))
small = memoryview(bytes(range(256)) * 64)[::-1]
large = memoryview(bytes(range(256)) * (1 << 16))[::-1]
expected = mmhash.identity(bytes(small)), mmhash.identity(bytes(large))
go, results = threading.Event(), []

def first_strided_hash():
    go.wait()
    for value in (small, large):
        try:
            results.append(mmhash.identity(value))
        except MemoryError:
            results.append(None)

threads = [threading.Thread(target=first_strided_hash) for _ in range(4)]
[thread.start() for thread in threads]
blocks, size = [], 1 << 24
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used, limits[1]))
while size >= 1 << 15:  # less than the 64 KiB of scratch is left in one piece
    try:
        blocks.append(bytearray(size))
    except MemoryError:
        size //= 2
go.set()
[thread.join() for thread in threads]
blocks.clear()
resource.setrlimit(resource.RLIMIT_AS, limits)
assert None in results, results
assert {result for result in results if result} <= set(expected)
try:
    first_strided_hash()
finally:
    assert tuple(results[-2:]) == expected, results
print("MemoryError")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc")
@pytest.mark.parametrize("threads", [1, 4])
def test_low_memory_at_the_first_strided_hash(threads: int) -> None:
    """Without 64 KiB to gather into, the call is a MemoryError and the process goes on."""
    assert python_output(LOW_MEMORY, threads, timeout=60, MALLOC_ARENA_MAX="1") == "MemoryError"
