"""The process that has the features: hashes if the strategy says so, and sends requests to rank 0.

It stands for an engine's tokenizer process. What that does before, decoding and processing images,
is left out: it is the same with every strategy, and would hide what is compared.
"""

from __future__ import annotations

import itertools
import pickle
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmhash.demos.ranks import schedule, transport
from mmhash.demos.ranks.messages import Begin, BlockReport, End, Progress, Request, Stop
from mmhash.demos.ranks.stopwatch import Stopwatch

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mmhash.demos.ranks.features import Features
    from mmhash.demos.ranks.settings import Settings
    from mmhash.demos.ranks.strategies import Strategy

PROGRESS_S = 0.1
PIXELS_A_TOKEN = 4  # rows of features that become one token of the prompt
Report = Callable[[Any], None]


def serve(settings: Settings, prefix: str, ranks: Connection, report: Report) -> None:
    """Send all scheduled blocks. ranks: to rank 0, which answers every Request, Begin and End."""
    import torch

    import mmhash
    from mmhash.demos.ranks.features import Features

    torch.set_num_threads(1)
    mmhash.cache_resize(0)
    mmhash.configure(settings.algorithm)
    features = Features(settings.shape, (settings.requests + settings.warm_up) * settings.images)
    strategies = {strategy.name: strategy for strategy in settings.strategies}
    sender = Sender(settings, prefix, features, ranks, report)
    for strategy in strategies.values():
        strategy.open()
    for block in schedule.blocks(settings):
        report(sender.send_block(block, strategies[block.strategy]))
    for strategy in strategies.values():
        strategy.close()
    sender.send(Stop())


class Sender:
    """Sends requests, no more than `in_flight` without an answer, and at the rate asked for."""

    def __init__(
        self,
        settings: Settings,
        prefix: str,
        features: Features,
        ranks: Connection,
        report: Report,
    ) -> None:
        self._settings = settings
        self._features = features
        self._ranks = ranks
        self._report = report
        self._watch = Stopwatch()
        numbers = itertools.count()
        self._name = lambda: f"{prefix}{next(numbers)}"
        self._unanswered = 0
        self._answered = 0
        self._next_progress = 0.0

    def send(self, message: object) -> None:
        """Send a message of any kind to rank 0."""
        self._ranks.send_bytes(pickle.dumps(message))

    def send_block(self, block: schedule.Block, strategy: Strategy) -> BlockReport:
        """Send a block, wait until the ranks are through with it, and return what it took."""
        self._ask(Begin(block.index))
        result = BlockReport(block.index)
        begun: deque[tuple[int, list[Any]]] = deque()
        self._watch.take()
        cpu, start = time.process_time(), time.monotonic_ns()
        for i in range(block.count):
            due = start + int(i * 1e9 / self._settings.rate) if self._settings.rate else 0
            # What was begun is sent when enough is ahead of it, or before there is a wait.
            while begun and (len(begun) > strategy.ahead or self._must_wait(due, len(begun))):
                self._send_oldest(begun, strategy)
            self._wait(due, len(begun))
            number = block.first + i
            result.started[number] = due or time.monotonic_ns()
            begun.append((number, self._items(number, strategy)))
            strategy.begin(*begun[-1])
        while begun:
            self._send_oldest(begun, strategy)
        while self._unanswered:
            self._take_answer()
        self._ask(End(block.index))
        result.cpu_s = time.process_time() - cpu
        result.events = self._watch.take()
        return result

    def _ask(self, message: object) -> None:
        """Send something when no request is under way, and wait for the answer."""
        self.send(message)
        self._ranks.recv_bytes()

    def _items(self, number: int, strategy: Strategy) -> list[Any]:
        images = self._settings.images
        first = number * images
        return strategy.items([self._features[first + i] for i in range(images)])

    def _send_oldest(self, begun: deque[tuple[int, list[Any]]], strategy: Strategy) -> None:
        number, items = begun.popleft()
        with self._watch.stage("hash", number):
            strategy.finish(number, items)
        if self._settings.transport == "shm":
            with self._watch.stage("copy", number):
                transport.pack(items, self._name, self._settings.copy)
        tokens = self._settings.shape[0] // PIXELS_A_TOKEN * self._settings.images
        with self._watch.stage("send", number):
            ids = array("q", range(tokens))
            self.send(Request(number, strategy.name, ids, {"mm_items": items}))
        self._unanswered += 1

    def _must_wait(self, due: int, begun: int) -> bool:
        while self._unanswered and self._ranks.poll():
            self._take_answer()
        full = self._unanswered + begun >= self._settings.in_flight
        return full or time.monotonic_ns() < due

    def _wait(self, due: int, begun: int) -> None:
        while self._unanswered + begun >= self._settings.in_flight:
            self._take_answer()
        time.sleep(max(0, due - time.monotonic_ns()) / 1e9)

    def _take_answer(self) -> None:
        self._ranks.recv_bytes()
        self._unanswered -= 1
        self._answered += 1
        now = time.monotonic()
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_S
            self._report(Progress(self._answered))
