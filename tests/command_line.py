"""Fixtures that run the command: in this process (fast), and as a real one (streams, signals)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mmhash
from mmhash.cli import main

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


@pytest.fixture
def cli(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Call `main` in this process with these arguments."""

    def run(*args: object) -> Result:
        capfdbinary.readouterr()
        try:
            status = main([os.fsdecode(a) if isinstance(a, bytes) else str(a) for a in args])
        except SystemExit as exit_:  # argparse, on wrong usage
            status = int(exit_.code or 0)
        captured = capfdbinary.readouterr()
        return Result(status, captured.out.decode(), captured.err.decode())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Run:
    """Run `python -m mmhash` in `tmp_path` as a process of its own."""

    def run(*args: object, env: dict[str, str] | None = None, **options: Any) -> Result:
        if "stdin" not in options and "input" not in options:
            options["stdin"] = subprocess.DEVNULL
        done = subprocess.run(
            command(*args),
            cwd=tmp_path,
            env=environment(**(env or {})),
            capture_output=True,
            timeout=60,
            check=False,
            **options,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
