"""Modes of a measured vLLM: implementations of its keys, switched between while it runs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from engines import import_hook
from engines.switch import Enter, Switch

MMHASH = "mmhash"
NOTHING = "no hash"

_numbers = itertools.count()  # of keys that stand for nothing


def _installed() -> Callable[[], None]:
    from mmhash.engines import vllm

    return vllm.install().uninstall


def _nothing() -> Callable[[], None]:
    """A new key at each call, whatever it is given: only where nothing is sent twice."""
    from vllm.multimodal.hasher import MultiModalHasher

    released = vars(MultiModalHasher)["hash_kwargs"]

    def hash_kwargs(cls: Any, algorithm: Any, /, **kwargs: Any) -> str:
        return f"{os.getpid():032x}{next(_numbers):032x}"

    MultiModalHasher.hash_kwargs = classmethod(hash_kwargs)

    def leave() -> None:
        MultiModalHasher.hash_kwargs = released

    return leave


MODES: dict[str, Enter] = {MMHASH: _installed, NOTHING: _nothing}


def after_import(switch: Switch) -> import_hook.AfterImport:
    """Where requests enter the API server and the offline class, and where keys are made."""

    def async_llm(module: ModuleType) -> None:
        module.AsyncLLM.generate = switch.following(module.AsyncLLM.generate, "API server")

    def offline(module: ModuleType) -> None:
        module.LLM.generate = switch.following(module.LLM.generate, "offline")

    def hasher(module: ModuleType) -> None:
        switch.watch(module.MultiModalHasher, "hash_kwargs", "hash")

    return {
        "vllm.v1.engine.async_llm": async_llm,
        "vllm.entrypoints.llm": offline,
        "vllm.multimodal.hasher": hasher,
    }
