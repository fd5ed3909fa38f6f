"""Readers of NumPy's formats: one array a file (.npy), and zip archives of them (.npz)."""
# ruff: noqa: PTH116, PTH123  a path is used as it was written, see files.py

from __future__ import annotations

import os
import shlex
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import Any

from mmhash.cli.entries import (
    CLI_EXTRA,
    Entry,
    Notice,
    ReadOptions,
    Unread,
    bytes_instead,
    parsing,
)
from mmhash.cli.errors import UnusableFileError, require
from mmhash.cli.zip_archive import ZipArchive

NPY_MAGIC = b"\x93NUMPY"


def read_npy(path: str, _: ReadOptions) -> Iterator[Entry | Unread | Notice]:
    """A NumPy array, memory-mapped. One of objects is refused: it would have to be unpickled."""
    npy = require("numpy", "to read .npy files", CLI_EXTRA).lib.format
    with parsing(path, "an array in the .npy format"):
        array = npy.open_memmap(path, mode="r")
    yield Entry("", partial(_checked, array, path))
    behind = os.stat(path).st_size - (array.offset + array.nbytes)
    if behind:
        yield Unread(
            "",
            f"expected one array, {behind:,} bytes behind it were not read: save arrays one a "
            f"file, or in a .npz; {bytes_instead(path)}",
        )


def read_npz(path: str, _: ReadOptions) -> Iterator[Entry | Unread | Notice]:
    """The arrays of a .npz archive, one in memory at a time. Other members are bytes."""
    require("numpy", "to read .npz files", CLI_EXTRA)
    what = "a .npz archive"
    with open(path, "rb") as file:
        with parsing(path, what):
            archive = ZipArchive(file)
            unnamed = list(archive.unnamed_bytes())
        by_name: dict[str, list[zipfile.ZipInfo]] = {}
        for member in archive.members:
            by_name.setdefault(member.filename.removesuffix(".npy"), []).append(member)
        for name, members in by_name.items():
            if len(members) > 1:
                names = ", ".join(repr(member.filename) for member in members)
                yield Unread(
                    name,
                    f"expected one member of this name, found {names}, and which of them is meant "
                    "depends on the reader: rename all but one",
                )
            else:
                yield Entry(name, partial(_load, path, archive, members[0]))
        yield from unnamed_content(path, unnamed)
        if not by_name:
            yield Unread("", f"expected at least one array, found none; {bytes_instead(path)}")


def unnamed_content(path: str, unnamed: list[tuple[int, int]]) -> Iterator[Unread]:
    """What to say of bytes of a zip archive that belong to no member."""
    if unnamed:
        ranges = ", ".join(f"{begin:,} to {end:,}" for begin, end in unnamed)
        yield Unread(
            "",
            f"expected nothing but members and their directory, the bytes from {ranges} belong to "
            f"none and were not read: pack the archive anew; {bytes_instead(path)}",
        )


def _load(path: str, archive: ZipArchive, member: zipfile.ZipInfo) -> object:
    npy = require("numpy", "to read .npz files", CLI_EXTRA).lib.format
    with parsing(path, "an array in the .npy format"), archive.open(member) as stream:
        if stream.peek(len(NPY_MAGIC))[: len(NPY_MAGIC)] != NPY_MAGIC:
            return stream.read()
        array = npy.read_array(stream, allow_pickle=False)
        behind = len(stream.read())  # to the end, where the checksum is verified
        if behind:
            raise UnusableFileError(
                f"expected one array, {behind:,} bytes behind it were not read: save arrays under "
                "a name each"
            )
    return _checked(array, path, member.filename.removesuffix(".npy"))


def _checked(array: Any, path: str, member: str | None = None) -> Any:
    """The array, unless its file has lost what its elements are.

    NumPy writes dtypes that it does not know itself, such as ml_dtypes', as so many bytes an
    element (`|V2`). Which they were cannot be guessed: one byte may be any of eight kinds of float.
    """
    dtype = array.dtype
    if dtype.kind == "V" and dtype.names is None and dtype.subdtype is None:
        example = "bfloat16" if dtype.itemsize == 2 else "float8_e4m3fn"
        loaded = "np.load(sys.argv[1])" + (f"[{member!r}]" if member is not None else "")
        code = (
            "import sys, numpy as np, ml_dtypes, mmhash; "
            f"print(mmhash.identity({loaded}.view(ml_dtypes.{example})).hex())"
        )
        raise UnusableFileError(
            f"expected a dtype, found {dtype.itemsize} bytes an element that the file does not "
            f"name ({dtype.str}): NumPy saves ml_dtypes' so. If they were {example}: "
            f"{shlex.join(['python', '-c', code, path])}; or save them as .safetensors"
        )
    return array
