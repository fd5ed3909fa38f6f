"""Values that have no identity: what holds one of them is a `TypeError` or a `ValueError`."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from drawing import Draw
from recipes import Recipe


class Plain(enum.Enum):
    A = 1


class Deceiver:
    """Its class attributes say that it is everything, and its methods raise."""

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"shape": (-1,), "typestr": "<f4", "data": (0, False), "version": 3}

    def __len__(self) -> int:
        raise ValueError("no length")

    def __dlpack__(self, **options: Any) -> Any:
        raise ValueError("no capsule")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


def released() -> memoryview:
    view = memoryview(b"released")
    view.release()
    return view


def endless() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(1001):
        value = [value]
    return value


REFUSED: tuple[Callable[[], Any], ...] = (
    object,
    set,
    lambda: frozenset((1, 2)),
    lambda: range(3),
    lambda: Plain.A,
    lambda: Recipe,
    lambda: len,
    lambda: datetime.date(2026, 1, 1),
    lambda: iter(()),
    Deceiver,
    released,
    endless,
    deep,
    lambda: np.array([None, 1], object),
    lambda: np.zeros(3, "datetime64[s]"),
    lambda: np.zeros(2, "f4,i8"),
    lambda: np.array(["text"]),
    lambda: np.zeros(2, np.longdouble),
    lambda: np.ma.masked_array([1, 2], [0, 1]),
    lambda: memoryview(np.array([None], object)),
    lambda: torch.ones(3).to_sparse(),
    lambda: torch.ones(3, device="meta"),
    lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
)


@dataclass(frozen=True)
class Refused:
    place: int

    def make(self, draw: Draw) -> Any:
        return REFUSED[self.place]()

    def changed(self, draw: Draw) -> Recipe:
        return Refused((self.place + 1) % len(REFUSED))


def draw_refused(draw: Draw) -> Refused:
    return Refused(draw.below(len(REFUSED)))
