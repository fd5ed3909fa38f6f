"""The cache with tensors on a GPU: the same promises as on the CPU (tests/test_cache*.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from cache_counts import BYPASS, HIT, MISS, REPLACED, changes, hashing

import mmhash

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("cuda_algorithm")]
SIZE = 1 << 20


@pytest.fixture(autouse=True)
def empty_cache(settings_restored: None) -> Iterator[None]:
    mmhash.cache_resize(4096)
    mmhash.cache_clear()
    yield
    mmhash.cache_clear()


def tensor(value: int = 1) -> torch.Tensor:
    return torch.full((SIZE,), value, dtype=torch.uint8, device="cuda")


def test_a_second_call_hits() -> None:
    x = tensor()
    assert [hashing(x), hashing(x), hashing(x)] == [MISS, HIT, HIT]
    assert mmhash.identity(x) == mmhash.identity(x.cpu())


def test_a_new_tensor_over_the_same_storage_hits() -> None:
    x = tensor()
    assert hashing(x) == MISS
    assert hashing(x.view(SIZE)) == HIT
    assert hashing(x.view(2, -1)) == MISS, "another shape"
    assert hashing(x[1:]) == MISS, "another offset"


@pytest.mark.parametrize(
    "write",
    [
        lambda x: x.add_(1),
        lambda x: x[5:].fill_(9),
        lambda x: x.copy_(torch.zeros(SIZE, dtype=torch.uint8).pin_memory(), non_blocking=True),
        lambda x: torch.add(x, 1, out=x),
        lambda x: x.view(2, -1)[0].zero_(),
    ],
)
def test_a_write_misses(write: Callable[[torch.Tensor], object]) -> None:
    x = tensor()
    assert hashing(x) == MISS
    for _ in range(3):
        write(x)
        assert hashing(x) == REPLACED
        assert hashing(x) == HIT


def test_other_memory_misses() -> None:
    x = tensor(1)
    assert hashing(x) == MISS
    x.data = tensor(2)
    assert hashing(x) == MISS, "entries of the old memory are gone with it"
    x.resize_(2 * SIZE)
    assert "hits" not in hashing(x)


def test_a_used_address_never_hits() -> None:
    """The caching allocator gives out the block that was freed last."""
    addresses = set()
    for i in range(5000):
        x = torch.full((SIZE,), i % 256, dtype=torch.uint8, device="cuda")
        addresses.add(x.data_ptr())
        assert changes(lambda x=x: mmhash.identity(x)) == MISS
        assert changes(lambda x=x: mmhash.identity(x)) == HIT
        if i % 100 == 0:
            assert mmhash.identity(x) == mmhash.identity(x.cpu(), cache=False)
        del x
    assert len(addresses) < 100, "no address was used twice: this has tested nothing"
    assert mmhash.cache_info().currsize == 0


def test_what_torch_does_not_count_is_not_cached() -> None:
    with torch.inference_mode():
        x = tensor()
        assert hashing(x) == hashing(x) == BYPASS
    frozen = mmhash.freeze(x)
    assert [hashing(x), hashing(x)] == [MISS, HIT]
    del frozen
    mmhash.forget(x)
    assert hashing(x) == BYPASS


def test_nothing_is_kept_alive() -> None:
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    x = tensor()
    assert hashing(x) == MISS
    del x
    assert torch.cuda.memory_allocated() == before
    assert mmhash.cache_info().currsize == 0


def test_forget_after_a_replayed_graph() -> None:
    """The documented hole, and its remedy."""
    x = tensor(1)
    x.add_(0)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x.add_(1)
    before = mmhash.identity(x)
    graph.replay()
    torch.cuda.synchronize()
    mmhash.forget(x)
    assert mmhash.identity(x) == mmhash.identity(x.cpu()) != before


def test_a_captured_write_misses() -> None:
    x = tensor()
    mmhash.identity(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x.add_(1)
        with pytest.raises(RuntimeError, match="while a CUDA graph is being captured"):
            mmhash.identity(x)
    graph.replay()
    assert mmhash.identity(x) == mmhash.identity(tensor(2))
