"""Hypothesis strategies for nested values: every kind of SPEC.md's table and their subclasses."""

from __future__ import annotations

import array
import collections
import ctypes
import enum
import mmap
import struct
import types
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from PIL import Image
from reference import payload
from strategies import contiguous_arrays, dtype_names, seeds, torch_tensors
from vectors import numpy_dtype


class Modality(enum.IntEnum):
    IMAGE = 1
    AUDIO = 2**40


class Kind(str, enum.Enum):
    IMAGE = "image"


class Flag(enum.IntFlag):
    A = 1
    B = 2


class Number(float):
    """A float subclass whose conversions must not be asked."""

    def __float__(self) -> float:
        raise AssertionError("a subclass counts as its base: nothing to convert")


class Text(str):
    pass


class Data(bytes):
    pass


class Grid(NamedTuple):
    t: Any
    h: Any


class Lines(list):  # type: ignore[type-arg]
    pass


class ReadOnly(collections.abc.Mapping[Any, Any]):
    """A mapping that is no dict, as BatchFeature of the engines' processors is none."""

    def __init__(self, data: dict[Any, Any]) -> None:
        self.data = data

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __iter__(self) -> Any:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


def from_bits(bits: int) -> float:
    """The double of these bits: NaNs of any payload and sign among them."""
    return struct.unpack("<d", struct.pack("<Q", bits))[0]  # type: ignore[no-any-return]


integers = (
    st.integers()
    | st.integers(-(2**200), 2**200)
    | st.integers(0, 4200).flatmap(
        lambda n: st.sampled_from((2**n - 1, 2**n, -(2**n), -(2**n) - 1))
    )
    | st.sampled_from((*Modality, *Flag, Flag.A | Flag.B))
)
floats = st.floats() | st.integers(0, 2**64 - 1).map(from_bits)
nans = st.integers(1, 2**52 - 1).flatmap(
    lambda bits: st.sampled_from((0x7FF, 0xFFF)).map(lambda top: from_bits(top << 52 | bits))
)
complexes = st.builds(complex, floats | nans, floats | nans)
# With lone surrogates, as os.fsdecode and broken JSON give them.
texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    (*Kind, Text("image"), "\ud800", "\udfff\ud800", "\U0010ffff", "a\0b", "é" * 4096, "x" * 8192)
)
scalars = (
    st.none()
    | st.booleans()
    | integers
    | floats
    | nans
    | floats.map(Number)
    | complexes
    | texts
    | st.binary().map(Data)
)


def mapped(data: bytes) -> mmap.mmap:
    region = mmap.mmap(-1, max(len(data), 1))
    region[: len(data)] = data
    return region


def strided_memoryview(data: bytes, step: int) -> memoryview:
    return memoryview(data)[::step]


@st.composite
def memoryviews(draw: st.DrawFn) -> memoryview:
    """Views of several dimensions, cast or sliced: their bytes in C order count."""
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    data = payload(draw(seeds), int(np.prod(shape)) * 8)
    view = memoryview(data).cast(draw(st.sampled_from("qQd")), shape)
    if draw(st.booleans()):
        axes = draw(st.permutations(range(len(shape))))
        steps = [slice(None, None, draw(st.sampled_from((1, 2, -1, -2)))) for _ in shape]
        view = memoryview(np.asarray(view).transpose(axes)[tuple(steps)])
    return view


buffers = (
    st.binary(max_size=300)
    | st.binary(max_size=300).map(bytearray)
    | st.binary(max_size=300).map(mapped)
    | st.integers(8000, 20000).flatmap(lambda n: seeds.map(lambda seed: payload(seed, n)))
    | st.builds(strided_memoryview, st.binary(), st.sampled_from((1, 2, 3, -1, -5)))
    | memoryviews()
    | st.builds(
        lambda code, data: array.array(code, data),
        st.sampled_from("bBhHiIqQ"),
        st.lists(st.integers(0, 127), max_size=20),
    )
    | st.lists(st.floats(width=32), max_size=9).map(lambda v: (ctypes.c_float * len(v))(*v))
    | st.integers(-(2**31), 2**31 - 1).map(ctypes.c_int32)
)

numpy_scalars = st.builds(
    lambda name, seed: np.frombuffer(payload(seed & 1, 16), numpy_dtype(name), count=1)[0],
    dtype_names.filter(lambda name: name != "bool"),
    seeds,
) | st.sampled_from(
    (
        np.float64(1.5),
        np.float64("nan"),
        np.complex128(1j),
        np.True_,
        np.longlong(3),
        np.intc(-3),
        np.str_("text"),
        np.bytes_(b"bytes"),
        np.ulonglong(2**64 - 1),
    )
)


@st.composite
def images(draw: st.DrawFn) -> Image.Image:
    mode = draw(st.sampled_from(("1", "L", "P", "PA", "RGB", "RGBA", "I;16", "F")))
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    made = Image.new(mode, size)
    made.frombytes(payload(draw(seeds), len(made.tobytes())))
    if mode in ("P", "PA") and draw(st.booleans()):
        made.putpalette(payload(draw(seeds), 3 * draw(st.integers(1, 256))))
    transparency = draw(st.none() | st.integers(0, 255) | st.binary(max_size=9))
    if transparency is not None:
        made.info["transparency"] = transparency
    return made


leaves = scalars | buffers | numpy_scalars | images() | contiguous_arrays() | torch_tensors()
keys = st.recursive(
    scalars.filter(lambda v: v == v) | st.sampled_from((np.float32(1), np.int64(2), np.str_("k"))),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.lists(inner, max_size=4)
    dicts = st.dictionaries(keys, inner, max_size=4)
    return (
        lists
        | lists.map(tuple)
        | lists.map(Lines)
        | st.builds(Grid, inner, inner)
        | dicts
        | dicts.map(collections.OrderedDict)
        | dicts.map(types.MappingProxyType)
        | dicts.map(collections.UserDict)
        | dicts.map(ReadOnly)
        | dicts.map(lambda d: collections.defaultdict(list, d))
    )


nested_values = st.recursive(leaves, containers, max_leaves=12)
