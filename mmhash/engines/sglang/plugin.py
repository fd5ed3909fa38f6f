"""The entry point of the group `sglang.srt.plugins`, loaded by SGLang since 0.5.11."""

from __future__ import annotations

import logging

from mmhash.engines import switch
from mmhash.engines.announcing import announce
from mmhash.engines.sglang.installing import install, logger
from mmhash.engines.sglang.shape import UnsupportedSGLangError


def load() -> None:
    """Called by SGLang in each of its processes, because mmhash is installed.

    Replaces attributes itself instead of registering them with SGLang's HookRegistry: that
    applies each hook on its own and logs the one that fails, which would leave SGLang half
    patched, and cannot take them back. Hooks that others register still go around what stands
    here.

    MMHASH_ENGINES=off turns it off; so does leaving `mmhash` out of SGLANG_PLUGINS. An SGLang that
    mmhash does not know is left alone, with one warning.
    """
    if not switch.enabled():
        return
    try:
        install()
    except UnsupportedSGLangError as error:
        announce(logger, logging.WARNING, str(error))
