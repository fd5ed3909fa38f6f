"""The entry point of the group `sglang.srt.plugins`, loaded by SGLang since 0.5.11."""

from __future__ import annotations

from mmhash.engines.sglang.engine import load_plugin


def load() -> None:
    """Called by SGLang in each of its processes, because mmhash is installed.

    Registers with SGLang's HookRegistry what is a function there, after the whole of it was found
    to be as expected; what makes dataclass items lazy (mmhash.engines.sglang.lazy) is added to
    their class at once, because a registry of hooks cannot add an attribute.

    MMHASH_SGLANG_ALGORITHM names another algorithm than BLAKE3. MMHASH_ENGINES=off turns it off; so
    does leaving `mmhash` out of SGLANG_PLUGINS. Another value of these variables, or one that the
    key of the process contradicts, ends the process with one line. An SGLang that mmhash does not
    know is left alone, with one warning.
    """
    load_plugin()
