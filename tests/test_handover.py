"""write() and copy(): the bytes of the payload, and the identity of the value, out of one pass."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import contiguous_arrays, strided_arrays, torch_tensors
from subprocesses import python_output
from test_algorithms import ALGORITHMS, by_algorithm, expected

import mmhash
from mmhash import _core

KEY = bytes(range(32))


@pytest.fixture
def fd() -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        yield file.fileno()


def payload_of(value: Any) -> bytes:
    found = reference.as_tensor(value)
    return reference.buffer_bytes(value) if found is None else found[2]


@given(
    value=contiguous_arrays() | strided_arrays() | torch_tensors() | st.binary(max_size=9000),
    chosen=st.sampled_from(ALGORITHMS),
    offset=st.sampled_from((0, 1, 4096)),
)
def test_any_layout(value: Any, chosen: tuple[str, bytes | None], offset: int) -> None:
    name, key = chosen
    wanted, payload = expected(value, name, key), payload_of(value)
    with tempfile.TemporaryFile() as file:
        file.write(b"before")
        found = mmhash.write(file, value, offset=offset, algorithm=name, key=key)
        assert found == wanted
        assert file.tell() == 6, "the file's own position stays"
        assert os.pread(file.fileno(), len(payload) + 1, offset)[: len(payload)] == payload
    memory = bytearray(b"\xaa" * len(payload))
    assert mmhash.copy(memory, value, algorithm=name, key=key) == wanted
    assert memory == payload


@by_algorithm
@pytest.mark.parametrize("size", [8192, 8193, (1 << 20) - 1, (1 << 20) + 1, (9 << 20) + 3])
def test_several_pieces(name: str, key: bytes | None, size: int, fd: int) -> None:
    wide = np.zeros((size, 2), np.uint8)
    wide[:, 1] = np.frombuffer(reference.payload(5, size), np.uint8)
    for value in (wide[:, 1], np.ascontiguousarray(wide[:, 1])):
        wanted = mmhash.identity(value, algorithm=name, key=key)
        os.ftruncate(fd, 0)
        assert mmhash.write(fd, value, algorithm=name, key=key) == wanted
        assert os.pread(fd, size + 1, 0) == value.tobytes()
        memory = torch.zeros(size, dtype=torch.uint8)
        assert mmhash.copy(memory, value, algorithm=name, key=key) == wanted
        assert memory.numpy().tobytes() == value.tobytes()


def test_a_bool_is_written_as_it_is_hashed(fd: int) -> None:
    other = np.array([0, 1, 2, 255] * 3000, np.uint8).view(bool)
    assert mmhash.write(fd, other) == mmhash.identity(other != 0)
    assert os.pread(fd, 5, 0) == b"\0\1\1\1\0"
    memory = bytearray(other.size)
    mmhash.copy(memory, other)
    assert memory == (other != 0).tobytes()


def test_a_file_is_not_shortened(fd: int) -> None:
    os.pwrite(fd, b"0123456789", 0)
    mmhash.write(fd, b"abc", offset=2)
    assert os.pread(fd, 99, 0) == b"01abc56789"


def test_what_is_written_into_memory_is_forgotten() -> None:
    mmhash.cache_resize(16)
    destination, source = torch.zeros(100_000), torch.ones(100_000)
    before = mmhash.identity(destination)
    assert mmhash.copy(destination, source) == mmhash.identity(destination) != before


# What goes wrong.


@pytest.mark.parametrize("size", [3, 5_000_000])
@by_algorithm
def test_a_full_disk(name: str, key: bytes | None, size: int) -> None:
    with Path("/dev/full").open("wb") as full, pytest.raises(OSError, match="No space left"):
        mmhash.write(full, bytes(size), algorithm=name, key=key)


def test_a_limit_that_cuts_a_write_short(tmp_path: Path) -> None:
    """The kernel writes what fits, and refuses the rest."""
    code = """
import resource, sys, mmhash
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
with open(sys.argv[1], "wb") as file:
    try:
        mmhash.write(file, bytes(5_000_000))
    except OSError as error:
        print(error.strerror, file.seek(0, 2))
