"""A full GPU and a forked process: the same identity, or an error that says what to do."""

from __future__ import annotations

import pytest
import reference
import torch
from subprocesses import python_output

from mmhash import _core, _device

FORKED = """
import os, sys, torch, mmhash
tensor = torch.ones(1 << 20, device="cuda")
mmhash.identity(tensor)
hash_it = {
    "identity": lambda: mmhash.identity(tensor, cache=False),
    "identity_async": lambda: mmhash.identity_async(tensor).result(),
    "hash_feature": lambda: mmhash.hash_feature(tensor, cache=False),
    "warm_up": lambda: mmhash.warm_up("cuda:0"),
}[sys.argv[1]]
child = os.fork()
if child == 0:
    try:
        hash_it()
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
assert mmhash.identity(tensor, cache=False) == mmhash.identity(tensor.cpu())
"""


@pytest.mark.cuda
@pytest.mark.parametrize("call", ["identity", "identity_async", "hash_feature", "warm_up"])
def test_after_a_fork(call: str) -> None:
    said = python_output(FORKED, call)
    assert "forked after its parent hashed on the GPU" in said
    assert '"spawn"' in said
    assert "CUDA_ERROR" not in said


# The rest of the GPU's memory is taken past torch's allocator, which would give its own back.
FULL = """
import ctypes, logging, sys, torch, mmhash
logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(name)s")
driver = ctypes.CDLL("libcuda.so.1")
size = 48 << 20
rows = torch.arange(size, dtype=torch.uint8).view(4096, -1)
on_gpu = rows.cuda()
tensor, expected = {
    "contiguous": lambda: (on_gpu, rows),
    "unaligned": lambda: (on_gpu.view(-1)[1:], rows.view(-1)[1:]),
    "transposed": lambda: (on_gpu.T, rows.T),
    "every second": lambda: (on_gpu[:, ::2], rows[:, ::2]),
}[sys.argv[1]]()
expected = mmhash.identity(expected, algorithm=sys.argv[2])
torch.cuda.synchronize()
chunk, pointer = 1 << 34, ctypes.c_uint64()
while chunk >= 1 << 12:
    if driver.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(chunk)) != 0:
        chunk //= 2
for _ in range(3):
    assert mmhash.identity(tensor, cache=False, algorithm=sys.argv[2]) == expected
print(mmhash.info()["slow_paths"]["device_copies"], mmhash.info()["device_path"])
"""


@pytest.mark.cuda
@pytest.mark.parametrize("algorithm", ["xxh3", "blake3", "sha256"])
@pytest.mark.parametrize("layout", ["contiguous", "unaligned", "transposed", "every second"])
def test_a_full_gpu_at_the_first_hash(layout: str, algorithm: str) -> None:
    """It is copied to the host, said once (SHA-256, which always is, needs no word) and counted."""
    lines = python_output(FULL, layout, algorithm).splitlines()
    assert lines[-1] == "3 pinned_copy" or (algorithm, lines[-1]) == ("sha256", "3 None")
    assert lines[:-1] == ([] if algorithm == "sha256" else ["WARNING mmhash"])


def views(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "contiguous": tensor,
        "transposed": tensor.mT,
        "offset": tensor[1:, ::2, 1:-1],
        "expanded": tensor[:, :1].expand(-1, 40, -1),
        "0-d": tensor[1, 2, 3],
        "conj": tensor.mT.conj(),
        "negative": torch._neg_view(tensor.mT),
        "imag of conj": tensor.conj().imag,
        "negated integers": torch._neg_view(torch.view_as_real(tensor).view(torch.int32)).mT,
    }


BASE = torch.arange(2 * 5 * 7 * 2, dtype=torch.float32).sub(30).view(torch.complex64).view(2, 5, 7)


@pytest.mark.parametrize("view", views(BASE))
def test_memory_is_copied_as_it_lies(view: str) -> None:
    """What is left where the device has no memory to make a piece contiguous."""
    tensor = views(BASE)[view]
    copied = _device.on_host(tensor)
    assert (copied.shape, copied.stride()) == (tensor.shape, tensor.stride())
    assert copied.data_ptr() != tensor.data_ptr()
    assert _core.identity(copied) == reference.identity(tensor)


def test_out_of_memory_in_the_midst_of_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some pieces are hashed already: what comes instead begins anew."""

    def run_out(tensor: torch.Tensor) -> object:
        yield from list(_device.pieces(tensor, 64))[:1]
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(_device, "_pageable_pieces", run_out)
    tensor = BASE.mT
    assert _device.identity(tensor) == reference.identity(tensor)
