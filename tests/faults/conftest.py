"""Builds the library that makes faults happen, once a session."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from subprocesses import run_python

HERE = Path(__file__).parent
Faulty = Callable[..., str]


@pytest.fixture(scope="session")
def preload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """preload.c, compiled."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("faults are injected by a library that is preloaded on Linux with glibc")
    if "LD_PRELOAD" in os.environ:
        pytest.skip(
            "another library is preloaded, such as a sanitizer's, with an allocator of its own"
        )
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("there is no C compiler: set CC")
    library = tmp_path_factory.mktemp("preload") / "libfaults_preload.so"
    flags = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-fno-builtin", "-shared", "-fPIC")
    subprocess.run([compiler, *flags, "-o", library, HERE / "preload.c", "-ldl"], check=True)
    return library


@pytest.fixture(scope="session")
def faulty(preload: Path) -> Faulty:
    """Runs code in a new interpreter that can import `injected`; returns what it printed."""

    def run(code: str, *arguments: object, timeout: float = 300, **environment: str) -> str:
        done = run_python(
            f"import sys; sys.path.insert(0, {str(HERE)!r})\n{code}",
            *arguments,
            timeout=timeout,
            LD_PRELOAD=str(preload),
            PYTHONMALLOC="malloc",  # so that each object is an allocation
            PYTHONFAULTHANDLER="1",
            **environment,
        )
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    return run
