"""What a run leaves outside its processes, and its removal, whichever of them is left to do it."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mmhash.demos.ranks import transport


@dataclass(frozen=True)
class RunResources:
    """The names of a run's shared memory begin with `prefix`; its files lie in `folder`."""

    prefix: str
    folder: str

    @classmethod
    def new(cls) -> RunResources:
        """Names that no other run has. Short: macOS allows 31 characters."""
        return cls(f"mmhash-{secrets.token_hex(4)}-", tempfile.mkdtemp(prefix="mmhash-ranks-"))

    @property
    def rendezvous(self) -> str:
        """The file by which ranks find each other."""
        return str(Path(self.folder) / "rendezvous")

    def remove(self) -> None:
        """Remove all of it that is still there."""
        transport.remove_segments(self.prefix)
        shutil.rmtree(self.folder, ignore_errors=True)
