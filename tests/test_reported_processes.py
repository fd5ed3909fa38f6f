"""Reports of threads, forks and ends of processes that hang or fail: see reported_faults.py."""

from __future__ import annotations

import asyncio
import pickle
import threading
import types
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from subprocesses import python_output, run_python

import mmhash

WAIT = 60  # seconds; only a fault takes so long


class Gate(Mapping[str, bytes]):
    """A feature that is hashed when it is opened, and says when somebody has begun with it."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def __getitem__(self, key: str) -> bytes:
        self.begun.set()
        assert self.opened.wait(WAIT)
        return b"pixels"


def item(feature: object) -> mmhash.MultimodalDataItem:
    return mmhash.MultimodalDataItem("IMAGE", feature=feature)


def test_items_do_not_wait_for_each_other() -> None:
    gate = Gate()
    slow = item(gate)
    thread = threading.Thread(target=slow.resolve)
    thread.start()
    try:
        assert gate.begun.wait(WAIT)
        assert item(b"other").hash == mmhash.hash_feature(b"other")
        assert not slow.is_resolved
    finally:
        gate.opened.set()
        thread.join()
    assert slow.hash == mmhash.hash_feature({"a": b"pixels"})


def test_cancelled_waiters() -> None:
    """Every second one that waits for the one place is cancelled; the others get it in turn."""
    gate = Gate()

    async def hash_all(executor: mmhash.HashExecutor) -> list[Any]:
        first = asyncio.create_task(executor.hash(item(gate)))
        waiting = [asyncio.create_task(executor.hash(item(b"%d" % i))) for i in range(20)]
        await asyncio.to_thread(gate.begun.wait, WAIT)
        for task in waiting[::2]:
            task.cancel()
        gate.opened.set()
        for task in waiting[1:8:4]:  # some more when the place may just have come to them
            task.cancel()
        return await asyncio.wait_for(asyncio.gather(first, *waiting, return_exceptions=True), WAIT)

    with mmhash.HashExecutor(1, 1, when_full="wait") as executor:
        _, *results = asyncio.run(hash_all(executor))
        for i, result in enumerate(results):
            if not isinstance(result, asyncio.CancelledError):
                assert result == [mmhash.hash_feature(b"%d" % i)]
        assert sum(isinstance(result, list) for result in results) >= 8
        # The place is free again: this neither waits for ever nor goes beyond the one.
        assert executor.submit("last", item(b"last")).result(WAIT)


def test_a_forked_child_ends() -> None:
    """By itself, with status 0, though a thread of the parent's executor was at work."""
    code = """if True:
        import os, sys, threading
        import mmhash
        from test_reported_processes import Gate, item
        gate = Gate()
        executor = mmhash.HashExecutor(max_workers=1)
        future = executor.submit("a", item(gate))
        assert gate.begun.wait(60)
        child = os.fork()
        if child == 0:
            try:
                executor.submit("b", item(b"b"))
            except RuntimeError as error:
                assert "before the process forked" in str(error)
                assert item(b"c").hash == mmhash.hash_feature(b"c")
                sys.exit(0)
            sys.exit("a child has used its parent's threads")
        _, status = os.waitpid(child, 0)
        gate.opened.set()
        print(status, future.result() == [mmhash.hash_feature({"a": b"pixels"})])
        executor.shutdown()
    """
    assert python_output(code, timeout=WAIT) == "0 True"


FUNCTIONS = [name for name in mmhash.__all__ if name[0].islower()]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_can_be_pickled(name: str) -> None:
    function = getattr(mmhash, name)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        received = pickle.loads(pickle.dumps(function, protocol))
        assert received is function or received == function
    code = "import sys, pickle; print(pickle.loads(bytes.fromhex(sys.argv[1])).__name__)"
    if function is mmhash.xxh3_64:
        assert python_output(code, pickle.dumps(function).hex()) == "xxh3_64"


