"""Reports of memory that changed, or went away, without a word: see reported_faults.py."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from PIL import Image

import mmhash
from mmhash import identity

LENGTH = 100_000  # elements: enough for the cache to be asked


@pytest.fixture(autouse=True)
def empty_cache(settings_restored: None) -> Iterator[None]:
    mmhash.cache_resize(4096)
    mmhash.cache_clear()
    yield
    mmhash.cache_clear()


def assert_seen(value: object, write: Callable[[], object]) -> None:
    """A write between two calls shows, whether or not the first one was remembered."""
    before = identity(value)
    assert identity(value) == before
    write()
    assert identity(value) == identity(value, cache=False) != before


def test_an_image_over_a_buffer() -> None:
    data = bytearray(400 * 400)
    image = Image.frombuffer("L", (400, 400), data, "raw", "L", 0, 1)
    assert_seen(image, lambda: data.__setitem__(slice(5), b"\1" * 5))
    assert_seen([image], lambda: data.__setitem__(-1, 7))


def test_a_read_only_copy_with_a_writable_base(tmp_path: Path) -> None:
    path = tmp_path / "array"
    np.arange(LENGTH).tofile(path)
    mapped: np.ndarray[Any, Any] = np.memmap(path, dtype=int, mode="r")
    copy = mapped[np.ones(LENGTH, bool)]
    base = copy.base if isinstance(copy.base, np.ndarray) else copy
    assert base.flags.writeable
    assert_seen(copy, lambda: base.__setitem__(0, 99))
    copy.flags.writeable = False
    if base is not copy:
        assert_seen(copy, lambda: base.__setitem__(1, 99))


def test_buffers_of_pickle() -> None:
    sent: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(np.arange(LENGTH), protocol=5, buffer_callback=sent.append)
    memory = [bytearray(buffer.raw()) for buffer in sent]
    for wrap in (memoryview, lambda data: memoryview(data).toreadonly(), pickle.PickleBuffer):
        received = pickle.loads(pickled, buffers=[wrap(data) for data in memory])
        received.flags.writeable = False
        assert_seen(received, lambda: memory[0].__setitem__(3, memory[0][3] ^ 1))


def mapped_checkpoint(path: Path) -> torch.Tensor:
    torch.save({"a": torch.zeros(LENGTH)}, path)
    return torch.load(path, mmap=True)["a"]


def mapped_safetensors(path: Path) -> torch.Tensor:
    safetensors.torch.save_file({"a": torch.zeros(LENGTH)}, path)
    return safetensors.torch.load_file(path)["a"]


def opened_safetensors(path: Path) -> torch.Tensor:
    mapped_safetensors(path)
    with safetensors.safe_open(path, framework="pt") as file:
        return file.get_tensor("a")


def mapped_array(path: Path) -> np.ndarray[Any, Any]:
    np.save(path, np.zeros(LENGTH))
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


def file_of_zeros(path: Path) -> str:
    path.write_bytes(bytes(4 * LENGTH))
    return str(path)


MAPPED: dict[str, Callable[[Path], Any]] = {
    "torch.load": mapped_checkpoint,
    "safetensors": mapped_safetensors,
    "safe_open": opened_safetensors,
    "np.load": mapped_array,
    "view": lambda path: np.asarray(mapped_array(path))[1:],
    "shared": lambda path: torch.from_file(file_of_zeros(path), shared=True, size=LENGTH),
    "private": lambda path: torch.from_file(file_of_zeros(path), shared=False, size=LENGTH),
    "memmap": lambda path: np.memmap(file_of_zeros(path), dtype=np.float32, mode="r"),
}


@pytest.mark.parametrize("name", MAPPED)
def test_a_file_that_is_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.npy"
    value = MAPPED[name](path)
    written = bytearray(path.read_bytes())
    written[len(written) // 2 :] = b"\x40" * (len(written) - len(written) // 2)
    before = identity(value)
    assert identity(value) == before
    with path.open("r+b") as file:
        file.write(written)
    after = identity(value)
    assert after == identity(value, cache=False)
    if name in (
        "np.load",
        "view",
        "shared",
        "memmap",
    ):  # a private mapping may keep what it has read
        assert after != before


IN_INFERENCE_MODE: dict[str, Callable[[torch.Tensor], object]] = {
    "add_": lambda x: x.add_(1),
    "slice": lambda x: x[:10].fill_(1),
    "view": lambda x: x.view(-1).copy_(torch.ones(LENGTH)),
    "detach": lambda x: x.detach().fill_(4),
    "foreach": lambda x: torch._foreach_copy_([x.flatten()], [torch.ones(LENGTH)]),
    "out": lambda x: torch.add(torch.ones(LENGTH), 1, out=x),
}


@pytest.mark.parametrize("name", IN_INFERENCE_MODE)
def test_writes_in_inference_mode(name: str) -> None:
    x = torch.zeros(LENGTH)

    def write() -> None:
        with torch.inference_mode():
            IN_INFERENCE_MODE[name](x)

    assert_seen(x, write)


@pytest.mark.parametrize("written", ["clone", "original"])
def test_copy_on_write(written: str) -> None:
    original = torch.zeros(LENGTH)
    clone = original._lazy_clone()
    zeros = identity(original)
    assert identity(clone) == zeros
    one, other = (clone, original) if written == "clone" else (original, clone)
    assert_seen(one, lambda: one.add_(1))
    assert identity(other) == identity(other, cache=False) == zeros


@pytest.mark.parametrize("shared", [False, True])
def test_a_storage_that_is_freed_and_comes_back(shared: bool) -> None:
    x = torch.zeros(LENGTH)
    if shared:
        x.share_memory_()
    values = (x, x[5:], x[-3:], [x.view(100, -1)])
    zeros = identity(x)
    storage = x.untyped_storage()
    storage.resize_(0)
    for value in values:
        with pytest.raises(TypeError, match=r"released|storage"):
            identity(value)
    if not shared:
        storage.resize_(4 * LENGTH)
        x.fill_(2)
        assert identity(x) == identity(torch.full((LENGTH,), 2.0)) != zeros


def test_a_resize_that_failed() -> None:
    x = torch.tensor([], dtype=torch.int32)
    x.set_(torch.from_numpy(np.array([], dtype=np.int32)).untyped_storage())
    with pytest.raises(RuntimeError, match="not resizable"):
        x.resize_((60, 60, 60))
    if x.numel() == 0:
        assert identity(x) == identity(torch.tensor([], dtype=torch.int32))  # torch has mended it
    else:
        with pytest.raises(TypeError, match="reaches beyond its storage of 0 bytes"):
            identity(x)


@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace")
def test_compiled_functions() -> None:
    found: list[object] = []

    def function(x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        found.extend((identity(y), mmhash.hash_feature(y), mmhash.xxh3_64(y)))
        return y + 1

    compiled = torch.compile(function, backend="eager")
    for factor in (1, 2):
        x = torch.arange(float(LENGTH)) * factor
        compiled(x)
        y = x * 2
        assert found == [identity(y), mmhash.hash_feature(y), mmhash.xxh3_64(y)]
        found.clear()
