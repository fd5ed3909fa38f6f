"""From what the processes reported to what is compared."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmhash.demos.ranks import schedule
from mmhash.demos.ranks.processes import SENDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mmhash.demos.ranks.messages import BlockReport, Event
    from mmhash.demos.ranks.settings import Settings

Reports = dict[str, dict[int, "BlockReport"]]

#: The timelines show as long as the slowest strategy takes for so many requests.
TIMELINE_REQUESTS = 3


class DisagreementError(Exception):
    """Ranks computed or received different hashes of the same image."""


@dataclass(frozen=True)
class Quantiles:
    """Of the measured requests' times, in seconds."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Timeline:
    """The beginning of a strategy's first measured block, in seconds from its first request.

    events: by process, (stage, start, end). readable: when a request's `pad_value` could be read on
    all ranks.
    """

    events: dict[str, list[tuple[str, float, float]]]
    readable: list[float]


@dataclass(frozen=True)
class Measured:
    """One strategy.

    latency: from receipt by rank 0 until every `pad_value` can be read on the slowest rank. total:
    to the same moment from when the sender has the features. rounds: requests a second of each.
    """

    name: str
    requests_per_s: float
    rounds: list[float]
    latency: Quantiles
    total: Quantiles
    cpu_ranks_s: float
    cpu_sender_s: float
    timeline: Timeline

    @property
    def cpu_s(self) -> float:
        """Processor time a request, of all ranks and the sender."""
        return self.cpu_ranks_s + self.cpu_sender_s


@dataclass(frozen=True)
class Comparison:
    """All strategies of a run, and how long their timelines are, in seconds."""

    settings: Settings
    measured: list[Measured]
    hashes_agreed: int
    window_s: float


def compare(settings: Settings, reports: Reports) -> Comparison:
    """Check that all agree, then evaluate. DisagreementError: which request on which ranks."""
    blocks = schedule.blocks(settings)
    agreed = check_agreement(blocks, reports)
    window_ns = max(_window(block, reports) for block in blocks if block.round == 0)
    measured = [
        _measure([b for b in blocks if b.counts and b.strategy == s.name], reports, window_ns)
        for s in settings.strategies
    ]
    return Comparison(settings, measured, agreed, window_ns / 1e9)


def check_agreement(blocks: Iterable[schedule.Block], reports: Reports) -> int:
    """Compare every rank's hashes of every request with rank 0's; return how many were compared."""
    compared = 0
    ranks = [name for name in reports if name != SENDER]
    for block in blocks:
        expected = reports["rank 0"][block.index].hashes
        for rank in ranks:
            found = reports[rank][block.index].hashes
            for number in range(block.first, block.first + block.count):
                if found.get(number) != expected.get(number) or not found.get(number):
                    raise DisagreementError(
                        f"strategy {block.strategy}, request {number}: rank 0 has the hashes "
                        f"{_hex(expected.get(number))}, {rank} has {_hex(found.get(number))}"
                    )
                compared += len(found[number])
    return compared


def _hex(hashes: Sequence[int] | None) -> str:
    return " ".join(f"{value:016x}" for value in hashes) if hashes else "none"


def _readable(block: schedule.Block, reports: Reports) -> dict[int, int]:
    """When each request was readable on the slowest rank, in nanoseconds."""
    ranks = [found[block.index].readable for name, found in reports.items() if name != SENDER]
    return {number: max(rank[number] for rank in ranks) for number in ranks[0]}


def _window(block: schedule.Block, reports: Reports) -> int:
    ends = sorted(_readable(block, reports).values())[:TIMELINE_REQUESTS]
    return ends[-1] - _start(block, reports)


def _start(block: schedule.Block, reports: Reports) -> int:
    return min(reports[SENDER][block.index].started.values())


def _measure(blocks: list[schedule.Block], reports: Reports, window_ns: int) -> Measured:
    latencies, totals, spans = [], [], []
    for block in blocks:
        readable = _readable(block, reports)
        sent, received = (
            reports[SENDER][block.index].started,
            reports["rank 0"][block.index].started,
        )
        latencies += [(end - received[number]) / 1e9 for number, end in readable.items()]
        totals += [(end - sent[number]) / 1e9 for number, end in readable.items()]
        spans.append((max(readable.values()) - _start(block, reports)) / 1e9)
    requests = sum(block.count for block in blocks)
    cpu = {name: sum(found[b.index].cpu_s for b in blocks) for name, found in reports.items()}
    sender_s = cpu.pop(SENDER)
    return Measured(
        name=blocks[0].strategy,
        requests_per_s=requests / sum(spans),
        rounds=[block.count / span for block, span in zip(blocks, spans, strict=True)],
        latency=quantiles(latencies),
        total=quantiles(totals),
        cpu_ranks_s=sum(cpu.values()) / requests,
        cpu_sender_s=sender_s / requests,
        timeline=_timeline(blocks[0], reports, window_ns),
    )


def quantiles(values: Sequence[float]) -> Quantiles:
    """The median, and the 99th percentile interpolated between the two values next to it.

    >>> quantiles([float(i) for i in range(101)])
    Quantiles(p50=50.0, p99=99.0)
    """
    if len(values) == 1:
        return Quantiles(values[0], values[0])
    return Quantiles(
        statistics.median(values), statistics.quantiles(values, n=100, method="inclusive")[98]
    )


def _timeline(block: schedule.Block, reports: Reports, window_ns: int) -> Timeline:
    start = _start(block, reports)

    def clipped(events: Iterable[Event]) -> list[tuple[str, float, float]]:
        return [
            (stage, max(0, begin - start) / 1e9, min(window_ns, end - start) / 1e9)
            for stage, _, begin, end in events
            if end > start and begin - start < window_ns
        ]

    names = [SENDER, *sorted((n for n in reports if n != SENDER), key=_rank_number)]
    ends = sorted(end - start for end in _readable(block, reports).values())
    return Timeline(
        events={name: clipped(reports[name][block.index].events) for name in names},
        readable=[end / 1e9 for end in ends if end <= window_ns],
    )


def _rank_number(name: str) -> int:
    return int(name.rpartition(" ")[2])
