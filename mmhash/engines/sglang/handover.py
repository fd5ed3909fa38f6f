"""Large features are written into shared memory, and XXH3 hashes them in the same pass.

SGLang's ShmPointerMMData reserves a segment (or a full /dev/shm would be a SIGBUS), maps it and
copies. pwrite(2) gets ENOSPC by itself, and spares clearing pages that are then overwritten, and a
page fault for each: 0.55 of the processor time. SGLang does it on the event loop of the tokenizer
manager, and so is this done there. XXH3 adds a tenth to that, and nothing is left to do for a
thread; BLAKE3 and SHA-256 would hold the event loop up as long as the writing or longer, and
nothing is gained by hashing in the same pass: they hash before, in a thread.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from multiprocessing import shared_memory
from typing import Any

from mmhash import _core
from mmhash._counters import Counters
from mmhash.engines.sglang.hashing import Written
from mmhash.engines.sglang.probe import Probe
from mmhash.engines.sglang.switches import hashes_in_sender

Wrap = Callable[[Any], Any]

# Those of features. All of them can be hashed: a TypeError would come too late here, when the
# features of other items of the request have segments already.
DTYPES = ("float32", "bfloat16", "float16", "float64", "uint8")


class Handover:
    """Makes SGLang's pointers to shared memory as their constructor does, but for the copy.

    Of an item's one large contiguous CPU tensor. All others, embeddings, and what finds no room are
    left to SGLang, which then does with it what it does.
    """

    def __init__(
        self,
        probe: Probe,
        set_pad_value_now: Callable[[Any], None],
        counters: Counters,
        algorithm: _core.Algorithm,
        written: Written,
    ) -> None:
        self._mm_utils: Any = probe.mm_utils
        self._pointer_class = probe.shm_pointer
        self._item_class = probe.item_class
        self._set_pad_value_now = set_pad_value_now
        self._counters = counters
        self._algorithm = algorithm
        self._written = written
        # Smaller ones are hashed sooner than they are written.
        self._large: Any = _core.info()["gil_release_bytes"]
        self._torch: Any = sys.modules["torch"]
        self._dtypes = {getattr(self._torch, name) for name in DTYPES}

    def wrap(self, original: Wrap) -> Wrap:
        """mm_utils.wrap_shm_features, which finds the large features wrapped."""

        @functools.wraps(original)
        def wrap_shm_features(obj: Any) -> Any:
            if obj.mm_inputs and self._travels_in_segments():
                for item in obj.mm_inputs.mm_items:
                    if self._takes(item):
                        self._hand_over(item)
            return original(obj)

        return wrap_shm_features

    def hashes_later(self, manager: Any, item: Any) -> bool:
        """Whether an item that this manager has tokenized gets its hash when it is wrapped.

        What then does not come to be wrapped has none, and is hashed by the ranks.
        """
        transport = getattr(manager, "cuda_vmm_feature_transport", None)
        return (
            getattr(transport, "pool", None) is None  # which would take the features before
            and self._takes(item)
            and self._is_hashed_here(item)
            and self._travels_in_segments()
        )

    def _travels_in_segments(self) -> bool:
        """As wrap_shm_features() asks."""
        mm_utils = self._mm_utils
        return not (
            mm_utils._get_is_default_transport() or mm_utils.get_serving().skip_tokenizer_init
        )

    def _takes(self, item: Any) -> bool:
        feature: Any = getattr(item, "feature", None)
        return (
            isinstance(item, self._item_class)
            and item.precomputed_embeddings is None
            and type(feature) is self._torch.Tensor
            and feature.is_cpu
            and feature.dtype in self._dtypes
            and feature.is_contiguous()
            and not feature.is_neg()
            and feature.nbytes >= self._large
        )

    def _is_hashed_here(self, item: Any) -> bool:
        unhashed = item.hash is None and item.pad_value is None
        return unhashed and self._algorithm.name == "xxh3" and hashes_in_sender()

    def _hand_over(self, item: Any) -> None:
        feature, hashed = item.feature, self._is_hashed_here(item)
        try:
            segment = shared_memory.SharedMemory(
                create=True, size=feature.nbytes, name=self._mm_utils.make_shm_name("mm")
            )
        except OSError:
            return self._leave(item, hashed)
        try:
            if hashed:
                identity = _core.write(segment._fd, feature, algorithm=self._algorithm)  # type: ignore[attr-defined]
                self._set_hash(item, identity)
            else:
                data = feature.detach().view(-1).view(self._torch.uint8).numpy()
                _write(segment._fd, memoryview(data))  # type: ignore[attr-defined]
            pointer = self._pointer(feature, segment.name, item.hash)
        except BaseException as error:
            segment.close()
            segment.unlink()
            if isinstance(error, OSError):
                return self._leave(item, hashed)
            raise
        segment.close()
        item.feature = pointer
        self._counters.add("handed")
        return None

    def _leave(self, item: Any, hashed: bool) -> None:
        """To SGLang, which finds no room either, says so once, and sends it in the message."""
        if hashed:
            self._set_hash(item, None)

    def _set_hash(self, item: Any, identity: bytes | None) -> None:
        """By SGLang's set_pad_value(), whose hash_feature() finds the identity if there is one."""
        if identity is not None:
            self._written.now = (item.feature, identity)
        try:
            self._set_pad_value_now(item)
        finally:
            self._written.now = None
        self._counters.add("sent")

    def _pointer(self, feature: Any, name: str, number: int | None) -> Any:
        """With the attributes that its constructor gives it: the probe has looked at those."""
        pointer = self._pointer_class.__new__(self._pointer_class)
        pointer._shm_handle = pointer.tensor = pointer._materialization_error = None
        pointer.shape, pointer.dtype = feature.shape, feature.dtype
        pointer.precomputed_hash = number
        pointer.shm_name = name
        return pointer


def _write(descriptor: int, data: memoryview) -> None:
    """OSError if there is no room. Python itself tries again after EINTR."""
    offset = 0
    while offset < len(data):
        offset += os.pwrite(descriptor, data[offset:], offset)