def test_threads_with_small_stacks() -> None:
    """Of 128 KiB, which is musl's default: with what takes most, strided memory and nesting."""
    code = """if True:
        import threading
        import numpy as np
        import torch
        from PIL import Image
        import mmhash
        values = [
            np.zeros((300, 300)).T, torch.zeros(300, 300).T, memoryview(np.zeros((30, 30)).T),
            np.zeros(5_000_000), torch.zeros(100_000), np.zeros((1,) * 60), "x" * 10**6, 10**300,
            Image.new("RGB", (300, 300)), [[[{"a": (1, 2.0, 3j, None, True)}]]],
        ]
        threading.stack_size(128 << 10)
        found = []
        thread = threading.Thread(target=lambda: found.extend(map(mmhash.identity, values)))
        thread.start()
        thread.join()
        print(found == list(map(mmhash.identity, values)))
    """
    assert python_output(code, timeout=WAIT) == "True"


def test_finalizers_at_exit() -> None:
    """Large and small, strided and of torch, hashed before or for the first time."""
    code = """if True:
        import os
        import numpy as np
        import torch
        import mmhash
        class Last:
            def __init__(self, value):
                self.value, self.expected = value, mmhash.identity(value)
                self.me = self
            def __del__(self, write=os.write, identity=mmhash.identity):
                write(1, b"same\\n" if identity(self.value) == self.expected else b"another\\n")
        kept = [Last(value) for value in (
            np.zeros(3_000_000), torch.zeros(3_000_000), np.zeros((1000, 1000)).T, torch.zeros(3),
            [1, {"a": b"x"}], 10**300, np.float32(1),
        )]
    """
    done = run_python(code, timeout=WAIT, MMHASH_CACHE_SIZE="100")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["same"] * 7, "")


FIRST = [
    "[1]",
    "(1, [2.0])",
    "{'a': b'x'}",
    "types.MappingProxyType({'a': 1})",
    "np.zeros(3)",
    "np.zeros(3_000_000)",
    "torch.zeros(3)",
    "torch.zeros(3_000_000)",
    "10**300",
    "'\xe9' * 100_000",
]


@pytest.mark.parametrize("value", FIRST)
def test_the_first_hash_of_the_process_at_its_exit(value: str) -> None:
    code = f"""if True:
        import os, types
        import numpy as np
        {"import torch" if "torch" in value else ""}
        import mmhash
        class Last:
            def __init__(self, value):
                self.value, self.me = value, self
            def __del__(self, write=os.write, identity=mmhash.identity):
                write(1, identity(self.value).hex().encode())
        kept = Last({value})
    """
    done = run_python(code, timeout=WAIT, MMHASH_CACHE_SIZE="100")
    expected = mmhash.identity(eval(value, {"np": np, "torch": torch, "types": types})).hex()
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.mark.parametrize("value", ["np.float32(1)", "np.float64(1)", "np.int8(1)"])
def test_a_numpy_scalar_first_hashed_at_exit_is_no_other_value(value: str) -> None:
    """NumPy can be asked for nothing any more, and a float64 is a float besides."""
    code = f"""if True:
        import os
        import numpy as np
        import mmhash
        class Last:
            def __init__(self, value):
                self.value, self.me = value, self
            def __del__(self, write=os.write, identity=mmhash.identity):
                try:
                    identity(self.value)
                except TypeError as error:
                    write(1, str(error).encode())
        kept = Last({value})
    """
    done = run_python(code, timeout=WAIT)
    assert done.returncode == 0, done.stderr
    assert "while numpy is not in sys.modules" in done.stdout


def test_an_executor_that_nobody_shuts_down() -> None:
    code = """if True:
        import mmhash
        from test_reported_processes import item
        executor = mmhash.HashExecutor()
        futures = [executor.submit(i, item(b"x" * 1_000_000)) for i in range(50)]
        print(futures[0].result() == [mmhash.hash_feature(b"x" * 1_000_000)])
    """
    assert python_output(code, timeout=WAIT) == "True"
