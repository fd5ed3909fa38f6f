"""Layouts of several MiB: where the gather by blocks, the tree and the thread pool meet.

Each is a layout that serving code makes, or one at which a gather can go wrong: a run longer than a
staging block, one that no power of two divides, one element a run, no dimension to merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import reference
import torch
from reference import DTYPES, payload
from strategies import Array
from vectors import numpy_dtype

import mmhash

MIB = 1 << 20


def base(dtype: str, *shape: int) -> Array:
    data = payload(77, int(np.prod(shape)) * DTYPES[dtype])
    if dtype == "bool":
        data = (np.frombuffer(data, np.uint8) & 1).tobytes()
    return np.frombuffer(data, numpy_dtype(dtype)).reshape(shape)


def field_of_packed_records() -> Array:
    """Elements of 4 bytes at a stride of 7: no element but the first is aligned."""
    records = np.dtype({"names": ["x"], "formats": ["<f4"], "offsets": [3], "itemsize": 7})
    return np.frombuffer(payload(5, 7 * 600_001), records)["x"]


def qwen_patches() -> Array:
    """Qwen2.5-VL's patch order of an image of 30 by 22 patch pairs, as a view: nine dimensions."""
    frames = base("float32", 2, 3, 60 * 14, 22 * 14)
    split = frames.reshape(1, 2, 3, 30, 2, 14, 11, 2, 14)
    return split.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)


LAYOUTS: dict[str, Callable[[], Array]] = {
    "contiguous": lambda: base("float32", 1100, 1100),
    "transposed": lambda: base("float32", 1000, 1231).T,
    "transposed-uint8": lambda: base("uint8", 2011, 1999).T,
    "transposed-complex128": lambda: base("complex128", 509, 521).T,
    "transposed-bfloat16": lambda: base("bfloat16", 1024, 1792).T,
    "chw-of-hwc": lambda: base("uint8", 1120, 1003, 3).transpose(2, 0, 1),
    "hwc-of-chw": lambda: base("float32", 3, 611, 611).transpose(1, 2, 0),
    "qwen-patches": qwen_patches,
    "every-second-column": lambda: base("float16", 1024, 4096)[:, ::2],
    "every-second-row": lambda: base("float32", 512, 4099)[::2],
    "cropped": lambda: base("uint8", 1500, 3000)[13:-13, 17:-19],
    "rows-longer-than-a-staging-block": lambda: base("uint8", 16, 300_007)[:, 1:-1],
    "rows-of-one-leaf": lambda: base("uint8", 512, 8193)[:, :8192],
    "backwards": lambda: base("int64", 400_003)[::-1],
    "upside-down": lambda: base("uint8", 2000, 1501)[::-1],
    "mirrored": lambda: base("int16", 1000, 1501)[:, ::-1],
    "rotated-by-180": lambda: base("uint8", 1001, 1502, 3)[::-1, ::-1],
    "expanded-rows": lambda: np.broadcast_to(base("float32", 1, 5003), (200, 5003)),
    "expanded-columns": lambda: np.broadcast_to(base("float32", 5003, 1), (5003, 200)),
    "expanded-scalar": lambda: np.broadcast_to(base("float64"), (700, 701)),
    "expanded-middle": lambda: np.broadcast_to(base("uint8", 100, 1, 333), (100, 77, 333)),
    "sliding-windows": lambda: np.lib.stride_tricks.sliding_window_view(base("int32", 9000), 101),
    "unaligned": lambda: np.frombuffer(payload(3, 3 * MIB + 1), np.uint8)[1:].view(np.float64),
    "unaligned-transposed": lambda: (
        np.frombuffer(payload(3, 3 * MIB + 3), np.uint8)[3:].view("<c8").reshape(768, -1).T
    ),
    "field-of-packed-records": field_of_packed_records,
    "big-endian": lambda: base("uint32", 1000, 999).astype(">u4"),
    "big-endian-transposed": lambda: base("complex64", 700, 801).astype(">c8").T,
    "fortran-3d": lambda: np.asfortranarray(base("int16", 91, 101, 203)),
    "eight-dimensions-reversed": lambda: base("uint8", 4, 5, 6, 7, 8, 9, 10, 11).T,
    "two-per-dimension": lambda: base("uint8", *(2,) * 22).T,
    "thousands-of-short-rows": lambda: base("uint8", 300_000, 13)[:, 1:12],
    "bool-strided": lambda: base("bool", 2000, 1501)[::-1, ::2],
}


@pytest.fixture(params=LAYOUTS, scope="module")
def layout(request: pytest.FixtureRequest) -> tuple[Array, bytes]:
    array = LAYOUTS[request.param]()
    assert array.nbytes > MIB
    return array, reference.identity(array)


def test_layout(layout: tuple[Array, bytes], isa: str, each_thread_count: Iterator[int]) -> None:
    array, expected = layout
    for count in each_thread_count:
        assert mmhash.identity(array) == expected, f"{count} threads"


def as_torch(array: Array) -> torch.Tensor | None:
    """The same view as a torch tensor; `None` where torch cannot hold it."""
    aligned = all(stride % array.itemsize == 0 and stride >= 0 for stride in array.strides)
    if not aligned or array.dtype.byteorder == ">":
        return None
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_layout_as_torch_tensor(
    layout: tuple[Array, bytes], intake: str, each_thread_count: Iterator[int]
) -> None:
    array, expected = layout
    tensor = as_torch(array)
    if tensor is None:
        pytest.skip("torch has no negative, no broken strides and no big-endian elements")
    for count in each_thread_count:
        assert mmhash.identity(tensor) == expected, f"{count} threads"


LAZY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "conj": lambda t: t.conj(),
    "conj-transposed": lambda t: t.mH,
    "negative": torch._neg_view,
    "negative-conj": lambda t: torch._neg_view(t.conj()),
    "negative-conj-strided": lambda t: torch._neg_view(t.conj()[:, 1::2]),
    "imag-of-conj": lambda t: t.conj().imag,
    "imag-of-conj-transposed": lambda t: t.conj().imag.T,
}


@pytest.mark.parametrize("view", LAZY)
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_lazy_view(
    view: str, dtype: torch.dtype, isa: str, each_thread_count: Iterator[int]
) -> None:
    tensor = torch.from_numpy(base("float64", 800, 402)).view(torch.complex128).to(dtype)
    lazy = LAZY[view](tensor)
    assert lazy.is_conj() or lazy.is_neg()
    expected = reference.identity(lazy)
    for count in each_thread_count:
        assert mmhash.identity(lazy) == expected, f"{count} threads"


def test_results_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    """More threads than leaves, than cores, than blocks: the digest stays."""
    for _ in range(12):
        shape = tuple(int(n) for n in rng.integers(1, 160, size=3))
        array = base("float32", *shape).transpose(rng.permutation(3))
        expected = reference.identity(array)
        for count in (1, 2, 3, 5, 8, 16):
            mmhash.set_num_threads(count)
            assert mmhash.identity(array) == expected, (array.shape, array.strides, count)
