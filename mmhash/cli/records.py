"""Hashes the values of a file, one record each. What fails is a record too, never an exception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mmhash import _core
from mmhash.cli import piecewise
from mmhash.cli.checksum_lines import Maker
from mmhash.cli.entries import Entry, Notice, ReadOptions
from mmhash.cli.errors import reason
from mmhash.cli.files import entries

# What a value without shape is called, by the specification's word for it.
KINDS: dict[type, str] = {
    type(None): "none",
    bool: "bool",
    int: "int",
    float: "float",
    complex: "complex",
    str: "str",
    list: "list",
    tuple: "list",
}


@dataclass(frozen=True)
class Record:
    """The identity of one value of a file.

    kind: tensor, image, bytes, or the kind of a plain value in a .pt file (int, str, list, ...).
    dtype and shape: a tensor's; an image's mode and its (width, height); otherwise None.
    nbytes: the bytes of its elements or pixels; None for a plain value.
    maker: the algorithm and key that the identity is by.
    """

    path: str
    name: str
    kind: str
    dtype: str | None
    shape: tuple[int, ...] | None
    nbytes: int | None
    maker: Maker
    identity: bytes

    def as_json(self) -> dict[str, object]:
        """The record for `json.dumps`, always with the same keys in the same order."""
        return {
            "path": self.path,
            "name": self.name,
            "kind": self.kind,
            "dtype": self.dtype,
            "shape": None if self.shape is None else list(self.shape),
            "bytes": self.nbytes,
            "algorithm": self.maker.algorithm,
            "key_id": self.maker.key_id,
            "identity": self.identity.hex(),
            "hash": int.from_bytes(self.identity[:8], "big"),  # as mmhash.hash_feature
        }


@dataclass(frozen=True)
class Failure:
    """Why a file, or the value of this name in it, has no identity."""

    path: str
    name: str
    reason: str


def hash_file(
    path: str,
    options: ReadOptions,
    algorithm: _core.Algorithm,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Record | Failure | Notice]:
    """Hash each value of a file. A value is loaded only when its result is asked for.

    progress: called now and then with how many bytes of the present value are hashed.
    """
    # Any exception: readers are other projects' parsers at work on files that may be damaged on
    # purpose. Whatever happens in one file, the next one is still to be hashed.
    try:
        for found in entries(path, options):
            if isinstance(found, Entry):
                yield _hash_one(path, found.name, found.load, algorithm, progress)
            elif isinstance(found, Notice):
                yield found
            else:
                yield Failure(path, found.name, found.reason)
    except Exception as error:
        yield Failure(path, "", reason(error))


def _hash_one(
    path: str,
    name: str,
    load: Callable[[], object],
    algorithm: _core.Algorithm,
    progress: Callable[[int], None],
) -> Record | Failure:
    try:
        value = load()
        identity = piecewise.identity(value, progress, algorithm)
        maker = Maker(algorithm.name, algorithm.key_id)
        return Record(path, name, *_describe(value), maker, identity)
    except Exception as error:
        return Failure(path, name, reason(error))


def _describe(value: Any) -> tuple[str, str | None, tuple[int, ...] | None, int | None]:
    """The kind, dtype, shape and number of bytes of a value, without importing what made it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes", None, None, memoryview(value).nbytes
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        dtype = getattr(value.dtype, "name", None) or str(value.dtype).removeprefix("torch.")
        return "tensor", dtype, tuple(map(int, value.shape)), value.nbytes
    if hasattr(value, "tobytes") and hasattr(value, "mode"):
        return "image", value.mode, tuple(value.size), len(value.tobytes())
    for base, kind in KINDS.items():
        if isinstance(value, base):
            return kind, None, None, None
    return "mapping", None, None, None
