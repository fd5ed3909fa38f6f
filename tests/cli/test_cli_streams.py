"""The command among other tools: pipes, devices, closed streams, signals, terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest
import reference
from command_line import Run, command, environment

import mmhash
from mmhash.cli import files
from mmhash.cli.entries import ReadOptions

HI = f"{reference.identity(b'hi').hex()}  -\n"


def test_a_pipe_and_a_redirected_file(process: Run, tmp_path: Path) -> None:
    assert process("hash", "-", input=b"hi").out == HI
    (tmp_path / "file").write_bytes(b"123hi")
    with (tmp_path / "file").open("rb") as file:
        file.seek(3)  # as after `read` in a shell script
        assert process("hash", "-", stdin=file).out == HI
    with (tmp_path / "file").open("rb") as file:
        file.seek(0, os.SEEK_END)
        result = process("hash", "-", stdin=file)
    assert result.out == f"{reference.identity(b'').hex()}  -\n"
    assert (result.status, result.err) == (0, "")


@pytest.mark.parametrize("size", [0, 999, 1000, 1001, 5000])
def test_a_long_pipe_goes_through_a_temporary_file(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "IN_MEMORY", 1000)
    monkeypatch.setattr(files, "PIECE", 100)
    content = os.urandom(size)
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, files._content(pipe) as view:
        assert bytes(view) == content
        assert isinstance(view.obj, bytearray) == (size <= 1000), "stored where it should not be"
        assert mmhash.identity(view) == reference.identity(content)


def test_a_file_is_mapped_not_read(tmp_path: Path) -> None:
    """A file of 1 TiB that is a hole in the disk: it can be mapped, and read whole by no one."""
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    seen = 0
    for entry in files.entries(str(path), ReadOptions()):
        view = entry.load()
        assert isinstance(view, memoryview)
        assert view.nbytes == 1 << 40
        assert view[-1] == 0
        view.release()
        seen += 1
    assert seen == 1


def test_files_without_a_size(cli: Run, tmp_path: Path) -> None:
    path = Path("/proc/sys/kernel/ostype")
    if not path.exists():
        pytest.skip("no /proc here")
    assert path.stat().st_size == 0
    content = path.read_bytes()
    assert cli("hash", path).out == f"{reference.identity(content).hex()}  {path}\n"


def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with subprocess.Popen(
        command("hash", path), env=environment(), stdout=subprocess.PIPE
    ) as running:
        path.write_bytes(b"hi")
        out, _ = running.communicate(timeout=60)
    assert out.decode() == HI.replace("-\n", f"{path}\n")


def test_output_is_utf_8_in_every_locale(process: Run, tmp_path: Path) -> None:
    (tmp_path / "käse.txt").write_bytes(b"hi")
    assert process("hash", "käse.txt", env={"LC_ALL": "C"}).out == HI.replace("-", "käse.txt")
    # Where Python is told not to assume UTF-8, what is no ASCII in a path is bytes.
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    result = process("hash", "käse.txt", env=ascii_only)
    assert result.out == "\\" + HI.replace("-", r"k\xc3\xa4se.txt")
    (tmp_path / "list").write_text(result.out)
    for env in ({}, ascii_only):
        assert process("hash", "--check", "list", env=env).status == 0


def test_a_reader_that_has_gone_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hi")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command("hash", *[tmp_path / "file"] * 50),
        env=environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_full_disk_is_a_failure(process: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hi")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("hash", tmp_path / "file"),
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr.decode() == "mmhash: standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("closed", "status", "out", "err"),
    [
        ("<&-", 1, "", "mmhash: -: Bad file descriptor\n"),
        (">&-", 1, "", "mmhash: standard output: it is closed\n"),
        ("2>&-", 0, HI, ""),
    ],
)
def test_closed_streams(closed: str, status: int, out: str, err: str) -> None:
    shell = f'printf hi | "$0" -m mmhash hash - {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (status, out, err)


def test_an_interrupt_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hi")
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it, so the command waits
    running = subprocess.Popen(
        command("hash", tmp_path / "file", tmp_path / "pipe"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stdout.readline().decode() == HI.replace("-", str(tmp_path / "file"))
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, b"", b"")


SLOW = """
import sys, time
from mmhash.cli import main, records
hash_one = records._hash_one
def slow(*args):
    time.sleep(0.7)
    return hash_one(*args)
