"""Which memory is cached, what invalidates it, and what only freeze() lets in."""

from __future__ import annotations

import array
import ctypes
import gc
import io
import mmap
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cache_counts import BYPASS, HIT, MISS, REPLACED, hashing, tensor
from cache_operations import IN_PLACE, LEAST, THROUGH_NUMPY, VIEWS
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import mmhash

SIZE = 2 * LEAST


@pytest.fixture(autouse=True)
def empty_cache(settings_restored: None) -> Iterator[None]:
    mmhash.cache_resize(4096)
    mmhash.cache_clear()
    yield
    mmhash.cache_clear()


SAME: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "detach": lambda x: x.detach(),
    "view": lambda x: x.view(x.shape),
    "alias": lambda x: x[...],
    "parameter": lambda x: torch.nn.Parameter(x),
    "data": lambda x: x.data,
    "set_": lambda x: torch.empty(0, dtype=x.dtype).set_(x.untyped_storage()).view(x.shape),
    "there and back": lambda x: x.view(torch.uint8).view(x.dtype),
    "transposed twice": lambda x: x.view(2, -1).T.T.reshape(x.shape),
}


@pytest.mark.parametrize("name", SAME)
def test_a_new_tensor_over_the_same_storage(name: str) -> None:
    x = tensor()
    mmhash.identity(x)
    y = SAME[name](x)
    assert hashing(y) == (REPLACED if name == "set_" else HIT)  # set_() counts as a write
    del x
    assert hashing(y) == HIT


