"""What one call does to the counts of the cache."""

from __future__ import annotations

from collections.abc import Callable

import torch
from cache_operations import LEAST

import mmhash

HIT = {"hits": 1}
MISS = {"misses": 1, "currsize": 1}
REPLACED = {"misses": 1, "invalidations": 1}
BYPASS = {"bypasses": 1}
NOTHING: dict[str, int] = {}


def tensor(seed: int = 0, *, dtype: torch.dtype = torch.float32, size: int = LEAST) -> torch.Tensor:
    """Of version 0, with contents that the seed decides."""
    return torch.arange(seed, seed + size // dtype.itemsize).remainder(251).to(dtype)


def changes(call: Callable[[], object]) -> dict[str, int]:
    """The counts that a call changes, and by how much."""
    before, _, after = mmhash.cache_info(), call(), mmhash.cache_info()
    both = zip(after._fields, before, after, strict=True)
    return {name: new - old for name, old, new in both if new != old}


def hashing(value: object) -> dict[str, int]:
    """The counts that hashing changes; the identity must be the right one, cached or not."""

    def call() -> None:
        assert mmhash.identity(value) == right, "a wrong hit"

    right = mmhash.identity(value, cache=False)
    return changes(call)
