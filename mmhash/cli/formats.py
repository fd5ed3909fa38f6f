"""Readers of the file formats that hold tensors or an image.

A reader takes a path and yields entries: a name and a function that loads the value. A function,
because one bad member of an archive must not keep the others from being hashed. Nothing is
unpickled that can run code, and nothing is copied where the format allows it to be mapped.
"""
# ruff: noqa: PTH123  a path is used as it was written, see files.py

from __future__ import annotations

import contextlib
import re
import shlex
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from mmhash.cli.errors import UnusableFileError, reason, require
from mmhash.cli.key_paths import flatten

CLI_EXTRA = "multimodal-hash[cli]"


class Entry(NamedTuple):
    """One value of a file. The name is empty where the file holds just the one."""

    name: str
    load: Callable[[], object]

    @classmethod
    def of(cls, name: str, value: object) -> Entry:
        """An entry whose value is there already."""
        return cls(name, lambda: value)


Reader = Callable[[str], Iterator[Entry]]


@contextlib.contextmanager
def parsing(path: str, what: str) -> Iterator[None]:
    """Turn any failure of a parser into one line that says what was expected.

    Any, because parsers of other people's formats fail in their own ways when a file is damaged:
    `torch.load` raises `KeyError: 101` on the text "hello".
    """
    try:
        yield
    except UnusableFileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the file could not be read at all, whatever it holds
        first_sentence = reason(error).partition(". ")[0].rstrip(".")
        raise UnusableFileError(
            f"expected {what}, but it does not parse ({first_sentence}); "
            f"to hash its bytes: mmhash hash - < {shlex.quote(path)}"
        ) from error


def read_npy(path: str) -> Iterator[Entry]:
    """A NumPy array, memory-mapped. One of objects is refused: it would have to be unpickled."""
    npy = require("numpy", "to read .npy files", CLI_EXTRA).lib.format
    with parsing(path, "an array in the .npy format"):
        array = npy.open_memmap(path, mode="r")
    yield Entry.of("", array)


def read_npz(path: str) -> Iterator[Entry]:
    """The arrays of a .npz archive, one in memory at a time."""
    npyio = require("numpy", "to read .npz files", CLI_EXTRA).lib.npyio
    with open(path, "rb") as file:
        with parsing(path, "a .npz archive"):
            archive = npyio.NpzFile(file, allow_pickle=False)
        with archive:
            for name in archive.files:
                yield Entry(name, partial(archive.__getitem__, name))


def read_torch(path: str) -> Iterator[Entry]:
    """The values in what `torch.save` wrote, memory-mapped. No code in the file is run."""
    torch = require("torch", "to read .pt files", "torch")
    with parsing(path, "a file of torch.save"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints for those who train with the file
        try:
            value = torch.load(
                path,
                map_location="cpu",
                weights_only=True,
                mmap=_is_zip(path),  # the format before torch 1.6 cannot be mapped
            )
        except Exception as error:
            # torch's advice, to load with weights_only=False, is the one thing not to do here.
            banned = re.search(r"GLOBAL ([\w.]+)", str(error))
            if banned is None:
                raise
            raise UnusableFileError(
                f"expected tensors and plain containers only, but loading it would call "
                f"{banned[1]}; nothing of it was run"
            ) from error
    for name, member in flatten(value):
        yield Entry.of(name, member)


def _is_zip(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04"


# What NumPy can hold, by safetensors' names. The rest (bfloat16, the float8 kinds) takes torch.
NUMPY_DTYPES = frozenset(
    ["BOOL", "U8", "I8", "U16", "I16", "F16", "U32", "I32", "F32", "U64", "I64", "F64", "C64"]
)


def read_safetensors(path: str) -> Iterator[Entry]:
    """The tensors of a .safetensors file, through NumPy where it knows their dtypes, else torch.

    Both give one identity. NumPy goes first because importing torch takes seconds.
    """
    require("numpy", "to read .safetensors files", CLI_EXTRA)
    safetensors = require("safetensors", "to read .safetensors files", CLI_EXTRA)
    what = "a .safetensors file"
    with parsing(path, what), safetensors.safe_open(path, framework="numpy") as file:
        names = file.keys()
        foreign = {file.get_slice(name).get_dtype() for name in names} - NUMPY_DTYPES
    if foreign:
        require("torch", f"to read {', '.join(sorted(foreign))} out of .safetensors files", "torch")
    framework = "pt" if foreign else "numpy"
    with contextlib.ExitStack() as stack:
        with parsing(path, what):
            file = stack.enter_context(safetensors.safe_open(path, framework=framework))
        for name in names:
            yield Entry(name, partial(file.get_tensor, name))


def read_image(path: str) -> Iterator[Entry]:
    """The decoded pixels of an image; of an animation, those of the first frame."""
    pillow = require("PIL.Image", "to decode images", CLI_EXTRA)
    with parsing(path, "an image"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # large pictures are this tool's trade
        image = pillow.open(path)
        with contextlib.closing(image):
            image.load()  # a truncated file fails here, and palette and transparency are final
            yield Entry.of("", image)


READERS: dict[str, Reader] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".pt": read_torch,
    ".pth": read_torch,
    ".safetensors": read_safetensors,
    # The image files that people send to a model. Others that Pillow could open stay bytes.
    ".avif": read_image,
    ".bmp": read_image,
    ".gif": read_image,
    ".jp2": read_image,
    ".jpeg": read_image,
    ".jpg": read_image,
    ".png": read_image,
    ".ppm": read_image,
    ".tif": read_image,
    ".tiff": read_image,
    ".webp": read_image,
}
