"""Random features, a different value for every request, made before anything is measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

#: More than common last-level caches hold: an engine's features come out of an image processor that
#: has written much else since.
POOL_BYTES = 128 << 20
STEP = 16  # float32s, a cache line


class Features:
    """Windows into one pool of random numbers; each is used again one cache line further on.

    So values are all different, none costs time while requests are sent, and none is overwritten
    while it is still being read.
    """

    def __init__(self, shape: tuple[int, int], count: int) -> None:
        import numpy as np

        self._shape = shape
        self._size = math.prod(shape)
        self._windows = max(1, POOL_BYTES // (4 * self._size))
        size = self._windows * self._size + STEP * (count // self._windows)
        self._pool: Any = np.random.default_rng(0).random(size, dtype=np.float32)

    def __getitem__(self, index: int) -> Tensor:
        """The features of one image, float32: a torch tensor with a storage of exactly its size."""
        import torch

        turn, window = divmod(index, self._windows)
        start = window * self._size + STEP * turn
        # Not a slice of a tensor: pickle would send that one's storage, the whole pool.
        return torch.from_numpy(self._pool[start : start + self._size].reshape(self._shape))
