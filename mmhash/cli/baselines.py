"""What engines compute today, to compare with: a feature's hash by SGLang 0.5.5 and 0.5.23.

Written anew after the behaviour of both releases (`hash_feature` in their `mm_utils`), for what an
image's features are: NumPy arrays and torch tensors on the CPU. Both hashes are the first 64 bits
of SHA-256 over the elements in C order. They differ in what they copy, and in bfloat16, which 0.5.5
widens to float32 first. Neither hashes dtype or shape.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np


def _first_64_bits(data: bytes | memoryview) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


def sglang_0_5_5(feature: Any) -> int:
    """Copies a tensor twice (joining the list of one, then to bytes) and an array once."""
    if isinstance(feature, np.ndarray):
        return _first_64_bits(np.ascontiguousarray(feature).tobytes())
    import torch

    joined = torch.concat([feature.detach().flatten()])
    if joined.dtype == torch.bfloat16:
        joined = joined.float()
    return _first_64_bits(joined.numpy().tobytes())


def sglang_0_5_23(feature: Any) -> int:
    """Reads the elements where they lie, unless they are not contiguous."""
    if isinstance(feature, np.ndarray):
        return _first_64_bits(np.ascontiguousarray(feature).data)
    import torch

    flat = feature.detach().flatten().contiguous()
    return _first_64_bits(flat.view(torch.uint8).numpy().data)


def xxh3_128(feature: Any) -> bytes:
    """PyPI's xxhash over the elements: the fastest hash at hand without mmhash."""
    import xxhash

    if isinstance(feature, np.ndarray):
        return xxhash.xxh3_128_digest(np.ascontiguousarray(feature).data)
    import torch

    return xxhash.xxh3_128_digest(feature.detach().flatten().view(torch.uint8).numpy().data)


def read_limit(feature: Any) -> object:
    """The maximum of all bytes: every SIMD unit has an instruction for it, so reading limits."""
    return np.asarray(feature).reshape(-1).view(np.uint8).max()


def nothing(_: object) -> None:
    """A call that does nothing: what remains of a timing when there is no work."""
