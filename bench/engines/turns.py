"""Load generator: interleaved requests to a running server whose modes of hashing take turns."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from engines import client, switch


class Turns:
    """One server: what is sent to it, in which mode."""

    def __init__(self, folder: Path, port: int, seed: int) -> None:
        self._folder, self._port, self._random = folder, port, random.Random(seed)

    def one_at_a_time(
        self, modes: Sequence[str], rounds: int, request: Callable[[], bytes]
    ) -> dict[str, list[client.Answer]]:
        answers: dict[str, list[client.Answer]] = {mode: [] for mode in modes}
        for turn, mode in in_turns(modes, rounds, self._random):
            body = request()
            self.enter(mode)
            answer = client.send(self._port, body)
            if turn:
                answers[mode].append(answer)
        return answers

    def many_at_once(
        self, modes: Sequence[str], rounds: int, requests: int, request: Callable[[], bytes]
    ) -> dict[str, list[float]]:
        """Seconds until the last of a round's requests was answered."""
        seconds: dict[str, list[float]] = {mode: [] for mode in modes}
        for turn, mode in in_turns(modes, rounds, self._random):
            bodies = [request() for _ in range(requests)]
            self.enter(mode)
            took = client.send_together(self._port, bodies)
            if turn:
                seconds[mode].append(took)
        return seconds

    def enter(self, mode: str) -> None:
        """Has all processes enter the mode, by a request without an image.

        Entering takes longer than hashing.
        """
        switch.choose(self._folder, mode)
        client.send(self._port, client.body([]))


def in_turns(modes: Sequence[str], rounds: int, order: random.Random) -> Iterable[tuple[int, str]]:
    """The number of a round and a mode, for each mode of each round, in an order of its own.

    Round 0 is one more, not to be counted: threads start in it, memory is touched for the first
    time, and what is sent again is new.
    """
    for turn in range(rounds + 1):
        for mode in order.sample(modes, len(modes)):
            yield turn, mode


def hashes(events: list[dict[str, Any]], mode: str, requests: int) -> dict[str, Any]:
    """Of requests one at a time: how often each kind of process hashed, and how long it took.

    With the first round, which is not counted elsewhere: so `requests` is one more than the rounds.
    """
    found: dict[str, list[float]] = {}
    for event in events:
        if event["event"] == "hash" and event["mode"] == mode:
            found.setdefault(event["role"], []).append(event["ms"])
    return {
        role: {"a_request": len(ms) / requests, "median_ms": statistics.median(ms)}
        for role, ms in found.items()
    }
