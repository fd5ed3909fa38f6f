"""Processes of one server that hash differently hear of it when they start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_engine import FakeEngine
from subprocesses import run_python

from mmhash.engines.adapter import Adapter
from mmhash.engines.agreement import variable_of

INSTALL = (
    "import sys, os, subprocess; sys.path.insert(0, sys.argv[1])\n"
    "from fake_engine import FakeEngine\n"
    "from mmhash.engines.adapter import Adapter\n"
    "Adapter(FakeEngine()).install(algorithm=sys.argv[2])\n"
    "if sys.argv[3:]: subprocess.run([sys.executable, '-c', sys.orig_argv[2], *sys.argv[1:2], "
    "*sys.argv[3:]])\n"
)
TOLD = variable_of("fake")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Adapter]:
    monkeypatch.delenv(TOLD, raising=False)
    made = Adapter(FakeEngine())
    yield made
    made.uninstall()


def started(*algorithms: str) -> str:
    """What a process that hashes by the first says, and its child, which hashes by the second."""
    done = run_python(INSTALL, Path(__file__).parent, *algorithms)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_child_that_hashes_by_another_algorithm() -> None:
    assert "disagree" not in started("blake3", "blake3")
    said = started("blake3", "sha256")
    (line,) = (each for each in said.splitlines() if "disagree" in each)
    assert line.startswith("ERROR")
    assert "hashes with sha256, mmhash" in line
    assert "with blake3, mmhash" in line


def test_a_grandchild_is_compared_with_its_own_parent() -> None:
    assert started("blake3", "blake3", "sha256").count("disagree") == 1
    assert started("blake3", "sha256", "sha256").count("disagree") == 1


def test_one_process_may_change_its_mind(
    adapter: Adapter, capfd: pytest.CaptureFixture[str]
) -> None:
    for algorithm in ("blake3", "sha256"):
        adapter.install(algorithm=algorithm)
        assert algorithm in os.environ[TOLD]
        adapter.uninstall()
        assert TOLD not in os.environ
    assert "disagree" not in capfd.readouterr().err


def test_what_another_process_told_is_left_to_it(
    adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter.install()
    monkeypatch.setenv(TOLD, "1: xxh3, mmhash 0.0.1")
    adapter.uninstall()
    assert os.environ[TOLD] == "1: xxh3, mmhash 0.0.1"
