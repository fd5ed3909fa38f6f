"""BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs) by the package `blake3`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

# Two threads against one, on two cores of a Zen 3 (AVX2): 1.22 at 1 MiB, 1.56 at 2, 1.5 at 4, 1.75
# at 18.8 MB; starting them costs 90 us each time.
PARALLEL_BYTES = 2 << 20


def functions(key: bytes | None) -> tuple[Callable[..., Any], Callable[[int], Any] | None]:
    """What makes hash objects with that key: of one thread, and of a number of threads."""
    try:
        from blake3 import blake3
    except ImportError as error:
        raise ImportError(
            "algorithm 'blake3' needs the package blake3, which cannot be imported here "
            f"({error}): pip install blake3"
        ) from error
    one = blake3 if key is None else functools.partial(blake3, key=key)

    def parallel(threads: int) -> Any:
        # A pool of its own each time, and not blake3.AUTO: that is a pool of the process, whose
        # threads a forked child lacks and waits for for ever.
        try:
            return one(max_threads=threads)
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            return one()  # no thread can be started: what Rust cannot recover from, this can

    return one, parallel
