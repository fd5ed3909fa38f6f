"""The environment variables that mmhash reads, once, when it is imported."""

import os

from mmhash import _core, cache

DEFAULT_MAX_THREADS = 4  # more do not help: two to four cores already read at the speed of memory


def apply() -> None:
    """Applies MMHASH_ISA, MMHASH_NUM_THREADS and MMHASH_CACHE_SIZE, or the defaults where not set.

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


def _default_threads() -> int:
    """The CPUs that this process may use, at most DEFAULT_MAX_THREADS."""
    has_affinity = hasattr(os, "sched_getaffinity")  # not on macOS
    cpus = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return min(DEFAULT_MAX_THREADS, cpus)
