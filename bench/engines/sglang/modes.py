"""Modes of a measured SGLang: implementations of its hash, switched between while it runs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from engines import import_hook
from engines.switch import Enter, Switch

MMHASH = "mmhash"
RANKS = "mmhash, hashed by the ranks"
XXHASH = "xxhash in its place"
NOTHING = "no hash"


def _memory(feature: Any) -> memoryview:
    """The bytes of a contiguous tensor, as the shortest path to a hash of a buffer takes them."""
    import torch

    return memoryview(feature.detach().reshape(-1).view(torch.uint8).numpy())


def _xxhash(f: Any) -> int:
    import xxhash

    return int(xxhash.xxh3_128_intdigest(_memory(f)) >> 64)


def _sample(f: Any) -> int:
    """64 pieces of 64 bytes: what remains when a hash costs nothing. Not fit for use."""
    memory, digest = _memory(f), hashlib.sha256()
    step = max(64, len(memory) // 64)
    for start in range(0, len(memory), step):
        digest.update(memory[start : start + 64])
    return int.from_bytes(digest.digest()[:8], "big")


def _in_its_place(hash_feature: Callable[[Any], int]) -> Enter:
    def enter() -> Callable[[], None]:
        from sglang.srt.managers import mm_utils

        released = mm_utils.hash_feature
        mm_utils.hash_feature = hash_feature

        def leave() -> None:
            mm_utils.hash_feature = released

        return leave

    return enter


def _installed(precompute: str | None) -> Enter:
    """mmhash.engines.sglang.install(), with SGLANG_MM_PRECOMPUTE_HASH as it is or as given."""

    def enter() -> Callable[[], None]:
        from mmhash.engines import sglang

        sglang.install()
        before = os.environ.get(PRECOMPUTE)
        if precompute is not None:
            os.environ[PRECOMPUTE] = precompute

        def leave() -> None:
            os.environ.pop(PRECOMPUTE, None)
            if before is not None:
                os.environ[PRECOMPUTE] = before
            sglang.uninstall()

        return leave

    return enter


PRECOMPUTE = "SGLANG_MM_PRECOMPUTE_HASH"

MODES: dict[str, Enter] = {
    XXHASH: _in_its_place(_xxhash),
    RANKS: _installed("0"),
    MMHASH: _installed(None),
    NOTHING: _in_its_place(_sample),
}


def after_import(switch: Switch) -> import_hook.AfterImport:
    """Where requests enter the tokenizer's process and the schedulers', and where they hash."""

    def tokenizer_manager(module: ModuleType) -> None:
        manager = module.TokenizerManager
        manager.generate_request = switch.following(manager.generate_request, "sender")

    def scheduler(module: ModuleType) -> None:
        entered = module.Scheduler.handle_generate_request
        module.Scheduler.handle_generate_request = switch.following(entered, "rank")

    def mm_utils(module: ModuleType) -> None:
        switch.watch(module, "hash_feature", "hash")

    return {
        "sglang.srt.managers.tokenizer_manager": tokenizer_manager,
        "sglang.srt.managers.scheduler": scheduler,
        "sglang.srt.managers.mm_utils": mm_utils,
    }
