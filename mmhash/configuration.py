"""Which algorithm and key hash where nobody says: for the whole process."""

from __future__ import annotations

import os
import stat

from mmhash import _core, algorithms

# What is configured, by what, for info(), and the key. One tuple, so that all are of one call.
_current: tuple[_core.Algorithm, str, bytes | None] = (_core.XXH3, "default", None)


def configure(
    algorithm: str,
    *,
    key: bytes | None = None,
    key_file: str | os.PathLike[str] | None = None,
) -> None:
    """Sets the algorithm and key that hash where a call names none, for the whole process.

    `algorithm` is "xxh3" (the default; not cryptographic), "blake3" or "sha256". `key`, 32 bytes,
    or `key_file`, which holds them, makes a keyed hash (BLAKE3's keyed mode, HMAC-SHA-256): who
    does not know the key cannot compute an identity. A file is refused if others could read it: it
    must be its user's alone (mode 0600 or less), or if it is root's may be its group's too (0640).

    To be called before anything is hashed: what was hashed earlier keeps its hash, and none of it
    is found under the new algorithm. Each process of a server needs the same; MMHASH_ALGORITHM and
    MMHASH_KEY_FILE reach all of them. Any thread may call it. Calls that name an algorithm
    (`identity(value, algorithm="blake3")`) take nothing from here. Engines, which have a default of
    their own, take the key when mmhash is installed in them.

    Raises ValueError for an unknown algorithm, a key with xxh3, a key or file of another length, a
    file that others may read, and for both key and key_file; TypeError for arguments of another
    type; OSError for a file that cannot be read; ImportError where the package `blake3` is missing.

    >>> mmhash.configure("sha256", key=bytes(32))
    >>> len(mmhash.identity(b"pixels"))
    32
    >>> mmhash.configure("xxh3")
    """
    set_default(algorithm, key, key_file, "configure()")


def set_default(
    algorithm: str,
    key: bytes | None,
    key_file: str | os.PathLike[str] | None,
    source: str,
) -> None:
    """The same, with what is to be reported as the source."""
    global _current
    if key_file is not None:
        if key is not None:
            raise ValueError("key: expected None with key_file, found both; give one of them")
        key = read_key_file(key_file)
    opened = algorithms.opened(algorithm, key)
    _core.set_default_algorithm(opened)
    _current = opened, source, None if key is None else bytes(key)


def configured() -> _core.Algorithm:
    """The algorithm of calls that name none."""
    return _current[0]


def configured_key() -> bytes | None:
    """The key of calls that name no algorithm."""
    return _current[2]


def report() -> dict[str, object]:
    """For info()."""
    algorithm, source, _ = _current
    return {
        "algorithm": algorithm.name,
        "key_id": algorithm.key_id,
        "algorithm_source": source,
    }


def read_key_file(path: str | os.PathLike[str]) -> bytes:
    """The 32 bytes in a file. OSError, or ValueError for another length and for what others read.

    The rule is PostgreSQL's for private keys: secrets that an orchestrator mounts are often root's
    and readable for a group.
    """
    # Not blocking: a FIFO without a writer would wait for ever.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{_named(path)}: expected a regular file, found another kind")
        allowed = 0o640 if status.st_uid == 0 else 0o600
        mode = stat.S_IMODE(status.st_mode)
        if os.name == "posix" and mode & 0o777 & ~allowed & ~0o100:
            raise ValueError(
                f"{_named(path)}: expected a file that others cannot read, found mode {mode:04o}: "
                f"chmod {allowed:o} {path}, and make a new key if others have read it"
            )
        key = os.read(descriptor, 4096)
    except OSError as error:  # of a file that was opened: it does not say of which
        error.filename = os.fspath(path)
        raise
    finally:
        os.close(descriptor)
    if len(key) != algorithms.KEY_BYTES:
        digits = key.strip()
        hexadecimal = len(digits) == 2 * algorithms.KEY_BYTES
        remedy = (
            "it seems to hold hexadecimal digits: convert them by xxd -r -p"
            if hexadecimal
            else f"make one by head -c {algorithms.KEY_BYTES} /dev/urandom"
        )
        count = f"{len(key)}" if len(key) < 4096 else "4096 or more"
        raise ValueError(
            f"{_named(path)}: expected a key of exactly {algorithms.KEY_BYTES} bytes, found "
            f"{count}; {remedy}"
        )
    return key


def _named(path: str | os.PathLike[str]) -> str:
    return f"key file {os.fspath(path)!r}"
