"""The adapter between mmhash and an engine: what is the same for all engines stands here, once.

An Engine says how it is recognised and what is replaced in it. Its Adapter is the installing and
uninstalling in one process: the lock, the undo log, what `mmhash.info()` says and the log line.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mmhash import _info
from mmhash._counters import Counters as Counters
from mmhash._version import __version__
from mmhash.engines.patches import Patches

ALGORITHM = "xxh3"
SWITCH = "MMHASH_ENGINES"


class UnsupportedEngineError(RuntimeError):
    """The installed engine is not as mmhash knows it. Nothing of it was replaced."""


@dataclass(frozen=True)
class Installation:
    """mmhash in an engine, in this process.

    `algorithm` is what now makes the hashes; `replaced` are the dotted names of the engine's that
    were replaced. uninstall() puts them back; calling it again does nothing. Any thread may call
    it.
    """

    engine: str
    engine_version: str
    algorithm: str
    replaced: tuple[str, ...]
    _uninstall: Callable[[], None] = field(repr=False, compare=False)

    def uninstall(self) -> None:
        """Put the engine back as it was. Hashes that it has made stay as they are."""
        self._uninstall()


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Replaced:
    """What an engine tells of its replacements, which are in the Patches that it was given."""

    algorithm: str = ALGORITHM
    note: str = ""
    """For the log line, behind the engine's version."""
    report: Mapping[str, object] = field(default_factory=dict)
    """For mmhash.info(), besides the version, the algorithm and the counters."""
    settle: Callable[[], None] = _nothing
    """Called before anything is put back, without a lock, perhaps more than once: may hash."""


class Engine(ABC):
    """What is particular to an engine. One object in a process, in a folder of its own."""

    name: ClassVar[str]
    """Of its folder, and in `mmhash.info()["engines"]`."""
    title: ClassVar[str]
    tested: ClassVar[tuple[str, ...]]
    """The versions that the tests run in."""
    counters: ClassVar[tuple[str, ...]] = ("hashes",)
    options: ClassVar[Mapping[str, object]] = {}
    """Of install(), with what they are where nobody says."""
    logger: ClassVar[logging.Logger]

    @abstractmethod
    def load(self) -> Any:
        """Imports what probe() looks at. ImportError where the engine is not installed.

        Called without a lock: an import runs foreign code and waits for other threads' imports.
        """

    @abstractmethod
    def probe(self, loaded: Any) -> Any:
        """What was recognised, with its `version`, before anything is replaced.

        Raises UnsupportedEngineError, which names what was expected and what was found.
        """

    @abstractmethod
    def replace(
        self,
        probe: Any,
        patches: Patches,
        counters: Counters,
        options: Mapping[str, Any],
        *,
        plugin: bool,
    ) -> Replaced:
        """Puts mmhash in, each replacement through `patches`. What it raises undoes them all.

        `plugin` says that the engine itself has loaded mmhash, through its entry point.
        """

    def short(self, name: str) -> str:
        """A dotted name of what was replaced, for the log line."""
        return name


class _State:
    """An installation, or as much of one as an interrupted call has left."""

    def __init__(self, engine: Engine, asked: Mapping[str, object]) -> None:
        self.patches = Patches()
        self.counters = Counters(engine.counters)
        given = {name: value for name, value in asked.items() if value is not None}
        self.options = {**engine.options, **given}
        self.replaced: Replaced | None = None
        self.installation: Installation | None = None  # set last: until then it is not complete


