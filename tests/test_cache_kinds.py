"""Which memory is cached, what invalidates it, and what only freeze() lets in."""

from __future__ import annotations

import gc
import io
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
from torch._subclasses.fake_tensor import FakeTensorMode

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


def test_read_only_arrays_are_cached() -> None:
    owner = locked(np.arange(SIZE, dtype=np.uint8))
    of_bytes = np.frombuffer(bytes(SIZE), np.float32)
    for array in (owner, owner[1:], owner.reshape(2, -1).T, of_bytes, of_bytes[2:]):
        assert [hashing(array), hashing(array)] == [MISS, HIT]
    assert hashing(owner[:]) == HIT
    owner.flags.writeable = True
    owner[0] += 1
    assert [hashing(owner), hashing(owner)] == [
        {"bypasses": 1, "invalidations": 1, "currsize": -1},
        BYPASS,
    ]


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


def test_nothing_is_kept_alive() -> None:
    x, array = tensor(), locked(np.zeros(LEAST))
    mmhash.identity([x, array])
    frozen = np.zeros(LEAST)
    mmhash.freeze(frozen)
    mmhash.identity(frozen)
    storage = x.untyped_storage()._weak_ref()
    alive = [weakref.ref(value) for value in (x, array, frozen)]
    entries = mmhash.cache_info().currsize
    assert entries == 3
    del x, array, frozen
    gc.collect()
    assert [reference() for reference in alive] == [None] * 3
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
