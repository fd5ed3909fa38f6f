"""warm_up(): the kernels of an algorithm are compiled by it, and by no hash afterwards."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from subprocesses import python_output

import mmhash

WITHOUT_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@pytest.mark.parametrize("device", [None, "cuda", "cuda:7", 0, torch.device("cuda", 1)])
@pytest.mark.parametrize("algorithm", [None, "xxh3", "blake3", "sha256", mmhash._core.XXH3])
@WITHOUT_CUDA
def test_nothing_without_cuda(device: Any, algorithm: Any) -> None:
    mmhash.warm_up(device, algorithm=algorithm)
    assert not torch.cuda.is_initialized()


def test_nothing_without_torch() -> None:
    code = """
import sys, mmhash
sys.modules["torch"] = None  # as if it were not installed
mmhash.warm_up()
mmhash.warm_up("cuda:0", algorithm="xxh3")
"""
    assert python_output(code) == ""


@pytest.mark.parametrize(
    ("device", "algorithm", "error", "says"),
    [
        ("cpu", None, ValueError, "device: expected a CUDA device, found 'cpu'"),
        (torch.device("meta"), None, ValueError, "found 'meta'"),
        ("gpu", None, RuntimeError, "gpu"),
        (1.5, None, TypeError, "device: expected a torch.device.*found a float"),
        (True, None, TypeError, "found a bool"),
        (None, "md5", ValueError, "algorithm: expected one of .*found 'md5'"),
        (None, 3, TypeError, "algorithm: expected one of .*found a int"),
    ],
)
def test_bad_arguments(device: Any, algorithm: Any, error: type[Exception], says: str) -> None:
    """Said with and without CUDA."""
    with pytest.raises(error, match=says):
        mmhash.warm_up(device, algorithm=algorithm)


@pytest.mark.cuda
def test_a_device_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"expected one of \d+ CUDA devices, found 'cuda:99'"):
        mmhash.warm_up("cuda:99")


@pytest.mark.cuda
@pytest.mark.parametrize("algorithm", ["xxh3", "blake3"])
def test_no_hash_compiles_afterwards(algorithm: str) -> None:
    """The first hashes of a process, of every layout, against the seconds of compiling."""
    code = """
import sys, time, torch, mmhash
mmhash.warm_up(algorithm=sys.argv[1])
data = torch.ones(1 << 20, dtype=torch.uint8, device="cuda")
tensors = [data, data[1:], data.view(torch.bool), data.view(1024, 1024).T]
torch.cuda.synchronize()
begin = time.perf_counter()
for tensor in tensors:
    mmhash.identity(tensor, algorithm=sys.argv[1])
print(time.perf_counter() - begin, mmhash.info()["device_path"])
"""
    seconds, path = python_output(code, algorithm).split()
    assert path == "cuda_kernel"
    assert float(seconds) < 0.2


@pytest.mark.cuda
def test_it_makes_no_context_on_other_devices() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    code = """
import torch, mmhash
torch.ones(1, device="cuda:1")
mmhash.warm_up()
print(torch._C._cuda_hasPrimaryContext(0), torch._C._cuda_hasPrimaryContext(1))
"""
    assert python_output(code) == "False True"


@pytest.mark.cuda
def test_the_gil_is_released() -> None:
    """Another thread runs while a kernel is compiled."""
    code = """
import threading, time, torch, mmhash
torch.ones(1, device="cuda")
thread = threading.Thread(target=mmhash.warm_up)
thread.start()
longest, last = 0.0, time.perf_counter()
while thread.is_alive():
    time.sleep(0.001)
    longest, last = max(longest, time.perf_counter() - last), time.perf_counter()
print(longest)
"""
    assert float(python_output(code)) < 0.2


@pytest.mark.cuda
def test_many_threads_at_once() -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            mmhash.warm_up(algorithm="blake3")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
