"""SHA-256 (FIPS 180-4) by hashlib, and HMAC-SHA-256 (FIPS 198-1) by hmac: OpenSSL's, mostly."""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable
from typing import Any

PARALLEL_BYTES = 0  # it has no threads


def functions(key: bytes | None) -> tuple[Callable[..., Any], Callable[[int], Any] | None]:
    """What makes hash objects with that key, of one thread."""
    if key is None:
        return hashlib.sha256, None
    return functools.partial(hmac.new, key, digestmod="sha256"), None
