"""Arrays and tensors: shape, dtype, layout, and elements that nobody looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from confusions import DISTINCT, EQUAL, REFUSED, Confusion

NO_SHAPE = ("SGLang 25462", "SGLang 22033", "FastDeploy 7196", "hamilton 1616", "SciStudio 30")


def grid() -> Any:
    return np.arange(24, dtype=np.float32).reshape(4, 6)


def square() -> Any:
    return np.arange(16, dtype=np.float32).reshape(4, 4)


def complex_pair() -> Any:
    return torch.tensor([1 + 2j, 3 - 4j])


def large(changed: int | None = None) -> Any:
    made = np.zeros(510_000)
    if changed is not None:
        made[changed] = 1
    return made


def objects() -> Any:
    return np.array([{"c": 20}, [1, 2]], dtype=object)


def records(padding: int) -> Any:
    """Two elements whose three bytes of padding each hold what was there before."""
    made = np.full(16, padding, np.uint8).view(np.dtype([("a", "u1"), ("b", "<u4")], align=True))
    made["a"], made["b"] = 1, 2
    return made


ROWS = (
    Confusion(
        "an array and the same elements in another shape",
        grid,
        lambda: grid().reshape(6, 4),
        DISTINCT,
        "the elements' bytes",
        NO_SHAPE,
    ),
    Confusion(
        "an array and a batch of this one array",
        grid,
        lambda: grid()[None],
        DISTINCT,
        "the elements' bytes",
        ("TensorRT-LLM 14800",),
    ),
    Confusion(
        "a scalar and an array of this one element",
        lambda: np.array(5),
        lambda: np.array([5]),
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "empty arrays of two shapes",
        lambda: np.zeros((0, 3), np.float32),
        lambda: np.zeros((3, 0), np.float32),
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "zeros and their transpose",
        lambda: np.zeros((2, 3)),
        lambda: np.zeros((2, 3)).T,
        DISTINCT,
        "the elements' bytes",
        ("pymc 327",),
    ),
    Confusion(
        "an array and its transpose, read as they lie in memory",
        square,
        lambda: square().T,
        DISTINCT,
        "the memory",
    ),
    Confusion(
        "float32 and int32 of the same bytes",
        grid,
        lambda: grid().view(np.int32),
        DISTINCT,
        "the elements' bytes",
        NO_SHAPE,
    ),
    Confusion(
        "float32 and the bytes that it consists of",
        grid,
        lambda: grid().view(np.uint8),
        DISTINCT,
        "the elements' bytes",
        ("FastDeploy 7196",),
    ),
    Confusion(
        "255 as uint8 and -1 as int8",
        lambda: np.uint8(255),
        lambda: np.int8(-1),
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "large bfloat16 values, converted to float16 to be hashed",
        lambda: torch.tensor([70_000.0], dtype=torch.bfloat16),
        lambda: torch.tensor([80_000.0], dtype=torch.bfloat16),
        DISTINCT,
        "float16",
        ("vLLM 23623",),
    ),
    Confusion(
        "bfloat16 and float16 of the same bytes",
        lambda: torch.arange(8, dtype=torch.bfloat16),
        lambda: torch.arange(8, dtype=torch.bfloat16).view(torch.float16),
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "bfloat16 and float32 of the same values, converted to float32 to be hashed",
        lambda: torch.arange(8, dtype=torch.bfloat16),
        lambda: torch.arange(8, dtype=torch.float32),
        DISTINCT,
        "float32",
    ),
    Confusion(
        "a large array and one that differs in the middle",
        large,
        lambda: large(250_000),
        DISTINCT,
        "`repr()`",
        ("datasets 6454", "Minigrid 142", "dask 829"),
    ),
    Confusion(
        "a large array and one that differs where nothing is sampled",
        large,
        lambda: large(7),
        DISTINCT,
        "a sample",
        ("streamlit 14622", "streamlit 14610"),
    ),
    Confusion(
        "arrays that differ after the first 64 KiB",
        large,
        lambda: large(1 << 13),
        DISTINCT,
        "the first 64 KiB",
        ("Rapid-MLX 22",),
    ),
    Confusion(
        "-0.0 and 0.0 in an array",
        lambda: np.array([0.0]),
        lambda: np.array([-0.0]),
        DISTINCT,
        "`==`",
    ),
    Confusion(
        "a tensor and its lazy conjugate",
        complex_pair,
        lambda: complex_pair().conj(),
        DISTINCT,
        "the memory",
        ("pytorch 59945",),
    ),
    # One value, whatever it looks like in memory.
    Confusion(
        "C order and Fortran order",
        grid,
        lambda: np.asfortranarray(grid()),
        EQUAL,
        "the memory",
        ("dask 2498", "joblib 94", "nengo 1122", "pyresample 462"),
    ),
    Confusion(
        "a tensor and a strided view of the same elements",
        lambda: torch.arange(0, 12, 2),
        lambda: torch.arange(12)[::2],
        EQUAL,
        "the memory",
        ("pyresample 462",),
    ),
    Confusion(
        "an array and its copy",
        grid,
        grid,
        EQUAL,
        "the address",
        ("SGLang 5083", "dask 6718"),
    ),
    Confusion(
        "little-endian and big-endian",
        grid,
        lambda: grid().astype(">f4"),
        EQUAL,
        "the elements' bytes",
        ("pyresample 91", "pytools 259", "pytools 262", "versioned-hdf5 397"),
    ),
    Confusion(
        "a lazy conjugate and the conjugate",
        lambda: complex_pair().conj(),
        lambda: complex_pair().conj().resolve_conj(),
        EQUAL,
        "the memory",
        ("pytorch 59945",),
    ),
    Confusion(
        "an expanded tensor and a full one",
        lambda: torch.ones(1).expand(4),
        lambda: torch.ones(4),
        EQUAL,
        "the memory",
    ),
    Confusion(
        "True that is stored as 1 and as another byte",
        lambda: np.array([1], np.uint8).view(bool),
        lambda: np.array([2], np.uint8).view(bool),
        EQUAL,
        "the elements' bytes",
        ("numpy 22840", "pytorch 54789", "numba 2921"),
    ),
    Confusion(
        "a NumPy array and a torch tensor",
        grid,
        lambda: torch.from_numpy(grid()),
        EQUAL,
        "pickle",
    ),
    # What has no identity is not confused with anything.
    Confusion(
        "two arrays of equal objects: their bytes are addresses",
        objects,
        objects,
        REFUSED,
        "the elements' bytes",
        ("numpy 15340", "joblib 41", "streamlit 1039", "pydra 441", "ubelt 149"),
    ),
    Confusion(
        "masked arrays, whose mask is left out",
        lambda: np.ma.array([1, 2], mask=[False, True]),
        lambda: np.ma.array([1, 2], mask=[False, False]),
        REFUSED,
        "the elements' bytes",
    ),
    Confusion(
        "structured arrays with padding between their fields",
        lambda: records(0),
        lambda: records(255),
        REFUSED,
        "the elements' bytes",
    ),
    Confusion(
        "dates and the integers that they are stored as",
        lambda: np.array(["1970-01-02"], "M8[D]"),
        lambda: np.array(["1970-01-01T00:00:01"], "M8[s]"),
        REFUSED,
        "the elements' bytes",
    ),
)
