"""What the kernel may be given: every length, alignment, layout and dtype, to beyond 4 GiB."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
import strategies
import torch
from hypothesis import strategies as st
from reference import DTYPES

import mmhash

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("cuda_algorithm")]
LEAF = 8192
BOUNDARIES = sorted(
    {
        max(ahead + edge + step, 0)
        for edge in (0, 1, 3, 8, 16, 128, 240, 1024, LEAF)
        for step in (-1, 0, 1)
        for ahead in (0, LEAF, 5 * LEAF)
    }
    | {LEAF * leaves + step for leaves in (511, 512, 513, 514, 1025) for step in (-1, 0, 1)}
    | {LEAF * 512 + LEAF * leaves for leaves in range(1, 18)}
)


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    """9 MiB of random bytes on the GPU."""
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, 9 << 20, np.uint8)).cuda()


def assert_same(tensor: torch.Tensor) -> None:
    expected = mmhash.identity(tensor.cpu())
    assert mmhash.identity(tensor) == expected
    assert mmhash.identity_async(tensor).result() == expected


def test_lengths(noise: torch.Tensor) -> None:
    for size in BOUNDARIES:
        assert_same(noise[:size])


@pytest.mark.parametrize("offset", range(1, 16))
def test_unaligned_slices(noise: torch.Tensor, offset: int) -> None:
    for size in (
        1,
        15,
        16,
        17,
        100,
        240,
        241,
        3000,
        LEAF,
        LEAF + 1,
        LEAF + 300,
        3 * LEAF,
        4_500_000,
    ):
        assert_same(noise[offset : offset + size])


def test_one_length_after_another(noise: torch.Tensor) -> None:
    """Buffers that are used again hold what was there before, and counters must not."""
    rng = np.random.default_rng(2)
    for _ in range(300):
        size, offset = int(rng.integers(1, 8 << 20)), int(rng.integers(0, 1 << 20))
        assert_same(noise[offset : offset + size])


def on_gpu(tensor: torch.Tensor) -> torch.Tensor:
    """The same layout over a copy of the same storage."""
    flat = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).cuda()
    placed = torch.empty(0, dtype=tensor.dtype, device="cuda")
    layout = tensor.storage_offset(), tensor.shape, tensor.stride()
    return placed.set_(flat.untyped_storage(), *layout)


@hypothesis.given(st.data())
def test_any_layout(data: st.DataObject) -> None:
    tensor = data.draw(strategies.torch_tensors(aligned=True))
    views = [tensor]
    if tensor.is_complex():
        views.append(tensor.conj())
    if not (tensor.dtype == torch.bool or str(tensor.dtype).startswith("torch.float8")):
        views.append(torch._neg_view(tensor))
    placed = on_gpu(tensor)
    for view in views:
        other = placed.conj() if view.is_conj() else placed
        other = torch._neg_view(other) if view.is_neg() else other
        assert mmhash.identity(other) == mmhash.identity(view)


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_layouts_of_several_leaves(noise: torch.Tensor, dtype: str) -> None:
    elements = (noise & 1 if dtype == "bool" else noise).view(getattr(torch, dtype))
    table = elements[: 300 * 401].reshape(300, 401)
    for view in (
        table.T,
        table[:, ::3],
        table[::2],
        table[5:-7, 3:-5],
        table[:1].expand(70, -1),
        table.as_strided((50, 60, 70), (3, 401, 1)),
        table.flatten()[::2],
        table.reshape(2, 150, 401).permute(2, 0, 1),
        elements[: 2**6 * 3000].reshape(2, 2, 2, 2, 2, 2, 3000).permute(5, 3, 1, 6, 0, 2, 4),
    ):
        assert_same(view)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "float16", "int32", "uint8"])
def test_lazy_bits_of_nan_and_negative_zero(noise: torch.Tensor, dtype: str) -> None:
    """The sign bit is flipped whatever the number is; torch's own arithmetic changes NaNs."""
    tensor = noise[: 1 << 18].view(getattr(torch, dtype))
    on_cpu = tensor.cpu()
    for view in (lambda t: torch._neg_view(t), lambda t: torch._neg_view(t[::3])):
        assert mmhash.identity(view(tensor)) == mmhash.identity(view(on_cpu))
    if tensor.is_complex():
        for view in (
            lambda t: t.conj(),
            lambda t: t.conj()[1::2],
            lambda t: t.conj().imag,
            lambda t: torch._neg_view(t.conj()),
        ):
            assert mmhash.identity(view(tensor)) == mmhash.identity(view(on_cpu))


def test_too_many_dimensions_are_copied() -> None:
    shape = [2] * 12 + [1] * 52
    tensor = torch.arange(2**12).reshape(shape).cuda()
    assert_same(tensor.permute(*reversed(range(64))))


@pytest.mark.parametrize("size", [(4 << 30) + 3 * LEAF, (4 << 30) + 1, (8 << 30) + 4097])
def test_beyond_4_gib(size: int) -> None:
    """Of a value that repeats, which the CPU need not hold: one leaf's digest over and over."""
    if torch.cuda.mem_get_info()[0] < size + (1 << 30):
        pytest.skip("less than 9 GiB of the GPU's memory are free")
    row = torch.arange(251, dtype=torch.uint8, device="cuda").repeat(1 + size // 251)[:size]
    assert mmhash.identity(row) == copied(row)
    expanded = torch.arange(1 << 15, dtype=torch.uint8, device="cuda").expand((1 << 17) + 1, -1)
    assert mmhash.identity(expanded) == copied(expanded)


def copied(tensor: torch.Tensor) -> bytes:
    mmhash._core.set_device_path("pinned_copy")
    try:
        return mmhash.identity(tensor)
    finally:
        mmhash._core.set_device_path("auto")


def test_inference_mode() -> None:
    with torch.inference_mode():
        tensor = torch.arange(100_000, device="cuda")
        assert_same(tensor)
        assert_same(tensor[::2])


def test_a_released_storage() -> None:
    tensor = torch.ones(100_000, device="cuda")
    tensor.untyped_storage().resize_(0)
    with pytest.raises(TypeError, match=r"released|beyond its storage"):
        mmhash.identity(tensor)
    tensor = torch.ones(100_000, device="cuda")
    tensor.untyped_storage().resize_(1000)
    with pytest.raises(TypeError, match="beyond its storage"):
        mmhash.identity(tensor)
