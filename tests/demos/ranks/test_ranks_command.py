"""`mmhash ranks` as real processes: what it prints, and how it ends when it is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import mmhash
from mmhash.cli import main
from mmhash.demos.ranks import figure
from mmhash.demos.ranks.stopwatch import STAGES
from mmhash.demos.ranks.strategies import STRATEGIES

SMALL = ["--ranks", "2", "--image-size", "56x56", "--requests", "6", "--rounds", "2"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(mmhash.__file__).parents[1])}


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "mmhash", "ranks", *args]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What a real run printed with --json, and its figure."""
    folder = tmp_path_factory.mktemp("run")
    done = subprocess.run(
        command(*SMALL, "--json", "--plot", "figure.svg", "--warm-up", "2"),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return json.loads(done.stdout), (folder / "figure.svg").read_text()


def test_plot(done: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    document, drawn = done
    assert drawn == figure.svg(document)
    assert all(name in drawn for name in STRATEGIES)
    assert "requests/s" in drawn
    figure.save(document, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_json(done: tuple[dict[str, Any], str]) -> None:
    document, _ = done
    assert document["command"] == "mmhash ranks"
    assert document["settings"]["ranks"] == 2
    assert document["settings"]["algorithm"] == "xxh3"
    assert "(mmhash, xxh3)" in document["strategies"][list(STRATEGIES).index("lazy")]["what"]
    assert document["settings"]["image_size"] == "56x56"
    assert document["features"] == {"dtype": "float32", "shape": [16, 1176], "bytes": 75264}
    assert document["environment"]["torch"]
    assert [each["name"] for each in document["strategies"]] == list(STRATEGIES)
    assert document["hashes_agreed"] == len(STRATEGIES) * (6 + 2) * 2
    for each in document["strategies"]:
        assert len(each["rounds"]) == 2
        assert 0 < each["latency"]["p50"] <= each["latency"]["p99"]
        assert each["latency"]["p50"] < each["total"]["p50"] <= each["total"]["p99"]
        assert min(each["rounds"]) <= each["requests_per_s"] <= max(each["rounds"])
        assert min(each["cpu_per_request"].values()) > 0
    timeline = document["timeline"]
    assert list(timeline["strategies"]) == list(STRATEGIES)
    for name, found in timeline["strategies"].items():
        assert list(found["processes"]) == ["sender", "rank 0", "rank 1"]
        stages = {event[0] for events in found["processes"].values() for event in events}
        assert stages <= set(STAGES), name
        assert found["readable"] == sorted(found["readable"])
        for _, start, end in (event for events in found["processes"].values() for event in events):
            assert 0 <= start <= end <= timeline["seconds"]


def test_report(
    done: tuple[dict[str, Any], str],
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Of the run above, but not as JSON."""
    monkeypatch.setattr("mmhash.demos.ranks.run.measure", lambda *_: None)
    monkeypatch.setattr("mmhash.demos.ranks.document.make", lambda *_: done[0])
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["ranks", *SMALL]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "ranks      2, and a sender"
    for name in STRATEGIES:
        assert any(re.fullmatch(rf"{name} .*\d\.\..*\d", line) for line in lines)
        assert any(re.match(f"{name}: .* readable within", line) for line in lines)
    assert sum(line.startswith("rank 1") for line in lines) == len(STRATEGIES)


@pytest.mark.parametrize(
    ("signal_number", "to_group", "status"),
    [(signal.SIGINT, True, 130), (signal.SIGKILL, False, -signal.SIGKILL)],
    ids=["Ctrl-C", "the parent is killed"],
)
def test_ended_from_outside(
    tmp_path: Path, signal_number: int, to_group: bool, status: int
) -> None:
    """The children end; that their shared memory is gone is seen by `nothing_left`."""
    running = subprocess.Popen(
        # It would take an hour.
        command(
            *SMALL,
            "--strategy",
            "eager",
            "--rate",
            "10",
            "--requests",
            "36000",
            "--image-size",
            "560x560",
        ),
        cwd=tmp_path,
        env=ENVIRONMENT | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a process group of its own, as a terminal gives it
    )
    try:
        children = _working_children(running)
        if to_group:
            os.killpg(running.pid, signal_number)
        else:
            running.send_signal(signal_number)
        out, err = running.communicate(timeout=10)
        assert running.returncode == status
        assert out == b""
        assert b"Traceback" not in err
        gone, alive = psutil.wait_procs(children, timeout=10)
        assert alive == []
        assert len(gone) >= 3
        assert list(tmp_path.iterdir()) == []
    finally:
        running.kill()
        running.wait()


def _working_children(running: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """All children, once the sender and both ranks have connections to each other."""
    parent = psutil.Process(running.pid)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert running.poll() is None, running.communicate()
        children: list[psutil.Process] = parent.children(recursive=True)
        # The gloo threads of a rank come with its connections.
        if sum(_threads(child) >= 5 for child in children) >= 2:
            time.sleep(0.5)
            return children
        time.sleep(0.1)
    raise AssertionError("the ranks have not started")


def _threads(process: psutil.Process) -> int:
    try:
        count: int = process.num_threads()
    except psutil.NoSuchProcess:
        return 0
    return count
