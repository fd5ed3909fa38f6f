"""No thread can be started, as under RLIMIT_NPROC or a container's limit of processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

POOL = """
import os, sys
import injected, mmhash

algorithm = sys.argv[1]
data = bytes(range(256)) * (8 << 12)

def digest(threads):
    mmhash.set_num_threads(threads)
    return mmhash.identity(data, algorithm=algorithm)

right = digest(1)
injected.refuse_threads(True)
assert digest(4) == right == mmhash.identity_async(data, algorithm=algorithm).result()
pieces = mmhash._core.bytes_identity_from_pieces
assert pieces(len(data), [data], algorithm) == right
assert injected.refuse_threads(False) > 0, "no thread was wanted"
assert digest(4) == right
"""


@pytest.mark.parametrize("algorithm", ["xxh3", "blake3", "sha256"])
def test_hashing_goes_on_with_one_thread(faulty: Callable[..., str], algorithm: str) -> None:
    """And takes more as soon as there may be some: those of mmhash's pool then stay."""
    code = POOL
    if algorithm == "sha256":  # has no threads
        code = code.replace(
            "injected.refuse_threads(False) > 0", "injected.refuse_threads(False) == 0"
        )
    if algorithm == "xxh3":
        code += '\nassert len(os.listdir("/proc/self/task")) == 4'
    faulty(code, algorithm)


EXECUTOR = """
import asyncio
import injected, mmhash

def item():
    return mmhash.MultimodalDataItem(modality="IMAGE", feature=b"pixels")

right = item().hash
executor = mmhash.HashExecutor(max_pending=1)
injected.refuse_threads(True)
for i in range(3):  # each gives its place back
    for call in (lambda: executor.submit(i, item()), lambda: asyncio.run(executor.hash(item()))):
        try:
            call()
        except RuntimeError as error:
            assert "can't start new thread" in str(error), error
        else:
            raise AssertionError("expected RuntimeError, found none")
assert item().hash == right
assert injected.refuse_threads(False) > 0
assert executor.submit(0, item()).result() == [right] == executor.get_result(0)
assert asyncio.run(executor.hash(item())) == [right]
executor.shutdown()
"""


def test_the_executor_refuses_and_recovers(faulty: Callable[..., str]) -> None:
    faulty(EXECUTOR)
