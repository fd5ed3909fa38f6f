"""Starts the sender and the ranks, hands on what they report, and ends them, whatever happens."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import connection, resource_tracker
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mmhash.demos.ranks import child_process, rank, sender
from mmhash.demos.ranks.messages import Done, Failed
from mmhash.demos.ranks.run_resources import RunResources

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from mmhash.demos.ranks.settings import Settings

SENDER = "sender"
AFTERMATH_S = 0.5  # for others to fail too, so that the first one to fail can be told from them
END_S = 2.0  # for a process to end when told to, before it is killed


class ProcessDiedError(Exception):
    """A rank or the sender ended early; the message says which and how, with its traceback."""


@dataclass
class Child:
    """A process, what it reports through, and what is known of its end.

    ended: it was seen to have ended, and all that it had reported before was read.
    """

    name: str
    process: BaseProcess
    reports: Connection
    failed: Failed | None = None
    done: bool = False
    ended: bool = False

    @property
    def died(self) -> bool:
        """Whether it ended early."""
        return self.failed is not None or (self.ended and not self.done)


class Processes:
    """The processes of one run: a context, in which they run.

    They are spawned, as engines do, and do not react to SIGINT: Ctrl-C reaches all processes of a
    terminal, and the parent ends them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._footprint = RunResources.new()
        self._children: list[Child] = []
        self._lifeline: Connection | None = None

    def __enter__(self) -> Processes:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def reports(self) -> Iterator[tuple[str, Any]]:
        """Yield (name of the process, what it reported) until all are done.

        ProcessDiedError: one ended early. That is known within a second.
        """
        while not all(child.done for child in self._children):
            alive = [child for child in self._children if not child.done]
            connection.wait([c.reports for c in alive] + [c.process.sentinel for c in alive])
            for each in alive:
                for message in self._read(each):
                    yield each.name, message
            if any(each.died for each in alive):
                raise ProcessDiedError(self._cause())
        for each in self._children:
            each.process.join(END_S)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        lifeline, self._lifeline = context.Pipe(duplex=False)
        to_rank_0, from_sender = context.Pipe(duplex=True)
        prefix, rendezvous = self._footprint.prefix, self._footprint.rendezvous
        works: dict[str, tuple[Any, tuple[Any, ...]]] = {
            SENDER: (sender.serve, (self._settings, prefix, to_rank_0))
        }
        for i in range(self._settings.ranks):
            source = None if i else from_sender
            works[f"rank {i}"] = (rank.serve, (self._settings, i, rendezvous, source))
        # It lets interrupts through again when it starts: not while they are held.
        resource_tracker.ensure_running()
        with _interrupts_held():
            for name, (work, arguments) in works.items():
                reports, end = context.Pipe(duplex=False)
                process = context.Process(
                    target=child_process.main,
                    args=(work, arguments, end, lifeline, self._footprint),
                    name=f"mmhash {name}",
                    daemon=True,
                )
                process.start()
                end.close()
                self._children.append(Child(name, process, reports))
        # Their ends are theirs alone now, so that each sees it when the other is gone.
        for mine in (lifeline, to_rank_0, from_sender):
            mine.close()

    @staticmethod
    def _read(each: Child) -> Iterator[Any]:
        """What it has reported by now. Its last words are read before it counts as ended."""
        ended = each.process.exitcode is not None  # before the last look at what it reports
        try:
            while each.reports.poll():
                message = each.reports.recv()
                if isinstance(message, Failed):
                    each.failed = message
                elif isinstance(message, Done):
                    each.done = True
                else:
                    yield message
        except (EOFError, OSError):
            each.process.join(AFTERMATH_S)  # it has closed its end, as all do when they end
        each.ended = ended

    def _cause(self) -> str:
        """How it began. What follows from a death, mostly broken connections, is left out."""
        end = time.monotonic() + AFTERMATH_S
        while (left := end - time.monotonic()) > 0:
            living = [c for c in self._children if not (c.done or c.died)]
            if not living:
                break
            connection.wait([c.process.sentinel for c in living], left)
            for each in living:
                for _ in self._read(each):
                    pass
        # A process that died without a word was not the victim of another's death: those report.
        silent = [c for c in self._children if c.died and c.failed is None]
        if silent:
            return f"{silent[0].name} {_ending(silent[0].process.exitcode)}"
        reported = [(c.failed.at_ns, c) for c in self._children if c.failed is not None]
        _, first = min(reported, key=lambda pair: pair[0])
        assert first.failed is not None
        return f"{first.name} failed:\n{first.failed.traceback.rstrip()}"

    def _end(self) -> None:
        """End what still runs, and remove what is left."""
        with _interrupts_held():
            for each in self._children:
                if each.process.is_alive():
                    each.process.terminate()
            end = time.monotonic() + END_S
            for each in self._children:
                each.process.join(max(0.0, end - time.monotonic()))
                if each.process.is_alive():
                    each.process.kill()
                    each.process.join()
                each.reports.close()
            if self._lifeline is not None:
                self._lifeline.close()
            self._footprint.remove()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let Ctrl-C wait meanwhile; a process that is started inherits that, for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"ended early with exit status {code}, without a traceback"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
