"""What the first hashes on a GPU would pay, paid before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmhash import _core, algorithms, configuration

if TYPE_CHECKING:
    import torch


def warm_up(
    device: torch.device | str | int | None = None,
    *,
    algorithm: str | _core.Algorithm | None = None,
) -> None:
    """Compiles the kernels that hash CUDA tensors by an algorithm, for a server's start.

    Without it each of an algorithm's four kernels (aligned memory, unaligned memory, bools, strided
    memory) is compiled by the first hash that needs it, which takes that one 0.7 to 2 s. Here all
    four are compiled, one after the other, and the buffers of small launches allocated (2 MiB of
    the GPU's memory). What was compiled before is not compiled again, so a second call costs
    microseconds; it lasts as long as the process, and each process of a server needs its own.

    `device` is a CUDA device as torch takes it: torch.device, "cuda", "cuda:1" or an index. None
    means every GPU that this process has a CUDA context on, or torch's current one where it has
    none: no context, of some hundred MB, is made on GPUs of other processes. `algorithm` is a name
    ("xxh3", "blake3"; a key makes no difference) or what `mmhash.configure` was given.

    Does nothing without torch or CUDA, on ROCm, and for "sha256", which no kernel computes. Where
    kernels cannot be had it does what hashing does: warns once in the log, and
    `mmhash.info()["device_path_reason"]` says why. Any thread may call it, such as one in the
    background; the GIL is released while it compiles, and a hash that needs a kernel meanwhile
    waits for the one being compiled.
    It imports torch and initialises CUDA: call it in the process that hashes, not before a fork().

    Raises ValueError for a device that is not CUDA's or not there, and for an unknown algorithm;
    TypeError for arguments of another type; ImportError where the package `blake3` is missing;
    RuntimeError for a text that names no device, and in a process that was forked after its parent
    hashed on the GPU.

    >>> mmhash.warm_up()
    >>> mmhash.warm_up(algorithm="md5")
    Traceback (most recent call last):
    ValueError: algorithm: expected one of 'xxh3', 'blake3', 'sha256', found 'md5'
    """
    chosen = _chosen(algorithm)
    for index in _indices(device):
        _core.warm_up_cuda(index, chosen)


def _chosen(algorithm: str | _core.Algorithm | None) -> _core.Algorithm:
    if algorithm is None:
        return configuration.configured()
    if isinstance(algorithm, _core.Algorithm):
        return algorithm
    return algorithms.opened(algorithm)


def _indices(device: torch.device | str | int | None) -> list[int]:
    """The GPUs that are meant; none without CUDA."""
    try:
        import torch
    except ImportError:
        return []
    wanted = None if device is None else _as_device(device)
    if torch.version.cuda is None or not torch.cuda.is_available():
        return []
    count = torch.cuda.device_count()
    if wanted is None:
        used = [i for i in range(count) if torch._C._cuda_hasPrimaryContext(i)]
        return used or [torch.cuda.current_device()]
    index = torch.cuda.current_device() if wanted.index is None else wanted.index
    if index >= count:
        raise ValueError(f"device: expected one of {count} CUDA devices, found {str(wanted)!r}")
    return [index]


def _as_device(device: object) -> torch.device:
    import torch

    if isinstance(device, bool) or not isinstance(device, (torch.device, str, int)):
        raise TypeError(
            "device: expected a torch.device, its name, an index or None, found a "
            f"{type(device).__qualname__}"
        )
    found = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
    if found.type != "cuda":
        raise ValueError(f"device: expected a CUDA device, found {str(found)!r}")
    return found
