"""The environment variable that turns every engine plugin off."""

from __future__ import annotations

import os

VARIABLE = "MMHASH_ENGINES"


def enabled() -> bool:
    """False if MMHASH_ENGINES is `off`; True if it is `on`, empty or not set.

    Only plugins ask, which an engine loads because mmhash is installed. Who calls an install()
    wants it. Raises ValueError for anything else, so that a server with a typo fails when it
    starts.
    """
    found = os.environ.get(VARIABLE, "")
    if found.lower() not in ("", "on", "off"):
        raise ValueError(f"environment variable {VARIABLE}: expected on or off, found {found!r}")
    return found.lower() != "off"
