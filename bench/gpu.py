"""Times hashing in a GPU's memory beside what else one could do there, and writes JSON.

    python bench/gpu.py bench/results/cuda-NAME.json

Needs a CUDA device with 10 GB of free memory. SGLang's `gpu_tensor_hash` takes part where SGLang is
installed, or where SGLANG_GPU_TENSOR_HASH names a copy of the file that defines it.
"""

from __future__ import annotations

import datetime
import importlib
import importlib.util
import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from interleave import Job, measure

import mmhash
from mmhash import _core
from mmhash.demos.compare.timing import quartiles

# float32 unless said: a small tensor, one leaf, an image's embeddings, a pixel_values of each usual
# size, and what no cache holds.
SIZES = {
    "1 KB": 1_000,
    "8 KiB": 8192,
    "64 KB": 64_000,
    "1.5 MB": 1_500_000,
    "15.6 MB": 15_600_000,
    "67 MB": 67_000_000,
    "537 MB": 537_000_000,
    "4.3 GB": 4_300_000_000,
}
BUDGET_S = 3.0  # a size
KEY = bytes(range(32))

Call = Callable[[torch.Tensor], object]


def sglang_hash() -> Call | None:
    """SGLang's own, never a copy in this repository."""
    path = os.environ.get("SGLANG_GPU_TENSOR_HASH")
    if path is not None:
        spec = importlib.util.spec_from_file_location("sglang_gpu_tensor_hash", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["sglang_gpu_tensor_hash"] = module
        spec.loader.exec_module(module)
        return module.gpu_tensor_hash  # type: ignore[no-any-return]
    # It has moved between 0.5.5 and 0.5.23.
    for name in ("sglang.kernels.ops.memory.gpu_tensor_hash", "sglang.srt.layers.multimodal"):
        try:
            return importlib.import_module(name).gpu_tensor_hash  # type: ignore[no-any-return]
        except ImportError:
            continue
    return None


def synchronize() -> None:
    torch.cuda.current_stream().synchronize()


def empty_kernel(_: torch.Tensor) -> None:
    torch.cuda._sleep(0)
    synchronize()


def torch_hash(tensor: torch.Tensor) -> object:
    return torch.hash_tensor(tensor).item()


def pinned_copy(tensor: torch.Tensor) -> bytes:
    _core.set_device_path("pinned_copy")
    try:
        return hashing(tensor)
    finally:
        _core.set_device_path("auto")


def device_copy(tensor: torch.Tensor) -> Call:
    copy = torch.empty_like(tensor)

    def call(source: torch.Tensor) -> None:
        copy.copy_(source)
        synchronize()

    return call


def hashing(tensor: torch.Tensor) -> bytes:
    return mmhash.identity(tensor, cache=False)


def blake3(tensor: torch.Tensor) -> bytes:
    return mmhash.identity(tensor, cache=False, algorithm="blake3")


def keyed_blake3(tensor: torch.Tensor) -> bytes:
    return mmhash.identity(tensor, cache=False, algorithm="blake3", key=KEY)


OURS: dict[str, Call] = {
    "mmhash.identity": hashing,
    "mmhash.identity, BLAKE3": blake3,
    "mmhash.identity, keyed BLAKE3": keyed_blake3,
}


def peers(tensor: torch.Tensor) -> dict[str, Call]:
    calls = dict(OURS)
    sglang = sglang_hash()
    if sglang is not None and tensor.data_ptr() % 4 == 0:  # it views the bytes as 32-bit words
        calls["SGLang gpu_tensor_hash"] = sglang
    if hasattr(torch, "hash_tensor"):
        calls["torch.hash_tensor"] = torch_hash
    if tensor.is_contiguous():
        calls["copy on the device"] = device_copy(tensor)
    calls["empty kernel"] = empty_kernel
    calls["copy to the host, hash there"] = pinned_copy
    if tensor.nbytes >= mmhash.info()["cache_min_bytes"]:  # type: ignore[operator]
        calls["found in the cache"] = mmhash.identity
    return calls


def views() -> dict[str, torch.Tensor]:
    """Other than contiguous and aligned, 15.6 MB each."""
    image = torch.rand((1300, 1000, 3), device="cuda")
    flat = torch.randint(0, 256, (15_600_003,), dtype=torch.uint8, device="cuda")
    return {
        "15.6 MB, unaligned": flat[3:],
        "15.6 MB, transposed": image.flatten(1).T,
        "15.6 MB, channels first": image.permute(2, 0, 1),
        "15.6 MB, every second": torch.rand(2 * 3_900_000, device="cuda")[::2],
    }


def check(tensor: torch.Tensor) -> None:
    """A row is only timed of a hash that is right."""
    on_host = tensor.cpu()
    for name, call in OURS.items():
        assert call(tensor) == call(on_host), name
    expected = hashing(on_host)
    assert mmhash.identity(tensor) == mmhash.identity(tensor) == expected
    assert pinned_copy(tensor) == expected
    assert mmhash.identity_async(tensor).result() == expected


def rounded(seconds: list[float]) -> dict[str, float]:
    return {name: float(f"{s:.4g}") for name, s in quartiles(seconds)._asdict().items()}


def row(*tensors: torch.Tensor) -> dict[str, object]:
    """Of one tensor, or of several of one size that take turns."""
    tensor = tensors[0]
    check(tensor)
    calls = peers(tensor)
    for call in calls.values():
        call(tensor)  # compiles

    def turning(call: Call) -> Callable[[Iterator[torch.Tensor]], object]:
        return lambda turns: call(next(turns))

    jobs = {
        name: Job(call, tensor, synchronize)
        if len(tensors) == 1
        else Job(turning(call), itertools.cycle(tensors), synchronize)
        for name, call in calls.items()
    }
    rounds = measure(jobs, BUDGET_S)
    return {
        "bytes": tensor.numel() * tensor.itemsize,
        "rounds": len(next(iter(rounds.values())).seconds),
        "seconds": {name: rounded(found.seconds) for name, found in rounds.items()},
    }


def enqueueing() -> dict[str, float]:
    """What identity_async() takes from its caller, who does not wait for the GPU."""
    tensor = torch.rand(3_900_000, device="cuda")
    seconds = []
    for _ in range(200):
        started = time.perf_counter()
        pending = [mmhash.identity_async(tensor) for _ in range(20)]
        seconds.append((time.perf_counter() - started) / 20)
        assert len({p.result() for p in pending}) == 1
    return rounded(seconds[20:])


def machine() -> dict[str, object]:
    properties = torch.cuda.get_device_properties(0)
    info = mmhash.info()
    packages = [name for name in ("torch", "triton", "numpy") if importlib.util.find_spec(name)]
    return {
        "gpu": properties.name,
        "compute_capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "mmhash": {key: info[key] for key in ("version", "isa", "device_path")},
    }


def main() -> None:
    tensors: dict[str, Callable[[], torch.Tensor]] = {
        name: lambda size=size: torch.rand(size // 4, device="cuda")  # type: ignore[misc]
        for name, size in SIZES.items()
    }
    rows = {name: row(make()) for name, make in tensors.items()}
    # Ten take turns, more than the L2 cache of any GPU holds.
    rows["15.6 MB, from memory"] = row(*(tensors["15.6 MB"]() for _ in range(10)))
    rows |= {name: row(tensor) for name, tensor in views().items()}
    result = {
        "name": Path(sys.argv[1]).stem,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": machine(),
        "enqueue_15.6_MB": enqueueing(),
        "rows": rows,
    }
    Path(sys.argv[1]).write_text(json.dumps(result, indent=1) + "\n")
    for name, found in rows.items():
        times = found["seconds"]
        assert isinstance(times, dict)
        print(name, {peer: f"{s['median'] * 1e6:.1f}" for peer, s in times.items()})
    print("enqueue", result["enqueue_15.6_MB"])


if __name__ == "__main__":
    main()
