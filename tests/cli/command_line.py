"""The command line of a real `mmhash` process, and what a run of it gave."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mmhash

PACKAGE_FOLDER = str(Path(mmhash.__file__).parents[1])


@dataclass(frozen=True)
class Result:
    """What one run of the command wrote, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        assert self.out == "" or self.out.endswith("\n"), f"last line not whole: {self.out!r}"
        return self.out.split("\n")[:-1]


Run = Callable[..., Result]


def command(*args: object) -> list[Any]:
    return [sys.executable, "-m", "mmhash", *(a if isinstance(a, bytes) else str(a) for a in args)]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user: streams are buffered, whatever is set for the tests themselves."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return inherited | {"PYTHONPATH": PACKAGE_FOLDER} | extra
