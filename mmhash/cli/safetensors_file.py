"""The reader of .safetensors files."""
# ruff: noqa: PTH123  a path is used as it was written, see files.py

from __future__ import annotations

import contextlib
import json
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

# What NumPy can hold, by safetensors' names. The rest (bfloat16, the float8 kinds) takes torch.
NUMPY_DTYPES = frozenset(
    ["BOOL", "U8", "I8", "U16", "I16", "F16", "U32", "I32", "F32", "U64", "I64", "F64", "C64"]
)


def read_safetensors(path: str, _: ReadOptions) -> Iterator[Entry | Unread | Notice]:
    """The tensors of a .safetensors file, through NumPy where it knows their dtypes, else torch.

    Both give one identity. NumPy goes first because importing torch takes seconds. The library
    itself refuses tensors that overlap, bytes that belong to none, and a file too long or short.
    """
    require("numpy", "to read .safetensors files", CLI_EXTRA)
    safetensors = require("safetensors", "to read .safetensors files", CLI_EXTRA)
    what = "a .safetensors file"
    with parsing(path, what), safetensors.safe_open(path, framework="numpy") as file:
        names = file.keys()
        foreign = {file.get_slice(name).get_dtype() for name in names} - NUMPY_DTYPES
    with parsing(path, what):
        _refuse_repeated_names(path)
    if not names:
        yield Unread("", f"expected at least one tensor, found none; {bytes_instead(path)}")
        return
    if foreign:
        require("torch", f"to read {', '.join(sorted(foreign))} out of .safetensors files", "torch")
    framework = "pt" if foreign else "numpy"
    with contextlib.ExitStack() as stack:
        with parsing(path, what):
            file = stack.enter_context(safetensors.safe_open(path, framework=framework))
        for name in names:
            yield Entry(name, partial(file.get_tensor, name))


def _refuse_repeated_names(path: str) -> None:
    """Of two entries with one name in the header, the library hands out the last."""
    with open(path, "rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    json.loads(header, object_pairs_hook=_object_of_distinct_names)


def _object_of_distinct_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise UnusableFileError(
            f"expected one entry a name, the header names {repeated!r} more than once, and which "
            "is meant depends on the reader: save the tensors anew"
        )
    return found
