"""Wrong usage is found before anything starts: what was expected, what came, and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmhash.cli import main
from mmhash.demos.ranks import processes, transport
from mmhash.demos.ranks.settings import Settings


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: object) -> None:
        raise AssertionError("processes were started")

    monkeypatch.setattr(processes.Processes, "__init__", start)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--ranks", "0"], "ranks: expected 1 to 64, got 0"),
        (["--ranks", "four"], "argument --ranks: invalid int value: 'four'"),
        (["--images", "0"], "images: expected 1 to 1024, got 0"),
        (["--requests", "0"], "requests: expected 1 to 1000000, got 0"),
        (["--requests", "3", "--rounds", "4"], "rounds: expected 1 to 3, got 4"),
        (["--warm-up", "-1"], "warm-up: expected 0 to 1000000, got -1"),
        (["--in-flight", "1000"], "in-flight: expected 1 to 128, got 1000"),
        (["--rate", "nan"], "rate: expected requests a second, or 0, got nan"),
        (
            ["--strategy", "lazy,fast"],
            "expected all, or some of eager, broadcast, async, lazy, nothing separated by commas, "
            "got 'fast'",
        ),
        (
            ["--image-size", "1120*700"],
            "expected width and height in pixels, such as 1120x700, got '1120*700'",
        ),
        (
            ["--image-size", "1x1000"],
            "expected an image at most 200 times as long as wide, got 1x1000 pixels: crop it",
        ),
        (["--algorithm", "md5"], "argument --algorithm: invalid choice: 'md5'"),
        (["--transport", "tcp"], "argument --transport: invalid choice: 'tcp'"),
        (["--plot", "figure.gif"], "expected a name ending in .png or .svg, got 'figure.gif'"),
        (
            ["--plot", "no/such/folder/figure.svg"],
            "--plot: expected a directory that exists, got no/such/folder: create it",
        ),
    ],
)
def test_wrong_usage(args: list[str], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert _status(args) == 2
    assert message in capfd.readouterr().err


def test_plot_is_a_directory(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figure.svg"
    path.mkdir()
    assert _status(["--plot", str(path)]) == 2
    assert f"--plot: expected a file, {path} is a directory" in capfd.readouterr().err


def test_plot_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    path = tmp_path / "figure.svg"
    assert _status(["--plot", str(path)]) == 2
    assert f"expected a file that can be written, {path} cannot" in capfd.readouterr().err


def test_missing_torch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert _status([]) == 2
    assert (
        "torch is needed to start ranks, and it is not installed: "
        'pip install "multimodal-hash[ranks]"' in capfd.readouterr().err
    )


@pytest.mark.parametrize(
    ("module", "purpose"),
    [("matplotlib.figure", "to draw"), ("PIL.Image", "for the features of images")],
)
def test_missing_package(
    module: str, purpose: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    assert _status(["--plot", "figure.svg"]) == 2
    error = capfd.readouterr().err
    assert f"{module.partition('.')[0]} is needed {purpose}, and it cannot be imported" in error
    assert 'pip install "multimodal-hash[ranks]"' in error


def test_too_little_shared_memory(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(transport, "free_bytes", lambda: 64 << 20)
    assert _status([]) == 2
    error = capfd.readouterr().err
    assert "expected 151 MB of shared memory, found 67 MB free in /dev/shm: lower" in error
    assert "--transport pickle" in error


def test_settings_from_python() -> None:
    with pytest.raises(ValueError, match="transport: expected one of shm, pickle, got 'tcp'"):
        Settings((), (16, 1176), transport="tcp")
    with pytest.raises(ValueError, match="copy: expected one of map, write, got 'fast'"):
        Settings((), (16, 1176), copy="fast")


def _status(args: list[str]) -> int:
    try:
        return main(["ranks", *args])
    except SystemExit as exit_:  # argparse
        return int(exit_.code or 0)
