"""What mmhash promises, as numbers that one run of these benchmarks can meet or miss."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import peers
import pytest
from cases import IMAGE_BYTES, SIZES, Case
from measured import Measured, Quartiles

STRICT = "MMHASH_BENCH_STRICT"

#: Where a run keeps what its goals' tests found, until the summary.
OUTCOMES = pytest.StashKey[list[dict[str, object]]]()


@dataclass(frozen=True)
class Goal:
    """`measure` of a case compared with `limit`; `peer` is the row that the goal is about."""

    claim: str
    case: Case
    peer: str
    measure: Callable[[Measured], Quartiles]
    limit: float
    unit: str
    at_most: bool = False
    cpus: int = 1

    def met_by(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def outcome(self, measured: Measured) -> dict[str, object]:
        """What was found, in the form in which results keep it."""
        found = self.measure(measured)
        return {
            "claim": self.claim,
            "limit": self.limit,
            "at_most": self.at_most,
            "unit": self.unit,
            "found": found._asdict(),
            "met": self.met_by(found.median),
        }


def times_as_long(peer: str, than: str = peers.IDENTITY) -> Callable[[Measured], Quartiles]:
    return lambda measured: measured.ratio(peer, than)


def nanoseconds(peer: str) -> Callable[[Measured], Quartiles]:
    return lambda measured: Quartiles(*(1e9 * seconds for seconds in measured.seconds(peer)))


IMAGE, PAGE = SIZES[IMAGE_BYTES], SIZES["4 KiB"]

GOALS = {
    "as-fast-as-xxhash": Goal(
        "18.8 MB, one thread: speed relative to `xxhash` on ready bytes",
        IMAGE,
        peers.IDENTITY,
        times_as_long(peers.XXHASH_READY),
        0.97,
        "x",
    ),
    "faster-than-sglang": Goal(
        "18.8 MB, one thread: speed relative to SGLang 0.5.23",
        IMAGE,
        peers.IDENTITY,
        times_as_long(peers.SGLANG_0_5_23),
        15,
        "x",
    ),
    "two-threads": Goal(
        "18.8 MB: speed of two threads relative to one",
        IMAGE,
        peers.IDENTITY_2,
        times_as_long(peers.IDENTITY, peers.IDENTITY_2),
        1.3,
        "x",
        cpus=2,
    ),
    "small-tensor": Goal(
        "4 KiB tensor, one thread: time of a call",
        PAGE,
        peers.IDENTITY,
        nanoseconds(peers.IDENTITY),
        350,
        "ns",
        at_most=True,
    ),
    "small-tensor-best-peer": Goal(
        "4 KiB tensor, one thread: speed relative to the best peer from a tensor",
        PAGE,
        peers.IDENTITY,
        times_as_long(peers.XXHASH_VALUE),
        7,
        "x",
    ),
}


def strict() -> bool:
    """Whether a goal that is missed fails its test, which only a quiet machine can answer for."""
    return os.environ.get(STRICT) == "1"


def describe(outcome: dict[str, object]) -> str:
    found, unit = outcome["found"], outcome["unit"]
    assert isinstance(found, dict)
    return (
        f"{outcome['claim']}: {found['median']:.4g} {unit} "
        f"({found['q1']:.4g} to {found['q3']:.4g}), "
        f"goal at {'most' if outcome['at_most'] else 'least'} {outcome['limit']} {unit}: "
        f"{'met' if outcome['met'] else 'MISSED'}"
    )
