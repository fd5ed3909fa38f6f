"""Files that hold more than one reader sees: what is not read is said, and the status is 1."""

from __future__ import annotations

import io
import re
import shlex
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import reference
import torch
from command_line import Run, environment
from safetensors.torch import save_file

A, B = np.ones(3), np.arange(4.0)
LOCAL, CENTRAL, END = "<4s5H3L2H", "<4s6H3L5H2L", "<4s4H2LH"

Files = dict[str, bytes]


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def zipped(*members: tuple[str, bytes], comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = comment
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def zipped_by_hand(content: bytes, packed: bytes, local_size: int) -> bytes:
    """One deflated member, whose own header says `local_size`."""
    name, crc = b"a.npy", zlib.crc32(content)
    sizes = (crc, len(packed), local_size, len(name), 0)
    local = struct.pack(LOCAL, b"PK\3\4", 20, 0, 8, 0, 0, *sizes) + name + packed
    sizes = (crc, len(packed), len(content), len(name), 0)
    central = struct.pack(CENTRAL, b"PK\1\2", 20, 20, 0, 8, 0, 0, *sizes, 0, 0, 0, 0, 0) + name
    return local + central + struct.pack(END, b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)


def deflated(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(content) + compressor.flush()


def with_a_member_no_directory_names() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in (("a.npy", A), ("hidden.npy", B), ("b.npy", B)):
            archive.writestr(name, npy(array))
        del archive.filelist[1], archive.NameToInfo["hidden.npy"]
    return file.getvalue()


def overlapping() -> bytes:
    """Two members of one content: the second entry of the directory points to the first member."""
    content = bytearray(zipped(("a.npy", npy(A)), ("b.npy", npy(A))))
    second = content.rindex(b"PK\1\2")
    content[second + 42 : second + 46] = bytes(4)
    content[second + 46 : second + 51] = b"a.npy"
    return bytes(content)


def entry(name: str, dtype: str, count: int, start: int) -> str:
    end = start + count * int(dtype[1:]) // 8
    return f'"{name}":{{"dtype":"{dtype}","shape":[{count}],"data_offsets":[{start},{end}]}}'


def tensors(size: int, *entries: str) -> bytes:
    """A .safetensors file with these entries in its header and `size` bytes of elements."""
    header = "{" + ",".join(entries) + "}"
    return len(header).to_bytes(8, "little") + header.encode() + bytes(size)


GOOD = zipped(("a.npy", npy(A)), ("b.npy", npy(B)))

# The file, its content, the names whose values are hashed all the same, and what is said.
UNREAD: list[tuple[str, Callable[[], bytes], list[str], str]] = [
    ("behind.npy", lambda: npy(A) + npy(B), [""], "expected one array, 160 bytes behind it"),
    (
        "twice.npz",
        lambda: zipped(("a.npy", npy(A)), ("a.npy", npy(B)), ("b.npy", npy(B))),
        ["b"],
        r": a: expected one member of this name, found 'a\.npy', 'a\.npy'",
    ),
    (
        "suffix.npz",
        lambda: zipped(("a", npy(A)), ("a.npy", npy(B))),
        [],
        r": a: expected one member of this name, found 'a', 'a\.npy'",
    ),
    ("before.npz", lambda: b"junk" + GOOD, ["a", "b"], r"the bytes from 0 to 4 belong to none"),
    ("two.npz", lambda: GOOD + GOOD, ["a", "b"], "the bytes from 0 to .* belong to none"),
    ("after.npz", lambda: GOOD + b"junk", ["a", "b"], "the bytes from .* belong to none"),
    (
        "comment.npz",
        lambda: zipped(("a.npy", npy(A)), comment=b"behind"),
        ["a"],
        "the bytes from .* belong to none",
    ),
    (
        "hidden.npz",
        with_a_member_no_directory_names,
        ["a", "b"],
        "the bytes from 187 to .* belong to none",
    ),
    ("overlap.npz", overlapping, [], "overlap|more than one|contradicts"),
    (
        "behind-member.npz",
        lambda: zipped(("a.npy", npy(A) + b"more"), ("b.npy", npy(B))),
        ["b"],
        ": a: expected one array, 4 bytes behind it were not read",
    ),
    (
        "behind-deflated.npz",
        lambda: zipped_by_hand(npy(A), deflated(npy(A)) + b"more", len(npy(A))),
        [],
        ": a: .*holds more behind its compressed data",
    ),
    (
        "contradiction.npz",
        lambda: zipped_by_hand(npy(A), deflated(npy(A)), len(npy(A)) - 8),
        [],
        r"the header of member 'a\.npy' contradicts the archive's directory",
    ),
    ("empty.npz", zipped, [], "expected at least one array, found none; to hash its bytes: "),
    (
        "empty.safetensors",
        lambda: tensors(0),
        [],
        "expected at least one tensor, found none; to hash its bytes: ",
    ),
    (
        "twice.safetensors",
        lambda: tensors(8, entry("x", "F32", 2, 0), entry("x", "I64", 1, 0)),
        [],
        "the header names 'x' more than once",
    ),
    (
        "overlap.safetensors",
        lambda: tensors(8, entry("x", "F32", 2, 0), entry("y", "I64", 1, 0)),
        [],
        "expected a .safetensors file.*invalid offset",
    ),
    (
        "hole.safetensors",
        lambda: tensors(8, entry("x", "F32", 1, 4)),
        [],
        "expected a .safetensors file.*invalid offset",
    ),
    (
        "behind.safetensors",
        lambda: tensors(8, entry("x", "F32", 1, 0)),
        [],
        "expected a .safetensors file.*not fully covered",
    ),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("name", "make", "hashed", "message"), UNREAD, ids=[u[0] for u in UNREAD])
def test_what_is_not_read_is_said(
    cli: Run, tmp_path: Path, name: str, make: Callable[[], bytes], hashed: list[str], message: str
) -> None:
    path, plain = tmp_path / name, tmp_path / "plain"
    path.write_bytes(make())
    plain.write_bytes(b"hi")
    result = cli("hash", path, plain)
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"mmhash: {path}: ")
    assert re.search(message, line), line
    assert [text.split("\t")[1] for text in result.lines[:-1]] == hashed
    assert result.lines[-1] == f"{reference.identity(b'hi').hex()}  {plain}"


class Unseekable(io.RawIOBase):
    """A pipe: who writes a zip into it puts sizes and checksum behind each member."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.content += data
        return len(data)


@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_out_of_a_pipe_is_whole(
    cli: Run, tmp_path: Path, method: int, zip64: bool
) -> None:
    pipe = Unseekable()
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[call-overload]
        for name, array in (("a.npy", A), ("b.npy", B)):
            with archive.open(name, "w", force_zip64=zip64) as member:
                member.write(npy(array))
    path = tmp_path / "a.npz"
    path.write_bytes(pipe.content)
    result = cli("hash", path)
    assert (result.status, result.err) == (0, "")
    assert [text[:32] for text in result.lines] == [reference.identity(x).hex() for x in (A, B)]


def saved(value: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def changed(
    content: bytes, add: Files, method: Callable[[str], int] = lambda _: 0, tail: bytes = b""
) -> bytes:
    """A checkpoint packed anew: further records, others compressed, bytes behind the pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            data = old.read(name) + (tail if name.endswith("/data.pkl") else b"")
            new.writestr(name, data, method(name))
        for name, data in add.items():
            new.writestr(name, data)
    return file.getvalue()


CHECKPOINT = saved({"a": torch.ones(3), "b": torch.zeros(5)})

CHECKPOINTS: list[tuple[str, Callable[[], bytes], int, str]] = [
    (
        "a record nothing refers to",
        lambda: changed(CHECKPOINT, {"archive/data/7": bytes(9)}),
        2,
        "'archive/data/7' was not read",
    ),
    (
        "a record outside",
        lambda: changed(CHECKPOINT, {"other/data/0": bytes(9)}),
        0,
        "file in archive is not in a subdirectory",
    ),
    (
        "a record twice",
        lambda: changed(CHECKPOINT, {"archive/data/0": bytes(12)}),
        0,
        "expected one record a name, found more of 'archive/data/0'",
    ),
    (
        "a compressed record",
        lambda: changed(CHECKPOINT, {}, lambda n: 8 * n.endswith("data/0")),
        0,
        "expected stored records, 'archive/data/0' is compressed",
    ),
    (
        "behind the pickle",
        lambda: changed(CHECKPOINT, {}, tail=b"more"),
        2,
        "expected one pickle in data.pkl, 4 bytes behind it were not read",
    ),
    ("two archives", lambda: CHECKPOINT * 2, 2, "the bytes from 0 to .* belong to none"),
    (
        "two values, before torch 1.6",
        lambda: saved(torch.ones(3), False) * 2,
        1,
        "expected one value, .* bytes behind it were not read",
    ),
]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("make", "values", "message"), [c[1:] for c in CHECKPOINTS], ids=[c[0] for c in CHECKPOINTS]
)
def test_what_of_a_checkpoint_is_not_read_is_said(
    cli: Run, tmp_path: Path, make: Callable[[], bytes], values: int, message: str
) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(make())
    result = cli("hash", path)
    assert (result.status, len(result.lines)) == (1, values)
    (line,) = result.err.splitlines()
    assert re.search(message, line), line
    if values == 2:
        good = tmp_path / "good.pt"
        good.write_bytes(CHECKPOINT)
        expected = cli("hash", good)
        assert (expected.status, expected.err) == (0, "")
        assert [x[:32] for x in result.lines] == [x[:32] for x in expected.lines]


