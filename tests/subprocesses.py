"""Runs Python code in a fresh interpreter that can import `mmhash` and the tests' helpers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mmhash

IMPORT_PATH = [str(Path(mmhash.__file__).parents[1]), str(Path(__file__).parent)]


def run_python(
    code: str, *args: object, timeout: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `code` and wait. `MMHASH_*` variables are only those given here; the cache is off."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MMHASH_")}
    inherited["MMHASH_CACHE_SIZE"] = "0"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        env=inherited | {"PYTHONPATH": os.pathsep.join(IMPORT_PATH)} | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python_output(code: str, *args: object, timeout: float = 120, **environment: str) -> str:
    """What `code` printed. It must have ended with status 0."""
    done = run_python(code, *args, timeout=timeout, **environment)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()
