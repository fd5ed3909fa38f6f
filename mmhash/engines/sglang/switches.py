"""What SGLang's environment variables, and one of mmhash's, say about the sending process."""

from __future__ import annotations

import os

PRECOMPUTE = "SGLANG_MM_PRECOMPUTE_HASH"
SKIP = "SGLANG_MM_SKIP_COMPUTE_HASH"
HANDOVER = "MMHASH_SGLANG_HANDOVER"

# The words that SGLang's own environment variables take.
_TRUE = ("true", "1", "yes", "y")
_FALSE = ("false", "0", "no", "n")


def hashes_in_sender() -> bool:
    """Whether mmhash is to hash there, as SGLang's switches say now.

    SKIP_COMPUTE_HASH: nothing is hashed, and nothing is drawn here in its place. PRECOMPUTE_HASH:
    on, SGLang itself does this; off by name, the ranks hash; not set, it is done here.
    """
    if os.environ.get(SKIP, "").lower() in _TRUE:
        return False
    return os.environ.get(PRECOMPUTE, "").lower() not in _FALSE


def hands_over() -> bool:
    """Whether mmhash writes features into shared memory where install() does not say.

    ValueError for anything but on, off and nothing.
    """
    found = os.environ.get(HANDOVER, "")
    if found.lower() not in ("", "on", "off"):
        raise ValueError(f"environment variable {HANDOVER}: expected on or off, found {found!r}")
    return found.lower() != "off"
