"""What processes tell each other: the sender the ranks, and all of them the parent."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

#: One stage of one process: name, request (-1: of several), start and end in nanoseconds.
Event = tuple[str, int, int, int]


@dataclass
class Request:
    """A tokenized request, as the sender sends it to rank 0 and rank 0 to all others."""

    number: int
    strategy: str
    input_ids: array[int]
    mm_inputs: dict[str, Any]


@dataclass(frozen=True)
class Begin:
    """To the ranks: what follows belongs to this block."""

    block: int


@dataclass(frozen=True)
class End:
    """To the ranks: the block is over. Report it."""

    block: int


@dataclass(frozen=True)
class Stop:
    """To the ranks: nothing follows."""


@dataclass
class BlockReport:
    """To the parent: what one process measured of one block, by request; times in nanoseconds.

    started: when the sender had the features, or rank 0 the message; empty on the other ranks.
    readable: when every `pad_value` could be read. hashes: of the images, in their order.
    """

    block: int
    started: dict[int, int] = field(default_factory=dict)
    readable: dict[int, int] = field(default_factory=dict)
    hashes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    cpu_s: float = 0.0


@dataclass(frozen=True)
class Progress:
    """To the parent: so many requests are done."""

    done: int


@dataclass(frozen=True)
class Failed:
    """To the parent: this process ends with an exception."""

    at_ns: int
    traceback: str


@dataclass(frozen=True)
class Done:
    """To the parent: this process ends, and all went well."""
