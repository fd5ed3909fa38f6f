"""Hash algorithms by name. XXH3 is in the native module; each of the others a file beside this one.

Such a file wraps a package, which the native module calls (csrc/packages): `functions(key)` returns
what it needs of it. `PARALLEL_BYTES` is the size from which the package's threads pay.
"""

from __future__ import annotations

import functools
from importlib import import_module

from mmhash import _core

NAMES = ("xxh3", "blake3", "sha256")
KEY_BYTES = 32


def opened(algorithm: object, key: object = None) -> _core.Algorithm:
    """The algorithm of that name with that key, 32 bytes or None. Imports the package it needs.

    An Algorithm is returned as it is, and takes no other key.

    Raises ValueError for an unknown name, a key of another length and a key with xxh3; TypeError
    for arguments of another type; ImportError where the package is missing. Any thread may call it.
    """
    if isinstance(algorithm, _core.Algorithm):
        if key is not None:
            raise ValueError(
                "key: expected None with an Algorithm, which has its own, found one; give the "
                "algorithm's name"
            )
        return algorithm
    if not isinstance(algorithm, str):
        found = type(algorithm).__qualname__
        raise TypeError(f"algorithm: expected one of {_listed()} or None, found a {found}")
    if algorithm not in NAMES:
        raise ValueError(f"algorithm: expected one of {_listed()}, found {algorithm!r}")
    name = NAMES[NAMES.index(algorithm)]  # as a plain str: an Enum's member is formatted otherwise
    if key is None:
        return _open(name, None)
    if name == "xxh3":
        raise ValueError(
            "key: expected None with algorithm 'xxh3', found one: no secret makes XXH3 safe from "
            "whoever chooses the content; use 'blake3' or 'sha256'"
        )
    return _open(name, checked_key(key))


def checked_key(key: object) -> bytes:
    """The key as bytes. TypeError and ValueError say what a key is."""
    if not isinstance(key, (bytes, bytearray, memoryview)):
        found = type(key).__qualname__
        raise TypeError(
            f"key: expected {KEY_BYTES} bytes or None, found a {found}; hexadecimal digits become "
            "bytes by bytes.fromhex()"
        )
    secret = bytes(key)
    if len(secret) != KEY_BYTES:
        raise ValueError(
            f"key: expected {KEY_BYTES} bytes, found {len(secret)}; make one by "
            f"secrets.token_bytes({KEY_BYTES})"
        )
    return secret


# The keys of so many tenants are kept open: to open one again costs microseconds, and what the
# cache holds under it is not found again.
@functools.lru_cache(maxsize=1024)
def _open(name: str, key: bytes | None) -> _core.Algorithm:
    if name == "xxh3":
        return _core.XXH3
    package = import_module(f"mmhash.algorithms.{name}")
    new_hash, new_parallel_hash = package.functions(key)
    return _core.PackageAlgorithm(
        name,
        key=key,
        key_id=None if key is None else id_of_key(key),
        new_hash=new_hash,
        new_parallel_hash=new_parallel_hash,
        parallel_bytes=package.PARALLEL_BYTES,
    )


def id_of_key(key: bytes) -> str:
    """16 hexadecimal digits that tell keys apart, and tell nothing of the key."""
    import hashlib

    return hashlib.sha256(b"mmhash key id\0" + key).hexdigest()[:16]


def _listed() -> str:
    return ", ".join(map(repr, NAMES))