@pytest.mark.parametrize("name", [name for name in VIEWS if name not in ("detach", "alias")])
def test_other_views_are_other_entries(name: str) -> None:
    x = tensor(dtype=torch.complex64 if name in ("conj", "imag") else torch.float32, size=2 * SIZE)
    mmhash.identity(x)
    y = VIEWS[name](x)
    if name in ("parameter", "requires_grad"):
        assert hashing(y) == HIT, "the same memory with the same layout"
    else:
        assert hashing(y) == MISS
    assert [hashing(y), hashing(x)] == [HIT, HIT]
    with torch.no_grad():
        x[3] += 1
    assert hashing(x) == REPLACED
    assert hashing(y) == (HIT if name in ("parameter", "requires_grad") else REPLACED)


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("through", ["itself", "a view", "detach()"])
def test_an_in_place_operation_misses(name: str, through: str) -> None:
    x = tensor(1)
    y = {"itself": x, "a view": x[: x.numel() // 2], "detach()": x.detach()}[through]
    mmhash.identity(x)
    IN_PLACE[name](y, 3)
    assert hashing(x) == REPLACED
    assert hashing(x) == HIT


@pytest.mark.parametrize("name", THROUGH_NUMPY)
def test_what_numpy_was_given_is_cached_no_more(name: str) -> None:
    x = tensor(1)
    view = x.view(2, -1)
    mmhash.identity([x, view])
    THROUGH_NUMPY[name](x, 3)
    gone = {"bypasses": 1, "invalidations": 1, "currsize": -1}
    assert [hashing(x), hashing(view), hashing(x)] == [gone, gone, BYPASS]


def test_a_counted_write_is_seen_through_data() -> None:
    """x.data has a counter of its own, which stays at 0."""
    x = tensor()
    alias = x.data
    mmhash.identity(alias.detach())
    mmhash.forget(x)
    mmhash.identity(x)
    x.add_(1)
    assert alias._version == 0
    assert hashing(alias) == REPLACED


def test_other_storage_misses() -> None:
    x = tensor()
    mmhash.identity(x)
    x.data = tensor(1)
    assert hashing(x) == MISS
    x.set_(tensor(2))
    assert hashing(x) == MISS
    torch.utils.swap_tensors(x, y := tensor(3))
    assert [hashing(x), hashing(y)] == [MISS, HIT]
    x.resize_(SIZE)
    assert hashing(x) == MISS
    x.share_memory_()
    assert hashing(x) == BYPASS


def inference() -> torch.Tensor:
    with torch.inference_mode():
        return tensor()


def unpickled() -> torch.Tensor:
    file = io.BytesIO()
    torch.save(tensor(), file)
    return torch.load(io.BytesIO(file.getvalue()))


def mapped() -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data")
        path.write_bytes(bytes(LEAST))
        return torch.from_file(str(path), shared=True, size=LEAST, dtype=torch.uint8)


def private() -> torch.Tensor:
    """Pages that were not written yet show what others write into the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data")
        path.write_bytes(bytes(LEAST))
        return torch.from_file(str(path), shared=False, size=LEAST, dtype=torch.uint8)


def unpickled_mapped() -> torch.Tensor:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data")
        torch.save(tensor(), path)
        return torch.load(path, mmap=True)


def taken() -> torch.Tensor:
    """Its array was taken before it was first hashed, and would write unseen."""
    x = tensor()
    x.numpy()
    return x


def foreign() -> Any:
    return np.frombuffer(bytearray(LEAST), np.uint8)


def locked(array: Any) -> Any:
    array.flags.writeable = False
    return array


CHANGING: dict[str, Callable[[], Any]] = {
    "inference tensor": inference,
    "inference tensor, detached": lambda: inference().detach(),  # it has a counter
    "inference tensor, viewed": lambda: inference().view(-1),
    "from_numpy": lambda: torch.from_numpy(np.zeros(LEAST)),
    "from_dlpack": lambda: torch.from_dlpack(tensor()),
    "frombuffer": lambda: torch.frombuffer(bytearray(LEAST), dtype=torch.int8),
    "mapped file": mapped,
    "torch.load": unpickled,
    "shared memory": lambda: tensor().share_memory_(),
    "writable array": lambda: np.zeros(LEAST),
    "read-only array": lambda: locked(np.zeros(LEAST)),
    "read-only array over bytes": lambda: np.frombuffer(bytes(LEAST), np.float32),
    "private mapped file": private,
    "torch.load, mapped": unpickled_mapped,
    "tensor whose array was taken": taken,
    "read-only view of a writable array": lambda: locked(np.zeros(LEAST)[:]),
    "read-only array over a bytearray": lambda: locked(foreign()),
    "read-only array over a memoryview": lambda: np.frombuffer(memoryview(bytes(LEAST)), np.int8),
    "memoryview": lambda: memoryview(bytes(LEAST)),
}


@pytest.mark.parametrize("name", CHANGING)
def test_what_may_change_unseen_is_cached_only_when_frozen(name: str) -> None:
    value = CHANGING[name]()
    assert [hashing(value), hashing(value)] == [BYPASS, BYPASS]
    mmhash.freeze(value)
    assert [hashing(value), hashing(value)] == [MISS, HIT]
    mmhash.freeze(value)  # again: nothing more
    assert hashing(value) == HIT
    mmhash.forget(value)
    assert hashing(value) == BYPASS
    with mmhash.freeze({"images": [value]}) as given:
        assert given["images"][0] is value
        assert [hashing(value), hashing(value)] == [MISS, HIT]
    assert hashing(value) == BYPASS, "the block has ended"
    with pytest.raises(KeyError, match="in the block"), mmhash.freeze(value):
        raise KeyError("in the block")
    assert hashing(value) == BYPASS


def test_freezing_holds_for_views() -> None:
    array = np.zeros(SIZE, np.uint8)
    mmhash.freeze(array[5:])
    assert [hashing(array), hashing(array), hashing(array[::-1])] == [MISS, HIT, MISS]
    x = inference()
    mmhash.freeze(x)
    with torch.inference_mode():
        assert [hashing(x), hashing(x[...]), hashing(x.view(2, -1).T)] == [MISS, HIT, MISS]
    view = foreign()[:]
    mmhash.freeze(view)
    assert [hashing(view), hashing(view[:])] == [MISS, HIT]
    mmhash.forget(view[::2])
    assert hashing(view) == BYPASS


EXPORTERS: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(LEAST),
    "array.array": lambda: array.array("d", bytes(LEAST)),
    "mmap": lambda: mmap.mmap(-1, LEAST),
    "ctypes": lambda: (ctypes.c_char * LEAST)(),
    "ndarray": lambda: np.zeros(LEAST, np.uint8),
}
SHOWING: dict[str, Callable[[Any], Any]] = {
    "memoryview": memoryview,
    "memoryview of a memoryview": lambda exporter: memoryview(memoryview(exporter)),
    "part": lambda exporter: memoryview(memoryview(exporter).cast("B"))[: LEAST - 8],
    "frombuffer": lambda exporter: np.frombuffer(exporter, np.uint8)[::-1],
    "torch.frombuffer": lambda exporter: torch.frombuffer(exporter, dtype=torch.uint8),
}


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("showing", SHOWING)
def test_forgetting_the_exporter_forgets_what_shows_its_memory(exporter: str, showing: str) -> None:
    owner = EXPORTERS[exporter]()
    value = SHOWING[showing](owner)
    if value.nbytes < LEAST:
        owner, value = EXPORTERS[exporter](), memoryview(owner)
    other = memoryview(bytearray(LEAST))
    mmhash.freeze([value, other])
    before = mmhash.identity(value)
    mmhash.identity(other)
    mmhash.forget(owner)
    memoryview(owner).cast("B")[0:1] = b"\7"
    assert mmhash.identity(value) == mmhash.identity(value, cache=False)
    assert hashing(other) == HIT, "another's memory is still frozen"
    mmhash.forget(other)
    del before


def test_a_promise_within_another() -> None:
    value = np.zeros(LEAST, np.uint8)
    with mmhash.freeze(value):
        with mmhash.freeze(value[1:]):
            assert [hashing(value), hashing(value)] == [MISS, HIT]
        assert hashing(value) == HIT, "the outer block has not ended"
        mmhash.freeze(value)
        mmhash.forget(value)
        assert hashing(value) == BYPASS, "forget() ends them all"
    assert hashing(value) == BYPASS


class Subclass(torch.Tensor):
    pass


BYPASSED: dict[str, Callable[[], Any]] = {
    "subclass": lambda: tensor().as_subclass(Subclass),
    "bytes": lambda: bytes(LEAST),
    "bytearray": lambda: bytearray(LEAST),
}


@pytest.mark.parametrize("name", BYPASSED)
def test_what_is_never_cached(name: str) -> None:
    value = BYPASSED[name]()
    assert [hashing(value), hashing(value)] == [BYPASS, BYPASS]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("pixels", r"cannot take a str; freeze a tensor, an array or a buffer$"),
        (None, r"cannot take a NoneType; "),
        ([1], r"cannot take a int; "),
        (
            bytearray(9),
            r"a bytearray, which cannot be weakly referenced.*freeze a memoryview of it",
        ),
        (np.array(["a"], object), r"of dtype object"),
    ],
)
def test_what_cannot_be_frozen(value: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        mmhash.freeze(value)


READ_ONLY: dict[str, Callable[[], Any]] = {
    "of its own": lambda: locked(np.arange(LEAST, dtype=np.uint8)),
    "a view": lambda: locked(np.zeros(2 * LEAST, np.uint8))[1:],
    "of bytes": lambda: np.frombuffer(bytes(LEAST), np.uint8),
    "of an image": lambda: np.asarray(Image.new("RGB", (512, 512))),
    "broadcast": lambda: np.broadcast_to(np.zeros(8, np.uint8), (LEAST, 8)),
}
THROUGH_THE_FLAG: dict[str, Callable[[Any], object]] = {
    "torch.as_tensor": lambda array: torch.as_tensor(array).fill_(7),
    "torch.from_numpy": lambda array: torch.from_numpy(array).fill_(7),
    "ctypes": lambda array: ctypes.memset(array.ctypes.data, 7, 8),
}


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("name", READ_ONLY)
@pytest.mark.parametrize("write", THROUGH_THE_FLAG)
def test_a_read_only_array_that_another_library_writes(name: str, write: str) -> None:
    """torch, ctypes and OpenCV write through NumPy's flag, and no counter tells."""
    array = READ_ONLY[name]()
    before = mmhash.identity(array)
    assert mmhash.identity(array) == before
    if name == "broadcast":  # overlapping memory, which fill_() refuses
        ctypes.memset(array.ctypes.data, 7, 8)
    else:
        THROUGH_THE_FLAG[write](array)
    assert mmhash.identity(array) != before
    assert mmhash.identity(array) == mmhash.identity(array, cache=False)
    assert hashing(array) == BYPASS


def test_lazy_bits_never_share_an_entry_with_the_base() -> None:
    x = tensor(dtype=torch.complex64) * (1 + 2j)
    lazy = [x.conj(), torch._neg_view(x), torch._neg_view(x.conj())]
    assert [hashing(value) for value in [x, *lazy]] == [MISS] * 4
    assert len({mmhash.identity(value) for value in [x, *lazy]}) == 4
    assert [hashing(value) for value in [x, *lazy]] == [HIT] * 4


MODES: dict[str, Callable[[], Any]] = {
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "device": lambda: torch.device("meta"),
    "FakeTensorMode": lambda: FakeTensorMode(allow_non_fake_inputs=True),
}


@pytest.mark.parametrize("name", MODES)
def test_modes_of_torch(name: str) -> None:
    """What a mode makes of the tensors that an entry needs, it makes no wrong hit of."""
    x = tensor()
    for _ in range(2):
        with MODES[name]():
            assert mmhash.identity(x) == mmhash.identity(x, cache=False)
        alias = x.data
        x.add_(1)
        assert mmhash.identity(alias) == mmhash.identity(x, cache=False)
    if name != "FakeTensorMode":
        mmhash.identity(x)
        with MODES[name]():
            assert hashing(x) == HIT


@pytest.mark.parametrize("transform", [torch.func.grad, torch.vmap, torch.func.functionalize])
def test_transforms_of_torch(transform: Callable[..., Any]) -> None:
    x = tensor()

    def function(y: torch.Tensor) -> torch.Tensor:
        mmhash.identity(x)
        return y.sum()

    transform(function)(torch.ones(3, 3)[0] if transform is torch.func.grad else torch.ones(3, 3))
    alias = x.data
    x.add_(1)
    assert mmhash.identity(alias) == mmhash.identity(x, cache=False)


def refuse_all(*arguments: Any) -> Any:
    raise AssertionError("a mode that cannot stand real tensors")


class Refusing(TorchDispatchMode):
    __torch_dispatch__ = refuse_all


class RefusingFunctions(TorchFunctionMode):
    """But for what hashing without the cache asks."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") in ("is_neg", "is_conj"):
            return function(*args, **(kwargs or {}))
        if getattr(function, "__name__", "") == "untyped_storage":
            self.storages += 1
            if self.storages > 1:  # the first is what hashing without the cache asks
                return function(*args, **(kwargs or {}))
        raise AssertionError("a mode that cannot stand real tensors")

    storages = 0


HOSTILE: dict[str, Callable[[], Any]] = {
    "FakeTensorMode": FakeTensorMode,
    "dispatch": Refusing,
    "functions": RefusingFunctions,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_a_mode_that_raises(name: str, dtype: torch.dtype) -> None:
    """The cache makes nothing fail that works without it, and no wrong hit of what it was told."""
    for cached_before in (False, True):
        x = tensor(dtype=dtype)
        right = mmhash.identity(x, cache=cached_before)
        for value in (x, x.conj()):
            expected = mmhash.identity(value, cache=False)
            with HOSTILE[name]():
                assert mmhash.identity(value) == expected
        assert mmhash.identity(x) == right
        x.add_(1)
        assert mmhash.identity(x) == mmhash.identity(x, cache=False) != right


def test_nothing_is_kept_alive() -> None:
    x, frozen = tensor(), np.zeros(LEAST)
    mmhash.freeze(frozen)
    mmhash.identity([x, frozen])
    storage = x.untyped_storage()._weak_ref()
    alive = [weakref.ref(value) for value in (x, frozen)]
    entries = mmhash.cache_info().currsize
    assert entries == 2
    del x, frozen
    gc.collect()
    assert [reference() for reference in alive] == [None] * 2
    assert torch.UntypedStorage._expired(storage)
    torch.UntypedStorage._free_weak_ref(storage)
    assert mmhash.cache_info().currsize == 0, "entries end with their memory"


def test_entries_stay_as_long_as_any_view_does() -> None:
    x = tensor()
    mmhash.identity([x, x.view(2, -1)])
    alias = x.detach()
    del x
    gc.collect()
    assert mmhash.cache_info().currsize == 2
    assert hashing(alias) == HIT
    del alias
    assert mmhash.cache_info().currsize == 0
