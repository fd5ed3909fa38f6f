"""Which algorithm and key hash in an engine: those that are named, or one that is safe for it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from mmhash import _core, algorithms, configuration

DEFAULT = "blake3"
FALLBACK = "sha256"  # of hashlib, for DEFAULT where its package is missing


@dataclass(frozen=True)
class Choice:
    """An algorithm and a key, by which choices are compared and which the log and info() show."""

    name: str
    key_id: str | None
    algorithm: _core.Algorithm = field(compare=False, repr=False)
    warning: str = field(default="", compare=False, repr=False)
    """For the log, where it is not what it should be."""

    def __str__(self) -> str:
        return self.name if self.key_id is None else f"{self.name}, key {self.key_id}"


def chosen(variable: str, algorithm: str | None = None, key: bytes | None = None) -> Choice:
    """What hashes in an engine whose environment variable for the algorithm has that name.

    The algorithm is `algorithm`, or what the variable names, or BLAKE3; the key is `key`, or that
    of the process (MMHASH_KEY_FILE, mmhash.configure()), which also has one of its own algorithms.
    Where nobody has named BLAKE3 and its package is missing it is SHA-256, with a warning: a server
    that ran before runs on, and nothing that anyone can collide takes the place of what it had.

    Imports the package of the algorithm. Raises ValueError for an unknown algorithm, a key of
    another length and any key with xxh3; TypeError for arguments of another type; ImportError for a
    package that is missing.
    """
    found = None if algorithm is not None else os.environ.get(variable) or None
    name = found or DEFAULT if algorithm is None else algorithm
    secret = configuration.configured_key() if key is None else algorithms.checked_key(key)
    warning = ""
    try:
        opened = _opened(name, secret, of_process=key is None)
    except (ImportError, ValueError) as error:
        if found is not None:
            raise type(error)(f"environment variable {variable}: {error}") from None
        if algorithm is not None or not isinstance(error, ImportError):
            raise
        opened = _opened(FALLBACK, secret, of_process=key is None)
        warning = (
            f"mmhash hashes with {FALLBACK}, which takes about three times as long as its default, "
            f"{DEFAULT}, whose package is missing here: pip install blake3; "
            f"{variable}={FALLBACK} says that this is meant"
        )
    return Choice(opened.name, opened.key_id, opened, warning)


def _opened(name: str, key: bytes | None, *, of_process: bool) -> _core.Algorithm:
    if name == "xxh3" and key is not None and of_process:
        raise ValueError(
            "algorithm: expected 'blake3' or 'sha256', because a key is configured for the process "
            "(MMHASH_KEY_FILE, mmhash.configure()), found 'xxh3', which takes none: name one of "
            "them, or configure no key"
        )
    return algorithms.opened(name, key)
