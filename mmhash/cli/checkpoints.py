"""The reader of what `torch.save` wrote."""
# ruff: noqa: PTH123  a path is used as it was written, see files.py

from __future__ import annotations

import io
import pickle
import re
import threading
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from mmhash.cli.arrays import unnamed_content
from mmhash.cli.entries import Entry, Notice, ReadOptions, Unread, bytes_instead, parsing
from mmhash.cli.errors import UnusableFileError, require
from mmhash.cli.key_paths import flatten
from mmhash.cli.numpy_pickle import STAND_INS, PickledArray
from mmhash.cli.zip_archive import ZipArchive

WHAT = "a file of torch.save"
#: What torch writes into the archive beside the storages, and is no value.
BOOKKEEPING = (
    "data.pkl",
    "version",
    "byteorder",
    ".data/serialization_id",
    ".format_version",
    ".storage_alignment",
)

# torch keeps the globals that a pickle may name in a list of the process.
_allowing = threading.Lock()


def read_torch(path: str, _: ReadOptions) -> Iterator[Entry | Unread | Notice]:
    """The values in what `torch.save` wrote, memory-mapped. No code in the file is run."""
    torch = require("torch", "to read .pt files", "torch")
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        with parsing(path, WHAT):
            # The format before torch 1.6 cannot be mapped, and is read to its end.
            value = _load(torch, path, file, mmap=is_zip)
            unread = list(_unread_records(path, file)) if is_zip else []
        for name, member in flatten(value):
            if isinstance(member, PickledArray):
                yield Entry(name, member.resolve)
            else:
                yield Entry.of(name, member)
        yield from unread
        behind = 0 if is_zip else len(file.read())
        if behind:
            yield Unread(
                "",
                f"expected one value, {behind:,} bytes behind it were not read: save values one a "
                f"file; {bytes_instead(path)}",
            )


def _load(torch: Any, path: str, file: BinaryIO, mmap: bool) -> Any:
    def load() -> Any:
        file.seek(0)
        source = path if mmap else file
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mmap)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints for those who train with the file
        try:
            return load()
        except Exception as error:
            if _banned_global(error) is None:
                raise
        allowed = [(stand_in, name) for name, stand_in in STAND_INS.items()]
        try:
            with _allowing, torch.serialization.safe_globals(allowed):
                return load()
        except Exception as error:
            banned = _banned_global(error)
            if banned is None:
                raise
            # torch's advice, to load with weights_only=False, is the one thing not to do here.
            raise UnusableFileError(
                f"expected tensors, arrays and plain containers only, but loading it would call "
                f"{banned}; nothing of it was run; {bytes_instead(path)}"
            ) from error


def _banned_global(error: Exception) -> str | None:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return found[1] if found else None


def _unread_records(path: str, file: BinaryIO) -> Iterator[Unread]:
    """What the archive holds, and loading it did not read.

    UnusableFileError: it is such that what was loaded may not be what it holds.
    """
    archive = ZipArchive(file)
    unnamed = list(archive.unnamed_bytes())
    if archive.repeated:
        raise UnusableFileError(
            f"expected one record a name, found more of {', '.join(map(repr, archive.repeated))}, "
            f"and which is meant depends on the reader: save it anew; {bytes_instead(path)}"
        )
    root = archive.members[0].filename.partition("/")[0]
    records = {member.filename: member for member in archive.members}
    with archive.open(records[f"{root}/data.pkl"]) as stream:
        pickled = io.BytesIO(stream.read())
    keys = _StorageKeys(pickled).find()
    behind = len(pickled.read())
    if behind:
        yield Unread(
            "",
            f"expected one pickle in data.pkl, {behind:,} bytes behind it were not read: save it "
            f"anew; {bytes_instead(path)}",
        )
    used = {f"{root}/{name}" for name in BOOKKEEPING} | {f"{root}/data/{key}" for key in keys}
    for name, record in records.items():
        if record.compress_type != zipfile.ZIP_STORED and name.startswith(f"{root}/data/"):
            # Mapped, its compressed bytes are taken for the elements.
            raise UnusableFileError(
                f"expected stored records, {name!r} is compressed: unzip it and pack it with zip -0"
            )
        if name not in used:
            yield Unread(
                "",
                f"expected only records that its values use, {name!r} was not read: save it anew; "
                f"{bytes_instead(path)}",
            )
    yield from unnamed_content(path, unnamed)


class _Inert:
    """Whatever a pickle makes, in a walk that only looks for storages: it takes all, does nothing.

    No name in the pickle is looked up, so nothing of the file can run.
    """

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def __setstate__(self, _: object) -> None:
        pass

    def __setitem__(self, _: object, __: object) -> None:
        pass

    def append(self, _: object) -> None:
        """As list's."""

    def extend(self, _: object) -> None:
        """As list's."""


class _StorageKeys(pickle.Unpickler):
    """Finds the keys of the storages that a pickle of torch.save refers to."""

    def __init__(self, pickled: BinaryIO) -> None:
        super().__init__(pickled)
        self._keys: set[str] = set()

    def find(self) -> set[str]:
        """Walk through the pickle once."""
        self.load()
        return self._keys

    def find_class(self, _: str, __: str) -> Any:
        """As pickle.Unpickler."""
        return _Inert

    def persistent_load(self, reference: Any) -> _Inert:
        """As pickle.Unpickler."""
        self._keys.add(str(reference[2]))  # ("storage", type, key, location, number of elements)
        return _Inert()
