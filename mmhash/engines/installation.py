"""What an engine's install() returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


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
