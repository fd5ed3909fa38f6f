"""The values that are hashed, and by which peers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import xxhash
from peers import PEERS, Peer, tensors_in, with_xxhash, xxhash_of_list, xxhash_of_tensor

# One image as Qwen2.5-VL's processor makes it: 4,000 patches of 3 channels x 2 frames x 14 x 14.
IMAGE = (4000, 1176)
IMAGE_BYTES = "18.8 MB"


@dataclass(frozen=True, eq=False)
class Case:
    """A value, how it is called in tables, and the peers that can hash it."""

    name: str
    make: Callable[[], Any]
    peers: dict[str, Peer]


def floats(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def transposed() -> torch.Tensor:
    return floats(*IMAGE).T


def bfloat16() -> torch.Tensor:
    return floats(1024, 3584).bfloat16()


def array() -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = floats(*IMAGE).numpy()
    return found


def eight_features() -> list[torch.Tensor]:
    """Eight small images of one request, together as large as `IMAGE`."""
    return [floats(IMAGE[0] // 8, IMAGE[1]) for _ in range(8)]


def nbytes(value: Any) -> int:
    return sum(tensor.nbytes for tensor in tensors_in(value))


def memory_of(value: Any) -> list[Any]:
    """The memory that a value occupies, whatever its strides, as writable arrays of bytes."""
    storages = [torch.as_tensor(part).untyped_storage() for part in tensors_in(value)]
    return [torch.empty(0, dtype=torch.uint8).set_(storage).numpy() for storage in storages]


#: Contiguous float32 tensors: from less than a cache line to more than any cache.
SIZES = {
    name: Case(name, functools.partial(floats, *shape), PEERS)
    for name, shape in {
        "64 B": (16,),
        "4 KiB": (32, 32),
        "256 KiB": (64, 1024),
        "1.5 MB": (320, 1176),
        IMAGE_BYTES: IMAGE,
        "268 MB": (65536, 1024),
    }.items()
}

#: Inputs other than contiguous float32 tensors.
OTHER_INPUTS = {
    case.name: case
    for case in (
        Case("transposed view, 18.8 MB", transposed, with_xxhash(xxhash_of_tensor)),
        Case("bfloat16 tensor, 7.3 MB", bfloat16, with_xxhash(xxhash_of_tensor)),
        Case("NumPy array, 18.8 MB", array, with_xxhash(xxhash.xxh3_128_digest)),
        Case("list of 8 tensors, 18.8 MB", eight_features, with_xxhash(xxhash_of_list)),
    )
}
