"""One case, checked and measured: the rounds of all its peers, and what is read from them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import agreement
import interleave
import torch
from cases import Case, memory_of, nbytes
from peers import IDENTITY, Peer, read_limit

import mmhash
from mmhash.demos.compare.timing import Quartiles, quartiles

# torch copies with one thread, like everything else here: its other threads would spin on for a
# while after each copy, and take a core from whatever is timed next.
torch.set_num_threads(1)

# Of a case; ten of them and their preparation stay well below three minutes. CI, which only sees
# that they run, gives them less.
BUDGET_S = float(os.environ.get("MMHASH_BENCH_SECONDS", "7"))

LARGER_THAN_CACHES = 128 << 20


#: Makes the rounds of a case's peer the row of the test that calls it (the fixture `record`).
Record = Callable[[Case, str], None]


@dataclass(frozen=True)
class Measured:
    """What each peer took, in seconds a call; a round has the same index with all of them."""

    rounds: dict[str, interleave.Rounds]

    def seconds(self, peer: str) -> Quartiles:
        return quartiles(self.rounds[peer].seconds)

    def ratio(self, peer: str, to: str = IDENTITY) -> Quartiles:
        """How many times as long `peer` takes as `to`, from the ratios of the single rounds."""
        pairs = zip(self.rounds[peer].seconds, self.rounds[to].seconds, strict=True)
        return quartiles([one / other for one, other in pairs])


@functools.cache
def checked_value(case: Case) -> Any:
    """The value of a case, on which its peers agree. It stays alive, for all tests of the case."""
    value = case.make()
    agreement.check(case, value)
    return value


@functools.cache
def measured(case: Case) -> Measured:
    """Time the peers of a case in turns, once a process.

    Before each batch the value is read into the caches, so that what the batch before left there is
    not measured: every peer finds the value as near as it fits.
    """
    value = checked_value(case)
    memory = memory_of(value) * (
        interleave.WARMING_READS if nbytes(value) < LARGER_THAN_CACHES else 1
    )

    def prepare(peer: Peer) -> None:
        mmhash.set_num_threads(peer.threads)
        for block in memory:
            read_limit(block)

    jobs = {
        name: interleave.Job(peer.call, peer.argument(value), functools.partial(prepare, peer))
        for name, peer in case.peers.items()
    }
    before = mmhash.get_num_threads()
    try:
        found = Measured(interleave.measure(jobs, BUDGET_S))
        agreement.check_reads(case, value)
        return found
    finally:
        mmhash.set_num_threads(before)
