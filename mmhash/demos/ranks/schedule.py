"""Which requests are sent in which order: blocks of one strategy each, the strategies in turns."""

from __future__ import annotations

import random
from dataclasses import dataclass

from mmhash.demos.ranks.settings import Settings

WARM_UP = -1  # the round that is not counted


@dataclass(frozen=True)
class Block:
    """Consecutive requests under one strategy, from `first` on.

    Before and after a block nothing is under way, so that its processor time is its own.
    """

    index: int
    strategy: str
    round: int
    first: int
    count: int

    @property
    def counts(self) -> bool:
        """Whether it is measured."""
        return self.round != WARM_UP


def blocks(settings: Settings) -> list[Block]:
    """All blocks of a run. Every strategy gets the same requests, in as many rounds.

    A round has one block of each strategy, in an order drawn from a fixed seed: a machine that is
    slow for a while is slow for all. The warm-up, a round of its own, has requests of its own.
    """
    order, shuffle = [strategy.name for strategy in settings.strategies], random.Random(0).shuffle
    requests, rounds = settings.requests, settings.rounds
    bounds = [requests * round_ // rounds for round_ in range(rounds + 1)]
    spans = [(WARM_UP, requests, settings.warm_up)] if settings.warm_up else []
    spans += [(r, bounds[r], bounds[r + 1] - bounds[r]) for r in range(rounds)]
    found: list[Block] = []
    for round_, first, count in spans:
        shuffle(order)
        found += [Block(len(found) + i, name, round_, first, count) for i, name in enumerate(order)]
    return found
