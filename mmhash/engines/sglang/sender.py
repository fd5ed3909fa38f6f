"""The tokenizer manager hashes before it sends, and not on its event loop."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mmhash import _core, profiling
from mmhash._counters import Counters
from mmhash.engines.sglang.hashing import is_on_cpu

# As many as SGLang's own MultimodalHashExecutor has.
THREADS = 2

PRECOMPUTE = "SGLANG_MM_PRECOMPUTE_HASH"
SKIP = "SGLANG_MM_SKIP_COMPUTE_HASH"

Tokenize = Callable[..., Coroutine[Any, Any, Any]]


class Sender:
    """Sets the pad values of a request's items, which then travel with them.

    Features in this process's memory only: device tensors and CUDA IPC proxies are hashed where
    SGLang hashes them. Features of 256 KiB and more are hashed in a thread, which keeps them alive
    until it is done, also when the request is cancelled; smaller ones at once, because they are
    hashed with the GIL held and sooner than a thread takes them up.
    """

    def __init__(
        self, item_class: Any, set_pad_value_now: Callable[[Any], None], counters: Counters
    ) -> None:
        self._item_class = item_class
        self._set_pad_value_now = set_pad_value_now
        self._counters = counters
        self._large: Any = _core.info()["gil_release_bytes"]
        # Only the sending process starts them. They end when this object goes, which a request that
        # is still under way after uninstall() keeps.
        self._threads: ThreadPoolExecutor | None = None

    def wrap(self, original: Tokenize) -> Tokenize:
        """TokenizerManager._tokenize_one_request, with hashed items in what it returns."""

        @functools.wraps(original)
        async def _tokenize_one_request(manager: Any, obj: Any) -> Any:
            tokenized = await original(manager, obj)
            await self.resolve(getattr(tokenized, "mm_inputs", None))
            return tokenized

        return _tokenize_one_request

    async def resolve(self, mm_inputs: Any) -> None:
        """Hashes the items of a request. What cannot be hashed here is left to the ranks."""
        if mm_inputs is None or not _wanted():
            return
        items = self._unhashed(mm_inputs)
        large = [item for item in items if profiling.nbytes(_source(item)) >= self._large]
        if not large:
            self._set_all(items)
            return
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mmhash-sglang")
        await asyncio.get_running_loop().run_in_executor(self._threads, self._set_all, items)

    def _unhashed(self, mm_inputs: Any) -> list[Any]:
        items = mm_inputs.get("mm_items") if isinstance(mm_inputs, dict) else None
        if items is None:
            items = getattr(mm_inputs, "mm_items", None)
        return [
            item
            for item in items or ()
            if isinstance(item, self._item_class)
            and _raw(item, "pad_value") is None
            and (_raw(item, "hash") is not None or is_on_cpu(_source(item)))
        ]

    def _set_all(self, items: list[Any]) -> None:
        for item in items:
            self._set_pad_value_now(item)
            self._counters.add("sent")


def _wanted() -> bool:
    """What SGLang's switches say.

    SKIP_COMPUTE_HASH: nothing is hashed, and nothing is drawn here in its place. PRECOMPUTE_HASH:
    on, SGLang itself does this; off by name, the ranks hash; not set, it is done here.
    """
    if os.environ.get(SKIP, "").lower() in _TRUE:
        return False
    return os.environ.get(PRECOMPUTE, "").lower() not in _FALSE


# The words that SGLang's own environment variables take.
_TRUE = ("true", "1", "yes", "y")
_FALSE = ("false", "0", "no", "n")


def _raw(item: Any, name: str) -> Any:
    """The attribute, without resolving an item whose hash is put off."""
    state = getattr(item, "__dict__", {})
    return state[name] if name in state else getattr(item, name, None)


def _source(item: Any) -> Any:
    return item.precomputed_embeddings if item.feature is None else item.feature
