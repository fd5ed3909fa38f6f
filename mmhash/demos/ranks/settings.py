"""What a comparison is asked to do, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmhash.algorithms import NAMES

if TYPE_CHECKING:
    from mmhash.demos.ranks.strategies import Strategy

TRANSPORTS = ("shm", "pickle")
COPIES = ("map", "write")
FLOAT32 = 4  # bytes

#: An answer to the sender waits in a socket's buffer until it is read: some hundreds fit in.
MOST_IN_FLIGHT = 128
MOST_RANKS = 64


@dataclass(frozen=True)
class Settings:
    """One comparison. ValueError: a number that makes no sense, with what was expected.

    shape: of one image's features, float32. requests: measured ones of each strategy, sent in as
    many blocks as `rounds`. in_flight: requests sent and not yet answered by rank 0. rate: requests
    a second, 0 for as fast as `in_flight` allows. copy: how the sender fills shared memory. clone:
    every rank copies the features out of it before it hashes. algorithm: what mmhash hashes with.

    >>> Settings(strategies=(), shape=(16, 1176), ranks=0)
    Traceback (most recent call last):
        ...
    ValueError: ranks: expected 1 to 64, got 0
    """

    strategies: tuple[Strategy, ...]
    shape: tuple[int, int]
    ranks: int = 4
    transport: str = "shm"
    images: int = 1
    requests: int = 100
    rounds: int = 5
    warm_up: int = 8
    in_flight: int = 8
    rate: float = 0.0
    copy: str = "map"
    clone: bool = False
    algorithm: str = "xxh3"

    def __post_init__(self) -> None:
        _within("ranks", self.ranks, 1, MOST_RANKS)
        _within("images", self.images, 1, 1024)
        _within("requests", self.requests, 1, 1_000_000)
        _within("rounds", self.rounds, 1, self.requests)
        _within("warm-up", self.warm_up, 0, 1_000_000)
        _within("in-flight", self.in_flight, 1, MOST_IN_FLIGHT)
        if not (math.isfinite(self.rate) and self.rate >= 0):
            raise ValueError(f"rate: expected requests a second, or 0, got {self.rate}")
        _one_of("transport", self.transport, TRANSPORTS)
        _one_of("copy", self.copy, COPIES)
        _one_of("algorithm", self.algorithm, NAMES)

    @property
    def feature_bytes(self) -> int:
        """The size of one image's features."""
        return math.prod(self.shape) * FLOAT32

    @property
    def shared_bytes(self) -> int:
        """How much shared memory the run holds at most."""
        return self.in_flight * self.images * self.feature_bytes if self.transport == "shm" else 0


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name}: expected {least} to {most}, got {value}")


def _one_of(name: str, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise ValueError(f"{name}: expected one of {', '.join(valid)}, got {value!r}")
