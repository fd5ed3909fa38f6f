"""Runs a comparison: processes started, their reports gathered, all ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmhash.demos.ranks import summary
from mmhash.demos.ranks.messages import BlockReport, Progress
from mmhash.demos.ranks.processes import Processes

if TYPE_CHECKING:
    from mmhash.demos.ranks.settings import Settings


def measure(
    settings: Settings, progress: Callable[[int], None] | None = None
) -> summary.Comparison:
    """Compare the strategies. progress: called with the number of requests that are done.

    summary.DisagreementError: ranks have different hashes. processes.ProcessDiedError: one ended
    early. No process and no shared memory is left then, nor after KeyboardInterrupt.
    """
    return summary.compare(settings, gather(settings, progress))


def gather(settings: Settings, progress: Callable[[int], None] | None = None) -> summary.Reports:
    """Run all blocks, and return what each process reported: by process, then by block."""
    reports: summary.Reports = {}
    with Processes(settings) as processes:
        for name, message in processes.reports():
            if isinstance(message, BlockReport):
                reports.setdefault(name, {})[message.block] = message
            elif isinstance(message, Progress) and progress is not None:
                progress(message.done)
    return reports