def test_a_list_does_not_confirm_what_hash_would_refuse(cli: Run, tmp_path: Path) -> None:
    path, identities = tmp_path / "a.npy", tmp_path / "list"
    path.write_bytes(npy(A))
    identities.write_text(cli("hash", path).out)
    path.write_bytes(npy(A) + npy(B))
    result = cli("hash", "--check", identities)
    assert result.status == 1
    assert "FAILED (expected one array, 160 bytes behind it" in result.out


@pytest.mark.parametrize("zipped", [True, False])
def test_arrays_of_numpy_in_a_checkpoint(cli: Run, tmp_path: Path, zipped: bool) -> None:
    values = {
        "plain": np.ones(3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "big-endian": np.arange(3, dtype=">i4"),
        "truth": np.array([True, False]),
        "complex": np.array([1 + 2j], np.complex64),
        "empty": np.zeros((0, 2), np.float16),
    }
    path = tmp_path / "a.pt"
    allowed = set(torch.serialization.get_safe_globals())
    path.write_bytes(saved(values | {"scalar": np.float64(3), "tensor": torch.ones(2)}, zipped))
    result = cli("hash", path)
    assert (result.status, result.err) == (0, "")
    expected = [reference.identity(value).hex() for value in values.values()]
    expected += [reference.identity(np.array(3.0)).hex(), reference.identity(torch.ones(2)).hex()]
    assert [line[:32] for line in result.lines] == expected
    assert set(torch.serialization.get_safe_globals()) == allowed


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.array([{}], dtype=object), "O8"),
        (np.array(["x"]), "U1"),
        (np.zeros(2, [("a", "i4")]), "V4"),
        (np.zeros(2, "M8[s]"), "M8"),
    ],
)
def test_arrays_in_a_checkpoint_that_are_no_numbers(
    cli: Run, tmp_path: Path, array: Any, text: str
) -> None:
    path = tmp_path / "a.pt"
    torch.save({"a": array}, path)
    result = cli("hash", path)
    assert (result.status, result.out) == (1, "")
    assert f"expected a NumPy dtype of numbers, found '{text}'" in result.err


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_the_remedy_for_a_dtype_that_numpy_does_not_save(
    cli: Run, tmp_path: Path, suffix: str
) -> None:
    array = np.arange(3).astype(ml_dtypes.bfloat16)
    path = tmp_path / f"it's.{suffix}"
    np.save(path, array) if suffix == "npy" else np.savez(path, w=array)
    result = cli("hash", path)
    assert (result.status, result.out) == (1, "")
    assert "2 bytes an element that the file does not name (|V2)" in result.err
    found = re.search(
        r"If they were bfloat16: (python .*); or save them as .safetensors", result.err
    )
    assert found is not None
    _, *arguments = shlex.split(found[1])
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(), capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == reference.identity(torch.arange(3).bfloat16()).hex()


def test_metadata_of_safetensors_is_no_value(cli: Run, tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "a.safetensors", metadata={"by": "me"})
    assert cli("hash", tmp_path / "a.safetensors").status == 0
