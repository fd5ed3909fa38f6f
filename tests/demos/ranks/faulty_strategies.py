"""Strategies in which something goes wrong. Child processes import this module too."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from mmhash.demos.ranks.stopwatch import Stopwatch
from mmhash.demos.ranks.strategies import Eager

AT = 3  # the request in which it happens
ON = 1  # the rank on which it happens


class Faulty(Eager):
    """Fails on one rank; writes into the file `moment` when."""

    what = "fails"

    def __init__(self, moment: Path) -> None:
        self.moment = moment

    def build(
        self, mm_inputs: dict[str, Any], request: int, rank: int, watch: Stopwatch
    ) -> list[Any]:
        items = super().build(mm_inputs, request, rank, watch)
        if (request, rank) == (AT, ON):
            self.moment.write_text(str(time.monotonic()))
            self.fail(items)
        return items

    def fail(self, items: list[Any]) -> None:
        raise NotImplementedError


class Raising(Faulty):
    name = "raising"

    def fail(self, items: list[Any]) -> None:
        raise LookupError("the feature has no price")


class Killed(Faulty):
    name = "killed"

    def fail(self, items: list[Any]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Exiting(Faulty):
    name = "exiting"

    def fail(self, items: list[Any]) -> None:
        os._exit(0)


class Disagreeing(Faulty):
    name = "disagreeing"

    def fail(self, items: list[Any]) -> None:
        items[0].hash ^= 1


class RaisingSender(Faulty):
    name = "raising sender"

    def finish(self, number: int, items: list[Any]) -> None:
        if number == AT:
            self.moment.write_text(str(time.monotonic()))
            raise LookupError("the feature has no sender")
