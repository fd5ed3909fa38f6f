"""Ways to run the command: in this process (fast) and as a real process (streams, signals)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import Result, Run, command, environment

from mmhash.cli import main


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
