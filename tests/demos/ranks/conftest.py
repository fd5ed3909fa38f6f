"""Every test here ends without processes and shared memory of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psutil
import pytest

from mmhash.demos.ranks import transport

pytest.importorskip("torch")


def segments() -> set[str]:
    """The names of all shared memory that `mmhash ranks` uses now."""
    return {path.name for path in transport.SHM_FOLDER.glob("mmhash-*")}


def children() -> set[psutil.Process]:
    """All descendants, but Python's resource tracker, which stays as long as this process."""
    found = psutil.Process().children(recursive=True)
    return {each for each in found if "resource_tracker" not in " ".join(_command(each))}


def _command(process: psutil.Process) -> list[str]:
    try:
        line: list[str] = process.cmdline()
    except psutil.NoSuchProcess:
        return []
    return line


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    shared, processes = segments(), children()
    yield
    end = time.monotonic() + 5
    while (segments() - shared or children() - processes) and time.monotonic() < end:
        time.sleep(0.05)
    assert segments() - shared == set()
    assert children() - processes == set()
