"""The environment variables that mmhash reads, once, when it is imported."""

import os

from mmhash import _core, cache, configuration

DEFAULT_MAX_THREADS = 4  # more do not help: two to four cores already read at the speed of memory


def apply() -> None:
    """Applies MMHASH_ISA, _NUM_THREADS, _CACHE_SIZE, _ALGORITHM and _KEY_FILE, or the defaults.

    Raises ValueError naming the variable, what it holds and what is valid, so that a server with a
    typo fails when it starts and not with its first image.
    """
    isa = os.environ.get("MMHASH_ISA")
    if isa:
        try:
            _core.set_isa(isa)
        except ValueError as error:
            raise ValueError(f"environment variable MMHASH_ISA: {error}") from None
    threads = os.environ.get("MMHASH_NUM_THREADS")
    try:
        _core.set_num_threads(int(threads) if threads else _default_threads())
    except ValueError:
        raise ValueError(
            "environment variable MMHASH_NUM_THREADS: expected a number of threads from 1 to 256, "
            f"found {threads!r}"
        ) from None

    size = os.environ.get("MMHASH_CACHE_SIZE")
    if size:
        try:
            cache.cache_resize(int(size))
        except ValueError:
            raise ValueError(
                "environment variable MMHASH_CACHE_SIZE: expected a number of entries from 0, "
                f"found {size!r}"
            ) from None

    _apply_algorithm(os.environ.get("MMHASH_ALGORITHM"), os.environ.get("MMHASH_KEY_FILE"))


def _apply_algorithm(name: str | None, key_file: str | None) -> None:
    if not name and not key_file:
        return
    source = "MMHASH_ALGORITHM" if name else "MMHASH_KEY_FILE"
    try:
        configuration.set_default(name or "xxh3", None, key_file or None, source)
    except (OSError, ValueError) as error:
        if not name:
            raise ValueError(
                "environment variable MMHASH_KEY_FILE: expected MMHASH_ALGORITHM=blake3 or sha256 "
                "with it, found none: XXH3 takes no key"
            ) from None
        variables = "MMHASH_ALGORITHM, MMHASH_KEY_FILE" if key_file else source
        raise ValueError(f"environment variable {variables}: {error}") from None
    except ImportError as error:
        raise ImportError(f"environment variable {source}: {error}") from None


def _default_threads() -> int:
    """The CPUs that this process may use, at most DEFAULT_MAX_THREADS."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(DEFAULT_MAX_THREADS, cpus)
