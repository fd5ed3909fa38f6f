"""Inside a server's processes: switching between ways to hash while it runs, and timing them.

One server is measured with all its ways to hash in turns, so that a machine which is slow for a
while is slow for all. Whoever measures names the way in the file `FOLDER/mode` between requests;
each process of the server looks there when a request reaches it. What hashing took is appended to
`FOLDER/PID.jsonl`. FOLDER is in the environment variable VARIABLE, without which nothing is done.
"""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VARIABLE = "MMHASH_BENCH_FOLDER"
RELEASED = "released"  # the mode in which nothing is replaced

#: Puts a way to hash into force in this process and returns what takes it out again.
Enter = Callable[[], Callable[[], None]]


def folder() -> Path | None:
    """Where modes and times are written, or None in a server that is not measured."""
    found = os.environ.get(VARIABLE)
    return Path(found) if found else None


def environment(folder: Path) -> dict[str, str]:
    """Of a server that is measured: no plugin, because the modes install mmhash and take it out."""
    return {"MMHASH_ENGINES": "off", VARIABLE: str(folder)}


def choose(folder: Path, mode: str) -> None:
    """Names the mode for the requests that follow. For whoever measures."""
    new = folder / "mode.new"
    new.write_text(mode)
    new.replace(folder / "mode")


class Switch:
    """The mode of this process, and the functions that are timed in it. Any thread may call it."""

    def __init__(self, folder: Path, modes: Mapping[str, Enter]) -> None:
        self._folder, self._modes = folder, modes
        self._mode, self._leave = RELEASED, _nothing
        self._role = ""
        self._watched: list[tuple[Any, str, str]] = []  # owner, name, event
        self._untimed: list[Any] = []  # what stood there, of each that is watched
        self._lock = threading.Lock()
        self._log = (folder / f"{os.getpid()}.jsonl").open("a", buffering=1)

    def watch(self, owner: Any, name: str, event: str) -> None:
        """Has the calls of a function or class method recorded, in every mode."""
        with self._lock:
            self._stop_timing()
            self._watched.append((owner, name, event))
            self._time()

    def follow(self) -> None:
        """Enters the mode that the file names, if that is another one.

        To be called where a request enters the process, of which the one before has left it.
        """
        wanted = (self._folder / "mode").read_text()
        with self._lock:
            if wanted == self._mode:
                return
            self._stop_timing()
            self._leave()
            self._mode, self._leave = RELEASED, _nothing
            if wanted != RELEASED:
                self._leave = self._modes[wanted]()
            self._mode = wanted
            self._time()

    def following(self, function: Callable[..., Any], role: str) -> Callable[..., Any]:
        """The function, which looks for another mode first. Who calls it has that role."""

        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            self._role = role
            self.follow()
            return function(*arguments, **named)

        return call

    def record(self, event: str, **what: Any) -> None:
        about = {"event": event, "mode": self._mode, "role": self._role, "time": time.time()}
        self._log.write(json.dumps({**about, **what}) + "\n")

    def _time(self) -> None:
        self._untimed = [vars(owner)[name] for owner, name, _ in self._watched]
        for (owner, name, event), raw in zip(self._watched, self._untimed, strict=True):
            is_class_method = isinstance(raw, classmethod)
            timed = self._timed(event, raw.__func__ if is_class_method else raw)
            setattr(owner, name, classmethod(timed) if is_class_method else timed)

    def _stop_timing(self) -> None:
        for (owner, name, _), raw in zip(self._watched, self._untimed, strict=True):
            setattr(owner, name, raw)

    def _timed(self, event: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            start = time.perf_counter()
            result = function(*arguments, **named)
            self.record(event, ms=(time.perf_counter() - start) * 1e3)
            return result

        return call


def _nothing() -> None:
    pass


def events(folder: Path, since: float = 0.0) -> list[dict[str, Any]]:
    """What the processes of a server have recorded, from a time.time() on."""
    found = [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [event for event in found if event["time"] >= since]
