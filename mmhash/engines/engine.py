"""What an Adapter (adapter.py) asks of an engine, and what it gives to it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mmhash import _core
from mmhash._counters import Counters
from mmhash.engines.patches import Patches


class UnsupportedEngineError(RuntimeError):
    """The installed engine is not as mmhash knows it. Nothing of it was replaced."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Replaced:
    """What an engine tells of its replacements, which are in the Patches that it was given."""

    note: str = ""
    """For the log line, behind the engine's version."""
    report: Mapping[str, object] = field(default_factory=dict)
    """For mmhash.info(), besides the version, the algorithm, the key's id and the counters."""
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
    """Of install(), with what they are where nobody says; algorithm and key are everyone's."""
    logger: ClassVar[logging.Logger]

    @property
    def variable(self) -> str:
        """The environment variable that names the algorithm."""
        return f"MMHASH_{self.name.upper()}_ALGORITHM"

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
        algorithm: _core.Algorithm,
        options: Mapping[str, Any],
        *,
        plugin: bool,
    ) -> Replaced:
        """Puts mmhash in, each replacement through `patches`. What it raises undoes them all.

        What is hashed is hashed by `algorithm`, which has its key, whatever the process's own is.
        `plugin` says that the engine itself has loaded mmhash, through its entry point.
        """

    def short(self, name: str) -> str:
        """A dotted name of what was replaced, for the log line."""
        return name