records._hash_one = slow
sys.exit(main(sys.argv[1:]))
"""


def on_a_terminal(*arguments: object) -> str:
    """What a process that is connected to a terminal of 80 columns writes there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    running = subprocess.Popen(
        list(map(str, arguments)), env=environment(), stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that the last process has left the terminal
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert running.wait(timeout=60) == 0
    return written.decode()


def test_slow_work_on_a_terminal_shows_a_bar(tmp_path: Path) -> None:
    paths = [tmp_path / f"file-{number}" for number in range(4)]
    for path in paths:
        path.write_bytes(bytes(1000))
    written = on_a_terminal(sys.executable, "-c", SLOW, "hash", *paths)
    assert "file-2:  50%" in written
    assert "1.95k/3.91k" in written
    lines = [part.rpartition("\r")[2] for part in written.split("\r\n")]
    expected = [f"{reference.identity(bytes(1000)).hex()}  {path}" for path in paths]
    assert [line for line in lines if line.strip()] == expected, "the bar got into the lines"
    assert written.endswith("\r" + " " * 79 + "\r"), "the bar was left on the screen"


def test_quick_work_shows_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hi")
    written = on_a_terminal(*command("hash", tmp_path / "file"))
    assert written == HI.replace("-\n", f"{tmp_path / 'file'}\r\n")


def test_slow_work_without_a_terminal_shows_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hi")
    done = subprocess.run(
        [sys.executable, "-c", SLOW, "hash", *[str(tmp_path / "file")] * 2],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == b""


def test_usage(cli: Run) -> None:
    for arguments, message in (
        ([], "usage: mmhash"),
        (["hash"], "the following arguments are required: PATH"),
        (["bogus"], "invalid choice: 'bogus'"),
        (["hash", "--json", "--check", "x"], "not allowed with argument"),
        (["compare", "--repeat", "2"], "expected at least 3, got 2"),
    ):
        result = cli(*arguments)
        assert (result.status, result.out) == (2, "")
        assert message in result.err
    for arguments in (["--help"], ["hash", "--help"], ["compare", "--help"], ["info", "--help"]):
        result = cli(*arguments)
        assert (result.status, result.err) == (0, "")
        assert result.out.startswith("usage: mmhash")


def test_version_and_info(cli: Run) -> None:
    assert cli("--version").out == f"mmhash {mmhash.__version__}\n"
    shown = {line.split()[0]: line.split()[1:] for line in cli("info").lines}
    facts = mmhash.info()
    assert list(shown) == list(facts)
    assert shown["isa"] == [facts["isa"]]
    assert shown["num_threads"] == [str(mmhash.get_num_threads())]
    assert json.loads(cli("info", "--json").out) == json.loads(json.dumps(facts))


def test_a_plain_file_needs_no_numpy(tmp_path: Path) -> None:
    """What a small command costs is what it imports."""
    (tmp_path / "file").write_bytes(b"hi")
    code = """
import sys
before = set(sys.modules)  # also what .pth files have imported
from mmhash.cli import main
main(["hash", sys.argv[1]])
imported = set(sys.modules) - before
heavy = {"numpy", "torch", "PIL", "safetensors", "tqdm", "tempfile", "zipfile"} & imported
heavy |= {name for name in imported if name.startswith("mmhash.demos")}
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "file")],
        env=environment(),
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_array_is_mapped_not_read(tmp_path: Path) -> None:
    """The same of an array."""
    path = tmp_path / "huge.npy"
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(1 << 40,)).flush()
    (entry,) = files.entries(str(path), ReadOptions())
    array = entry.load()
    assert isinstance(array, np.memmap)
    assert array.nbytes == 1 << 40
