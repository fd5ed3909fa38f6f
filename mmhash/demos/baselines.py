"""What engines compute today, to compare with: a feature's hash by SGLang 0.5.5 and 0.5.23.

Written anew after the behaviour of both releases (`hash_feature` in their `mm_utils`), for NumPy
arrays, torch tensors on the CPU and lists of those. Both hashes are the first 64 bits of SHA-256
over the elements in C order. They differ in what they copy, and in bfloat16, which 0.5.5 widens to
float32 first. Neither hashes dtype, shape or list boundaries.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def _first_64_bits(hasher: hashlib._Hash) -> int:
    return int.from_bytes(hasher.digest()[:8], "big")


def _tensors_in(feature: Any) -> list[Any]:
    return feature if isinstance(feature, list) else [feature]


def sglang_0_5_5(feature: Any) -> int:
    """Joins the flat tensors, also where there is one, and hashes a copy of that as `bytes`."""
    if isinstance(feature, np.ndarray):
        return _first_64_bits(hashlib.sha256(np.ascontiguousarray(feature).tobytes()))
    import torch

    joined = torch.concat([tensor.detach().flatten() for tensor in _tensors_in(feature)])
    if joined.dtype == torch.bfloat16:
        joined = joined.float()  # NumPy has no bfloat16
    return _first_64_bits(hashlib.sha256(joined.numpy().tobytes()))


def sglang_0_5_23(feature: Any) -> int:
    """Feeds one tensor after the other to SHA-256, each in place where it is contiguous."""
    if isinstance(feature, np.ndarray):
        return _first_64_bits(hashlib.sha256(np.ascontiguousarray(feature).data))
    import torch

    hasher = hashlib.sha256()
    for tensor in _tensors_in(feature):
        flat = tensor.detach().flatten().contiguous()
        hasher.update(flat.view(torch.uint8).numpy().data)
    return _first_64_bits(hasher)


def xxh3_128(feature: Any) -> bytes:
    """PyPI's xxhash over the elements: the fastest hash at hand without mmhash."""
    import xxhash

    if isinstance(feature, np.ndarray):
        return xxhash.xxh3_128_digest(np.ascontiguousarray(feature).data)
    import torch

    return xxhash.xxh3_128_digest(feature.detach().flatten().view(torch.uint8).numpy().data)


def blake3_256(feature: Any) -> bytes:
    """PyPI's blake3 over the elements, with one thread: a cryptographic hash without mmhash."""
    from blake3 import blake3

    if isinstance(feature, np.ndarray):
        flat = np.ascontiguousarray(feature).reshape(-1)
        return blake3(flat.view(np.uint8).data).digest()  # it takes bytes only
    import torch

    return blake3(feature.detach().flatten().view(torch.uint8).numpy().data).digest()


def read_limit(feature: Any) -> object:
    """The maximum of all bytes: every SIMD unit has an instruction for it, so reading limits."""
    return np.asarray(feature).reshape(-1).view(np.uint8).max()


def nothing(_: object) -> None:
    """A call that does nothing: what remains of a timing when there is no work."""
