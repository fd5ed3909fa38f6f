"""What the tests of the cache do to tensors: views, and writes of every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

import mmhash

#: Payloads below this are not cached.
LEAST: int = mmhash.info()["cache_min_bytes"]  # type: ignore[assignment]


@dataclass(eq=False)
class Memory:
    """What has to be known of memory to keep the rules that identity() documents."""

    frozen: bool = False
    aliased: bool = False  # tensors with counters of their own lie over it


@dataclass(eq=False)
class Item:
    value: Any
    memory: Memory = field(default_factory=Memory)

    @property
    def plain(self) -> torch.Tensor:
        """Without autograd, which forbids some writes and NumPy."""
        return self.value.detach() if self.value.requires_grad else self.value


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "slice": lambda x: x[1:],
    "step": lambda x: x.reshape(-1)[::2],
    "narrow": lambda x: x.narrow(0, 0, x.shape[0] // 2),
    "transpose": lambda x: x.reshape(2, -1).T,
    "reshape": lambda x: x.reshape(-1, 2),
    "detach": lambda x: x.detach(),
    "alias": lambda x: x[...],
    "bytes": lambda x: x.view(torch.uint8),
    "expand": lambda x: x.expand(2, *x.shape),
    "as_strided": lambda x: x.as_strided((LEAST,), (0,)),
    "overlapping": lambda x: (
        x.as_strided((LEAST // 2, 2), (1, 1)) if x.numel() > LEAST // 2 else x[:0]
    ),
    "conj": lambda x: x.conj(),
    "imag": lambda x: x.conj().imag,
    "negative": torch._neg_view,
    "parameter": torch.nn.Parameter,
    "requires_grad": lambda x: x.detach().requires_grad_(),
}

IN_PLACE: dict[str, Callable[[torch.Tensor, int], object]] = {
    "add_": lambda x, n: x.add_(n % 5 + 1),
    "copy_": lambda x, n: x.copy_(torch.full(x.shape, n % 100, dtype=x.dtype)),
    "copy_from_numpy": lambda x, n: x.copy_(torch.from_numpy(np.full(x.shape, n % 99))),
    "index": lambda x, n: x.__setitem__(n % x.shape[0], n % 100),
    "slice": lambda x, n: x.__setitem__(slice(n % x.shape[0], None), n % 100),
    "mask": lambda x, n: x.masked_fill_(x.detach().clone() == 0, n % 99 + 1),
    "index_put_": lambda x, n: x.index_put_(
        (torch.tensor(n % x.shape[0]),), torch.ones((), dtype=x.dtype)
    ),
    "out": lambda x, n: torch.add(x, n % 5 + 1, out=x),
    "cat_out": lambda x, n: torch.cat([torch.full_like(x, n % 100)], out=x),
    "zero_": lambda x, n: x.zero_(),
    "fill_": lambda x, n: x.fill_(n % 100),
    "foreach": lambda x, n: torch._foreach_add_([x], n % 5 + 1),
    "view_of_it": lambda x, n: x.reshape(-1).view(-1)[n % x.numel() :].add_(1),
    "detached": lambda x, n: x.detach()[:1].add_(1),
}

#: Not counted by torch, but seen: the storage says that NumPy has had its address.
THROUGH_NUMPY: dict[str, Callable[[torch.Tensor, int], object]] = {
    "numpy": lambda x, n: x.numpy().__setitem__(..., n % 100),
    "numpy of a view": lambda x, n: x.view(-1)[:2].numpy().fill(n % 100),
    "asarray": lambda x, n: np.asarray(x).__setitem__(0, n % 100),
}

UNCOUNTED: dict[str, Callable[[torch.Tensor, int], object]] = {
    "data": lambda x, n: x.data.add_(n % 5 + 1),
    "storage": lambda x, n: x.untyped_storage().fill_(n % 100),
    "apply_": lambda x, n: x.view(-1)[:1].apply_(lambda old: n % 100),
}
