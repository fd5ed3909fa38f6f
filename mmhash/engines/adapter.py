"""The adapter between mmhash and an engine: what is the same for all engines stands here, once.

An Engine says how it is recognised and what is replaced in it. Its Adapter is the installing and
uninstalling in one process: the lock, the undo log, what `mmhash.info()` says and the log line.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmhash import _info
from mmhash._counters import Counters
from mmhash._version import __version__
from mmhash.engines.agreement import announce, withdraw
from mmhash.engines.algorithm import Choice, chosen
from mmhash.engines.engine import Engine, Replaced, UnsupportedEngineError
from mmhash.engines.patches import Patches

SWITCH = "MMHASH_ENGINES"


@dataclass(frozen=True)
class Installation:
    """mmhash in an engine, in this process.

    `algorithm` is what now makes the hashes, and `key_id` tells its key from others (None without
    one); `replaced` are the dotted names of the engine's that were replaced. uninstall() puts them
    back; calling it again does nothing. Any thread may call it.
    """

    engine: str
    engine_version: str
    algorithm: str
    key_id: str | None
    replaced: tuple[str, ...]
    _uninstall: Callable[[], None] = field(repr=False, compare=False)

    def uninstall(self) -> None:
        """Put the engine back as it was. Hashes that it has made stay as they are."""
        self._uninstall()


class _State:
    """An installation, or as much of one as an interrupted call has left."""

    def __init__(self, engine: Engine, choice: Choice, asked: Mapping[str, object]) -> None:
        self.choice = choice
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

    def install(
        self,
        *,
        plugin: bool = False,
        algorithm: str | None = None,
        key: bytes | None = None,
        **asked: object,
    ) -> Installation:
        """The Installation that is in force: a new one, or that of an earlier call.

        An option that is None is as it is. Raises what chosen() and the engine's load() and probe()
        raise, and ValueError where it is installed already with another option.
        """
        choice = chosen(self._engine.variable, algorithm, key)
        named = algorithm is not None or key is not None
        loaded = self._engine.load()
        with self._changing():
            state = self._current
            new = None
            if state is None or state.installation is None:
                self._undo()
                state = new = self._replace(loaded, plugin, choice, asked)
            installation = state.installation
            assert installation is not None
            now = {"algorithm": state.choice, **state.options}
        if new is not None:
            if choice.warning:
                log_or_print(self._engine.logger, logging.WARNING, choice.warning)
            log_or_print(self._engine.logger, logging.INFO, self._line(new, installation))
            if wrong := announce(self._engine.name, str(choice)):
                log_or_print(self._engine.logger, logging.ERROR, wrong)
        wanted = {"algorithm": choice if named else None, **asked}
        for name, value in wanted.items():
            if value is not None and value != now[name]:
                raise ValueError(
                    f"{name}: expected {_shown(now[name])}, with which mmhash is installed in "
                    f"{self._engine.title} already, found {_shown(value)}: uninstall() first"
                )
        return installation

    def uninstall(self) -> None:
        """Puts the engine back as it was; does nothing where mmhash is not installed."""
        self._uninstall(self._current)

    def is_wanted(self) -> bool:
        """Whether a server that starts is to have mmhash: not with MMHASH_ENGINES=off.

        Raises SystemExit, with one line, for what the environment cannot mean: an Exception of a
        plugin's would be logged by the engine, which runs on, beside ranks that have mmhash.
        """
        try:
            if not enabled():
                return False
            chosen(self._engine.variable)
        except (ImportError, ValueError) as error:
            raise SystemExit(f"mmhash in {self._engine.title}: {error}") from None
        return True

    def load_plugin(self) -> None:
        """install(), for an entry point that the engine calls because mmhash is installed.

        Does nothing, or ends the process, as is_wanted() has it. An engine that mmhash does not
        know is left alone, with one warning.
        """
        if not self.is_wanted():
            return
        try:
            self.install(plugin=True)
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

    def _replace(
        self, loaded: Any, plugin: bool, choice: Choice, asked: Mapping[str, object]
    ) -> _State:
        engine = self._engine
        self._current = state = _State(engine, choice, asked)
        try:
            probe = engine.probe(loaded)
            state.replaced = replaced = engine.replace(
                probe,
                state.patches,
                state.counters,
                choice.algorithm,
                state.options,
                plugin=plugin,
            )
            _info.engines[engine.name] = lambda: {
                "version": probe.version,
                "algorithm": choice.name,
                "key_id": choice.key_id,
                **replaced.report,
                **state.counters.read(),
            }
            state.installation = Installation(
                engine=engine.name,
                engine_version=probe.version,
                algorithm=choice.name,
                key_id=choice.key_id,
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
        withdraw(self._engine.name)
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
            f"mmhash {__version__} ({state.choice}) in {engine.title} {version}"
            f"{untested}{note}; replaced "
            + (", ".join(map(engine.short, installation.replaced)) or "nothing")
        )


def _shown(option: object) -> str:
    return repr(str(option)) if isinstance(option, Choice) else repr(option)


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