"""
    assert python_output(code, tmp_path / "file") == "File too large 1500000"


@pytest.mark.parametrize("value", [None, 1, "text", [b"bytes"], {"a": b"bytes"}, object()])
def test_values_that_are_no_payload(value: Any, fd: int) -> None:
    with pytest.raises(TypeError, match=r"expected a tensor, an array or a buffer .* found"):
        mmhash.write(fd, value)
    with pytest.raises(TypeError, match=r"expected a tensor, an array or a buffer .* found"):
        mmhash.copy(bytearray(5), value)
    assert os.fstat(fd).st_size == 0


def test_descriptors_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"kept")
    reading, pipe = os.open(path, os.O_RDONLY), os.pipe()
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            mmhash.write(reading, b"bytes")
        with pytest.raises(OSError, match="Illegal seek"):
            mmhash.write(pipe[1], b"bytes")
        with path.open("ab") as appending, pytest.raises(ValueError, match="mode 'a'"):
            mmhash.write(appending, b"bytes")
        with pytest.raises(OSError, match="Bad file descriptor"):
            mmhash.write(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1, b"bytes")
        with pytest.raises(ValueError, match="negative"):
            mmhash.write(-1, b"bytes")
        with pytest.raises(TypeError):
            mmhash.write(str(path), b"bytes")  # type: ignore[arg-type]
    finally:
        for each in (reading, *pipe):
            os.close(each)
    assert path.read_bytes() == b"kept"


@pytest.mark.parametrize("offset", [-1, 2**63 - 1, 2**63, 2**100])
def test_offsets_that_cannot_be(offset: int, fd: int) -> None:
    with pytest.raises(ValueError, match="offset: expected one from 0"):
        mmhash.write(fd, b"bytes", offset=offset)


def test_an_offset_is_an_index(fd: int) -> None:
    with pytest.raises(TypeError):
        mmhash.write(fd, b"bytes", offset=1.5)  # type: ignore[arg-type]
    assert mmhash.write(fd, b"bytes", offset=np.int64(2)) == mmhash.identity(b"bytes")  # type: ignore[arg-type]


def test_destinations_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="expected 5 bytes as the source has, found 4"):
        mmhash.copy(bytearray(4), b"bytes")
    with pytest.raises(BufferError):
        mmhash.copy(bytes(5), b"bytes")
    with pytest.raises(ValueError, match="read-only"):
        mmhash.copy(np.frombuffer(bytes(5), np.uint8), b"bytes")
    with pytest.raises(TypeError):
        mmhash.copy("bytes", b"bytes")
    with pytest.raises(ValueError, match="expected a contiguous tensor"):
        mmhash.copy(torch.zeros(5, 2, dtype=torch.uint8)[:, 0], b"bytes")
    with pytest.raises((ValueError, BufferError), match="contiguous"):
        mmhash.copy(np.zeros((5, 2), np.uint8)[:, 0], b"bytes")


def test_memory_that_overlaps() -> None:
    memory = np.arange(100, dtype=np.uint8)
    for source in (memory[:50], memory[:99:2][::-1], memory[25:75]):
        with pytest.raises(ValueError, match="not the source's"):
            mmhash.copy(memory[:50], source)
    assert mmhash.copy(memory[50:], memory[:50]) == mmhash.identity(np.arange(50, dtype=np.uint8))


@pytest.mark.parametrize("function", ["write", "copy"])
def test_arguments_of_algorithm(function: str, fd: int) -> None:
    target: Any = fd if function == "write" else bytearray(5)
    with pytest.raises(ValueError, match="found 'md5'"):
        getattr(mmhash, function)(target, b"bytes", algorithm="md5")
    with pytest.raises(ValueError, match="expected 32 bytes"):
        getattr(mmhash, function)(target, b"bytes", algorithm="blake3", key=KEY[:5])


@pytest.mark.cuda
def test_a_tensor_on_a_gpu_is_refused(fd: int) -> None:
    with pytest.raises(TypeError, match=r"not on the CPU; call .cpu\(\) first"):
        mmhash.write(fd, torch.zeros(5, device="cuda"))


def test_a_released_storage() -> None:
    tensor = torch.zeros(5_000)
    tensor.untyped_storage().resize_(0)
    with pytest.raises(TypeError, match="expected a tensor"):
        mmhash.copy(bytearray(20_000), tensor)
    with pytest.raises(TypeError, match="expected a tensor"):
        mmhash.copy(tensor, bytes(20_000))


def test_what_was_written_before_it_failed_is_forgotten() -> None:
    """Of memory that others have hashed in between."""
    mmhash.cache_resize(16)
    destination, source = torch.zeros(30 << 20, dtype=torch.uint8), bytes([1]) * (30 << 20)

    class Failing:
        pieces = 0

        def update(self, data: Any) -> None:
            self.pieces += 1
            if self.pieces == 2:
                mmhash.identity(destination)
            if self.pieces == 3:
                raise MemoryError("no more")

        def digest(self) -> bytes:
            return bytes(32)

    failing = _core.PackageAlgorithm(
        "test", key=None, key_id=None, new_hash=Failing, new_parallel_hash=None, parallel_bytes=0
    )
    with pytest.raises(MemoryError, match="no more"):
        mmhash.copy(destination, source, algorithm=failing)
    assert mmhash.identity(destination) == mmhash.identity(destination, cache=False)


def test_a_package_that_fails_between_two_pieces(fd: int) -> None:
    class Failing:
        def update(self, data: Any) -> None:
            raise MemoryError("no more")

        def digest(self) -> bytes:
            return bytes(32)

    failing = _core.PackageAlgorithm(
        "test", key=None, key_id=None, new_hash=Failing, new_parallel_hash=None, parallel_bytes=0
    )
    with pytest.raises(MemoryError, match="no more"):
        mmhash.write(fd, bytes(50_000), algorithm=failing)