class Adapter:
    """Installs mmhash in one engine, in this process, and uninstalls it. Idempotent, thread-safe.

    The lock is held while attributes are replaced or put back, never while anything is imported,
    hashed or logged. A finalizer or signal handler that comes into that gets a RuntimeError
    instead of waiting for its own thread. Write-ahead: the state is kept before anything is
    replaced, so that after an exception at any line, such as KeyboardInterrupt, the next call
    undoes what is left of the interrupted one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock: Any = threading.RLock()
        self._current: _State | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork_in_child)

    def install(self, *, plugin: bool = False, **asked: object) -> Installation:
        """The Installation that is in force: a new one, or that of an earlier call.

        An option that is None is as it is. Raises what the engine's load() and probe() raise, and
        ValueError where it is installed already with another option.
        """
        loaded = self._engine.load()
        with self._changing():
            state = self._current
            new = None
            if state is None or state.installation is None:
                self._undo()
                state = new = self._replace(loaded, plugin, asked)
            installation = state.installation
            assert installation is not None
            options = state.options
        if new is not None:
            log_or_print(self._engine.logger, logging.INFO, self._line(new, installation))
        for name, value in asked.items():
            if value is not None and value != options[name]:
                raise ValueError(
                    f"{name}: expected {options[name]!r}, with which mmhash is installed in "
                    f"{self._engine.title} already, found {value!r}: uninstall() first"
                )
        return installation

    def uninstall(self) -> None:
        """Puts the engine back as it was; does nothing where mmhash is not installed."""
        self._uninstall(self._current)

    def load_plugin(self, **asked: object) -> None:
        """install(), for an entry point that the engine calls because mmhash is installed.

        Does nothing with MMHASH_ENGINES=off. An engine that mmhash does not know is left alone,
        with one warning.
        """
        if not enabled():
            return
        try:
            self.install(plugin=True, **asked)
        except UnsupportedEngineError as error:
            log_or_print(self._engine.logger, logging.WARNING, str(error))

    def _after_fork_in_child(self) -> None:
        self._lock = threading.RLock()  # a thread that the child does not have may have held it

    def _changing(self) -> Any:
        if self._lock._is_owned():
            raise RuntimeError(
                f"mmhash is being installed in {self._engine.title} or uninstalled by this very "
                "thread, which a finalizer or a signal handler has interrupted: call it later"
            )
        return self._lock

    def _replace(self, loaded: Any, plugin: bool, asked: Mapping[str, object]) -> _State:
        engine = self._engine
        self._current = state = _State(engine, asked)
        try:
            probe = engine.probe(loaded)
            state.replaced = replaced = engine.replace(
                probe, state.patches, state.counters, state.options, plugin=plugin
            )
            _info.engines[engine.name] = lambda: {
                "version": probe.version,
                "algorithm": replaced.algorithm,
                **replaced.report,
                **state.counters.read(),
            }
            state.installation = Installation(
                engine=engine.name,
                engine_version=probe.version,
                algorithm=replaced.algorithm,
                replaced=tuple(state.patches.names()),
                _uninstall=lambda: self._uninstall(state),
            )
        except BaseException:
            self._undo()
            raise
        return state

    def _uninstall(self, state: _State | None) -> None:
        """Of this installation, not of a later one."""
        left: list[str] = []
        while state is not None and self._current is state:
            settled = state.replaced
            if settled is not None:
                settled.settle()
            with self._changing():
                if self._current is state and state.replaced is settled:
                    left = self._undo()
        if left:
            log_or_print(
                self._engine.logger,
                logging.WARNING,
                f"left as they are, replaced by somebody else since: {', '.join(left)}",
            )

    def _undo(self) -> list[str]:
        """Can be interrupted and called again. Returns what was left as others have made it."""
        state = self._current
        if state is None:
            return []
        state.installation = None
        _info.engines.pop(self._engine.name, None)
        left = state.patches.undo()
        self._current = None
        return left

    def _line(self, state: _State, installation: Installation) -> str:
        """What the log says, once in a process."""
        engine, version = self._engine, installation.engine_version
        untested = "" if version in engine.tested else " (not among those tested)"
        note = "" if state.replaced is None else state.replaced.note
        return (
            f"mmhash {__version__} ({installation.algorithm}) in {engine.title} {version}"
            f"{untested}{note}; replaced "
            + (", ".join(map(engine.short, installation.replaced)) or "nothing")
        )


def check_algorithm(algorithm: str | None) -> None:
    """Raises ValueError for another than the one that mmhash has."""
    if algorithm not in (None, ALGORITHM):
        raise ValueError(f"algorithm: expected {ALGORITHM!r} or None, found {algorithm!r}")


def enabled() -> bool:
    """False if MMHASH_ENGINES is `off`; True if it is `on`, empty or not set.

    Only plugins ask, which an engine loads because mmhash is installed. Who calls an install()
    wants it. Raises ValueError for anything else, so that a server with a typo fails when it
    starts.
    """
    found = os.environ.get(SWITCH, "")
    if found.lower() not in ("", "on", "off"):
        raise ValueError(f"environment variable {SWITCH}: expected on or off, found {found!r}")
    return found.lower() != "off"


def log_or_print(logger: logging.Logger, level: int, line: str) -> None:
    """Logs a line, or writes it to stderr where the log would not show it.

    Plugins are loaded before servers apply their log level: until then there is no handler, or one
    that some package has added for warnings.
    """
    if logger.hasHandlers() and logger.isEnabledFor(level):
        logger.log(level, "%s", line)
    else:
        print(f"{logging.getLevelName(level)} {logger.name}: {line}", file=sys.stderr, flush=True)
