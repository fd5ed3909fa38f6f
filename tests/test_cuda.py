"""Tensors on a GPU have the identity of their copy on the CPU, hashed there or copied in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import reference
import torch
import vectors
from reference import DTYPES, payload

import mmhash
from mmhash import _core, _device

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("cuda_algorithm")]
MIB = 1 << 20
Algorithm = tuple[str, bytes | None]


@pytest.fixture(autouse=True, params=["cuda_kernel", "pinned_copy"])
def path(request: pytest.FixtureRequest) -> Iterator[str]:
    """Everything here holds for both ways, and the one that is meant is the one that runs."""
    _core.set_device_path("auto" if request.param == "cuda_kernel" else request.param)
    copies = device_copies()
    yield request.param
    _core.set_device_path("auto")
    if request.param == "cuda_kernel":
        assert device_copies() == copies
        assert mmhash.info()["device_path"] == "cuda_kernel"


def device_copies() -> int:
    slow_paths = mmhash.info()["slow_paths"]
    assert isinstance(slow_paths, dict)
    return int(slow_paths["device_copies"])


def base(*shape: int) -> torch.Tensor:
    n = int(torch.Size(shape).numel())
    return torch.frombuffer(bytearray(payload(5, 8 * n)), dtype=torch.complex64).reshape(shape)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_every_dtype(dtype: str, cuda_algorithm: Algorithm) -> None:
    data = bytes(96) if dtype == "bool" else payload(3, 96)
    tensor = torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype))
    assert mmhash.identity(tensor.cuda()) == reference.identity(tensor, *cuda_algorithm)


@pytest.mark.parametrize("size", [1, 255, 8191, 8192, 100_003, 9 * MIB])
@pytest.mark.parametrize("offset", [0, 1, 15])
def test_bools_of_any_byte(size: int, offset: int, cuda_algorithm: Algorithm) -> None:
    """A bool's byte may be any; all but 0 are true (tests/test_bools.py)."""
    whole = torch.frombuffer(bytearray(payload(3, 2 * (size + offset))), dtype=torch.uint8)
    bools, masks = whole.view(torch.bool), whole.cuda().view(torch.bool)
    for view in (slice(offset, offset + size), slice(2 * offset, None, 2)):
        expected = reference.identity(whole[view] != 0, *cuda_algorithm)
        assert mmhash.identity(bools[view]) == expected
        assert mmhash.identity(masks[view]) == expected


@pytest.mark.parametrize("case", vectors.TENSOR_CASES, ids=str)
def test_vectors(case: vectors.Case, cuda_algorithm: Algorithm) -> None:
    tensor = vectors.as_torch(case)
    assert mmhash.identity(tensor.cuda(), algorithm="xxh3") == case.identity
    assert mmhash.identity(tensor.cuda()) == reference.identity(tensor, *cuda_algorithm)


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda t: t,
    "transposed": lambda t: t.mT,
    "conj": lambda t: t.conj(),
    "negative": torch._neg_view,
    "imag of conj": lambda t: t.conj().imag,
    "strided": lambda t: t[:, ::2, 1:-1],
    "expanded": lambda t: t[:, :1].expand(-1, 40, -1),
    "empty": lambda t: t[:, :0],
    "0-d": lambda t: t[1, 2, 3],
    "requires grad": lambda t: t.detach().requires_grad_(),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shape", [(2, 5, 7), (3, 700, 901)])
def test_views(view: str, shape: tuple[int, ...], cuda_algorithm: Algorithm) -> None:
    tensor = base(*shape)
    expected = reference.identity(VIEWS[view](tensor), *cuda_algorithm)
    assert mmhash.identity(VIEWS[view](tensor.cuda())) == expected
    assert mmhash.hash_feature(VIEWS[view](tensor.cuda())) == reference.hash64(expected)


@pytest.mark.parametrize("step", [-1, 0, 1])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_numbers_of_pieces(count: int, step: int, cuda_algorithm: Algorithm) -> None:
    n = count * _device.PIECE_BYTES + step
    tensor = torch.frombuffer(bytearray(payload(7, n)), dtype=torch.uint8)
    assert mmhash.identity(tensor.cuda()) == reference.identity(tensor, *cuda_algorithm)


def test_within_a_value(cuda_algorithm: Algorithm) -> None:
    tensor = base(3, 4)
    value = {"images": [tensor, b"x"], "n": 1}
    assert mmhash.identity(value | {"images": [tensor.cuda(), b"x"]}) == reference.identity(
        value, *cuda_algorithm
    )


def test_work_that_was_enqueued_before_is_waited_for() -> None:
    """The tensor is read on its current stream, after what was launched there."""
    expected = mmhash.identity(torch.full((64 * MIB,), 9, dtype=torch.uint8))
    for stream in (torch.cuda.current_stream(), torch.cuda.Stream()):
        with torch.cuda.stream(stream):
            tensor = torch.zeros(64 * MIB, dtype=torch.uint8, device="cuda")
            torch.cuda._sleep(200_000_000)
            tensor.fill_(9)
            assert mmhash.identity(tensor) == expected


def test_memory_of_the_gpu() -> None:
    """A strided tensor is made contiguous a piece at a time, never as a whole."""
    tensor = torch.zeros((1 << 14, 1 << 14), dtype=torch.uint8, device="cuda").T
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    mmhash.identity(tensor)
    assert torch.cuda.max_memory_allocated() - before <= 4 * _device.PIECE_BYTES
    assert torch.cuda.memory_allocated() == before


def test_plain_hashes_read_no_gpu() -> None:
    with pytest.raises(TypeError, match=r"not on the CPU.*\.cpu\(\)"):
        mmhash.xxh3_64(torch.ones(3, device="cuda"))


def test_capture_of_a_graph() -> None:
    tensor = torch.ones(1024, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), pytest.raises(RuntimeError, match="captured"):
        mmhash.identity(tensor)
    assert mmhash.identity(tensor) == mmhash.identity(torch.ones(1024))


def test_pinned_memory_is_read_in_place(cuda_algorithm: Algorithm) -> None:
    tensor = torch.arange(1000).pin_memory()
    assert mmhash._core.data_pointer(tensor) == tensor.data_ptr()
    assert mmhash.identity(tensor) == reference.identity(tensor, *cuda_algorithm)


def test_device_copies_are_counted(path: str) -> None:
    before = device_copies()
    mmhash.identity(torch.ones(3, device="cuda"))
    assert device_copies() == before + (path == "pinned_copy")


def test_another_library_on_the_gpu(cuda_algorithm: Algorithm) -> None:
    """What torch can take over without a copy: here CuPy's arrays."""
    cupy = pytest.importorskip("cupy")
    array = cupy.arange(1000, dtype="float32").reshape(10, 100).T
    assert mmhash.identity(array) == reference.identity(cupy.asnumpy(array), *cuda_algorithm)
