"""Files that cannot be hashed: one line of reason each, all others still hashed, exit status 1."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from command_line import Result, Run, environment
from PIL import Image
from safetensors.torch import save_file

from mmhash.cli.entries import parsing


class Evil:
    """Unpickled by an incautious reader, this makes a file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.witness),)


def cut(path: Path, size: int) -> None:
    """Cut a file short; size below 0: by that many bytes."""
    content = path.read_bytes()[:size]
    path.write_bytes(content)


def npy_truncated(path: Path) -> None:
    np.save(path, np.ones(100))
    cut(path, -1)


def npy_of_objects(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def npy_structured(path: Path) -> None:
    np.save(path, np.zeros(3, dtype=[("a", "i4")]))


def npz_truncated(path: Path) -> None:
    np.savez(path, x=np.ones(3))
    cut(path, -10)


def pt_truncated(path: Path) -> None:
    torch.save(torch.ones(3), path)
    cut(path, 300)


def pt_of_code(path: Path) -> None:
    torch.save({"w": torch.ones(3), "x": Evil(path.with_name("witness"))}, path)


def pt_of_script(path: Path) -> None:
    class Doubled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + x

    torch.jit.save(torch.jit.trace(Doubled(), torch.ones(1)), path)


def safetensors_lying(path: Path) -> None:
    header = b'{"x":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))


def jpeg_truncated(path: Path) -> None:
    Image.effect_noise((200, 200), 90).save(path)
    cut(path, 3000)


def garbage(path: Path) -> None:
    path.write_bytes(b"hello, world")


def empty(path: Path) -> None:
    path.touch()


BAD: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing", lambda path: None, "No such file or directory"),
    ("folder.npy", Path.mkdir, r"expected a file, found a directory: name its files, as \S+/\*"),
    ("pipe.npy", os.mkfifo, "expected a regular file, .* found a pipe or device: save its content"),
    (
        "garbage.npy",
        garbage,
        "expected an array in the .npy format.*the magic string is not correct",
    ),
    ("empty.npy", empty, "EOF: reading magic string, expected 8 bytes got 0"),
    ("truncated.npy", npy_truncated, "expected an array.*mmap length is greater than file size"),
    ("objects.npy", npy_of_objects, "expected an array.* Python objects in dtype"),
    ("structured.npy", npy_structured, r"no identity for value: .*\('a', '<i4'\)"),
    ("garbage.npz", garbage, "expected a .npz archive.* not a zip file"),
    ("truncated.npz", npz_truncated, "expected a .npz archive.* not a zip file"),
    ("garbage.pt", garbage, "expected a file of torch.save, but it does not parse"),
    ("empty.pt", empty, r"expected a file of torch.save, but it does not parse \(EOFError\)"),
    ("truncated.pt", pt_truncated, "expected a file of torch.save.* failed reading zip archive"),
    ("code.pt", pt_of_code, r"loading it would call \w*\.?mkdir; nothing of it was run"),
    ("script.pt", pt_of_script, "expected a file of torch.save.* TorchScript"),
    ("garbage.safetensors", garbage, "expected a .safetensors file"),
    ("lying.safetensors", safetensors_lying, "expected a .safetensors file"),
    ("garbage.png", garbage, "expected an image.*cannot identify"),
    ("truncated.jpg", jpeg_truncated, "expected an image.* truncated"),
]


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize(("name", "make", "reason"), BAD, ids=[name for name, _, _ in BAD])
def test_one_bad_file(
    cli: Run, tmp_path: Path, name: str, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / name
    make(path)
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(b"1")
    after.write_bytes(b"2")
    result = cli("hash", before, path, after)
    assert result.status == 1
    (message,) = result.err.splitlines()
    assert message.startswith(f"mmhash: {path}: ")
    assert re.search(reason, message), message
    assert result.lines == [
        f"{reference.identity(content).hex()}  {file}"
        for content, file in ((b"1", before), (b"2", after))
    ]
    assert not (tmp_path / "witness").exists(), "the file's code was run"


def test_the_malicious_file_would_work_on_an_incautious_reader(tmp_path: Path) -> None:
    pt_of_code(tmp_path / "code.pt")
    torch.load(tmp_path / "code.pt", weights_only=False)
    assert (tmp_path / "witness").is_dir()


def test_the_remedy_of_a_file_that_does_not_parse_works(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "it's.npy"
    garbage(path)
    remedy = cli("hash", path).err.strip().rpartition("to hash its bytes: ")[2]
    assert remedy.startswith("mmhash hash - < ")
    shell = remedy.replace("mmhash", f"{sys.executable} -m mmhash", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", shell], env=environment(), capture_output=True, check=True, timeout=60
    )
    assert done.stdout.decode() == f"{reference.identity(b'hello, world').hex()}  -\n"


def test_a_bad_member_spares_the_others(cli: Run, tmp_path: Path) -> None:
    archive, checkpoint = tmp_path / "a.npz", tmp_path / "b.pt"
    good = np.arange(4.0)
    np.savez(archive, bad=np.ones(50), objects=np.array([{}], dtype=object), good=good)
    content = bytearray(archive.read_bytes())
    content[content.index(np.ones(50).tobytes())] ^= 1  # breaks the checksum of `bad`
    archive.write_bytes(content)
    torch.save(
        {"bad": torch.float32, "sparse": torch.eye(2).to_sparse(), "good": good[0].item()},
        checkpoint,
    )
    result = cli("hash", archive, checkpoint)
    assert result.status == 1
    assert result.lines == [
        f"{reference.identity(good).hex()}  {archive}\tgood\tfloat64\t[4]",
        f"{reference.identity(0.0).hex()}  {checkpoint}\tgood\tfloat",
    ]
    expected = [
        rf"mmhash: {archive}: bad: .*CRC.*",
        rf"mmhash: {archive}: objects: expected an array .*Object arrays cannot be loaded .*",
        rf"mmhash: {checkpoint}: bad: no identity for value: a torch.dtype; .*",
        rf"mmhash: {checkpoint}: sparse: no identity for value: .*sparse_coo.*",
    ]
    for message, pattern in zip(result.err.splitlines(), expected, strict=True):
        assert re.fullmatch(pattern, message), message


def test_a_checkpoint_that_contains_itself(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "loop.pt"
    loop: list[Any] = [torch.ones(1)]
    loop.append(loop)
    torch.save(loop, path)
    result = cli("hash", path)
    assert result.status == 1
    assert result.err == (
        f"mmhash: {path}: expected a tree of containers, but [1] contains itself\n"
    )


MISSING = [
    ("a.npy", "numpy", "multimodal-hash[cli]"),
    ("a.npz", "numpy", "multimodal-hash[cli]"),
    ("a.safetensors", "safetensors", "multimodal-hash[cli]"),
    ("a.png", "PIL.Image", "multimodal-hash[cli]"),
    ("a.pt", "torch", "torch"),
]


@pytest.mark.parametrize(("name", "module", "install"), MISSING)
def test_a_missing_package(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, install: str
) -> None:
    path, plain = tmp_path / name, tmp_path / "plain"
    garbage(path)
    garbage(plain)
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    result = cli("hash", path, plain)
    assert result.status == 1
    package = module.partition(".")[0]
    assert result.err.startswith(f"mmhash: {path}: {package} is needed to ")
    assert result.err.endswith(f': pip install "{install}"\n')
    assert result.lines == [f"{reference.identity(b'hello, world').hex()}  {plain}"]


def test_bfloat16_without_torch(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"w": torch.ones(2).bfloat16()}, path)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = cli("hash", path)
    assert (result.status, result.out) == (1, "")
    assert f"mmhash: {path}: torch is needed to read BF16 out of .safetensors files" in result.err


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """The superuser may read every file: be somebody else meanwhile."""
    before = os.geteuid()
    os.seteuid(before or 65534)
    yield
    os.seteuid(before)


@pytest.mark.parametrize("name", ["plain", "a.npy", "a.pt", "a.safetensors", "a.png"])
def test_no_permission(cli: Run, unprivileged: None, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is closed to others
        path = Path(folder, name)
        path.touch(mode=0)
        assert cli("hash", path) == Result(1, "", f"mmhash: {path}: Permission denied\n")


def test_a_failing_disk_is_not_called_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output"), parsing(str(tmp_path), "an array"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_hostile_name_does_not_steer_the_terminal(cli: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"\x1b]0;title\x07": np.ones(1), "\x1b[2J": np.array([{}])})
    result = cli("hash", tmp_path / "a.npz")
    assert result.status == 1
    assert "\\x1b]0;title\\x07" in result.out
    assert "\\x1b[2J" in result.err
    assert "\x1b" not in result.out + result.err
