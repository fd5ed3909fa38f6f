"""One rank: receives requests as all do, builds its multimodal inputs, and reports when.

The loop is that of SGLang 0.5.23's scheduler as far as multimodal inputs go: rank 0 takes all that
has arrived and broadcasts it pickled, all meet at a barrier before shared memory is mapped, and
agree afterwards whether that went well, then each builds the inputs of one request after the other.
There is no model: an engine's ranks do other work between two turns. And a rank sleeps where
nothing has arrived, while a scheduler polls.
"""

from __future__ import annotations

import datetime
import os
import pickle
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmhash.demos.ranks import transport
from mmhash.demos.ranks.messages import Begin, BlockReport, End, Request, Stop
from mmhash.demos.ranks.stopwatch import Stopwatch

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mmhash.demos.ranks.settings import Settings
    from mmhash.demos.ranks.strategies import Strategy

STUCK_S = 300.0  # a rank that answers nobody for so long, though it lives, ends the run


def serve(
    settings: Settings,
    rank: int,
    rendezvous: str,
    sender: Connection | None,
    report: Callable[[Any], None],
) -> None:
    """Serve until told to stop. sender: on rank 0, where requests come from.

    rendezvous: a file that does not exist, the same on all ranks, by which they find each other.
    """
    import torch
    import torch.distributed as dist

    import mmhash

    torch.set_num_threads(1)
    mmhash.configure(settings.algorithm)  # as the sender, or hashes that came would not count
    # gloo listens on the address that the host's name has, if any; here everything is local.
    os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"
    idle_s = 2 / settings.rate if settings.rate else 0.0
    dist.init_process_group(
        "gloo",
        init_method=f"file://{rendezvous}",
        rank=rank,
        world_size=settings.ranks,
        timeout=datetime.timedelta(seconds=STUCK_S + idle_s),
    )
    Rank(settings, rank, sender, report).loop()
    dist.barrier()  # none closes its connections while another still uses them
    dist.destroy_process_group()


class Rank:
    """What a rank knows between two messages."""

    def __init__(
        self,
        settings: Settings,
        rank: int,
        sender: Connection | None,
        report: Callable[[Any], None],
    ) -> None:
        self._settings = settings
        self._strategies = {strategy.name: strategy for strategy in settings.strategies}
        self._rank = rank
        self._sender = sender
        self._report = report
        self._watch = Stopwatch()
        self._block = BlockReport(-1)
        self._arrived: dict[int, int] = {}

    def loop(self) -> None:
        """Handle messages until `Stop`."""
        while True:
            messages = self._receive()
            self._map([message for message in messages if isinstance(message, Request)])
            for message in messages:
                if isinstance(message, Request):
                    self._build(message, self._strategies[message.strategy])
                elif isinstance(message, Begin):
                    self._begin(message)
                elif isinstance(message, End):
                    self._end()
                elif isinstance(message, Stop):
                    return

    def _receive(self) -> list[Any]:
        """All that has arrived, on every rank the same."""
        messages: list[Any] = []
        if self._sender is not None:
            self._sender.poll(None)
            with self._watch.stage("receive"):
                while self._sender.poll():
                    data = self._sender.recv_bytes()
                    arrived = time.monotonic_ns()
                    messages.append(pickle.loads(data))
                    if isinstance(messages[-1], Request):
                        self._arrived[messages[-1].number] = arrived
                    elif isinstance(messages[-1], Stop):
                        break  # the sender closes its end
        return broadcast_pickled(messages, self._rank, self._watch)

    def _map(self, requests: list[Request]) -> None:
        if self._settings.transport != "shm" or not requests:
            return
        import torch
        import torch.distributed as dist

        with self._watch.stage("wait"):
            dist.barrier()  # every rank has opened the segments: their names may go
        with self._watch.stage("map"):
            for request in requests:
                transport.unpack(request.mm_inputs["mm_items"], clone=self._settings.clone)
        with self._watch.stage("wait"):
            # SGLang's ranks agree here which requests failed. Here, one that fails ends the run.
            dist.all_reduce(torch.zeros(len(requests), dtype=torch.int32), dist.ReduceOp.MAX)

    def _build(self, request: Request, strategy: Strategy) -> None:
        items = strategy.build(request.mm_inputs, request.number, self._rank, self._watch)
        for item in items:
            item.pad_value  # noqa: B018  # this is what the model needs first
        self._block.readable[request.number] = time.monotonic_ns()
        self._answer()
        self._block.hashes[request.number] = tuple(item.hash for item in items)
        request.mm_inputs.clear()  # lets go of the features

    def _begin(self, message: Begin) -> None:
        self._watch.take()
        self._block = BlockReport(message.block, cpu_s=-time.process_time())
        self._answer()

    def _end(self) -> None:
        import torch.distributed as dist

        block, self._block = self._block, BlockReport(-1)
        block.cpu_s += time.process_time()
        block.events = self._watch.take()
        block.started, self._arrived = self._arrived, {}
        dist.barrier()  # all are through before the sender goes on
        self._report(block)
        self._answer()

    def _answer(self) -> None:
        if self._sender is not None:
            self._sender.send_bytes(b"")


def broadcast_pickled(messages: list[Any], rank: int, watch: Stopwatch) -> list[Any]:
    """Give all ranks the messages of rank 0: pickled, first the size and then the bytes."""
    import torch
    import torch.distributed as dist

    if rank == 0:
        with watch.stage("receive"):
            data = torch.frombuffer(bytearray(pickle.dumps(messages)), dtype=torch.uint8)
            dist.broadcast(torch.tensor([data.numel()]), src=0)
            dist.broadcast(data, src=0)
        return messages
    size = torch.zeros(1, dtype=torch.long)
    dist.broadcast(size, src=0)
    with watch.stage("receive"):
        data = torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(data, src=0)
        received: list[Any] = pickle.loads(data.numpy())
    return received
