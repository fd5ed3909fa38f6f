"""What stands in for SGLang's hash_feature."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mmhash import _core, profiling
from mmhash._counters import Counters
from mmhash._nested import Place, replaced
from mmhash.engines.sglang.identities import DIGEST_BYTES, Hash
from mmhash.engines.sglang.probe import Probe

# What an object array is hashed as: its elements, behind a name that no feature begins with.
OBJECT_ARRAY = "mmhash.engines: numpy object array"


def is_wide(probe: Probe, algorithm: _core.Algorithm) -> bool:
    """Whether items get whole identities: there must be 32 bytes, and items that take them."""
    return probe.takes_identities and algorithm.digest_size == DIGEST_BYTES


def make_hash_feature(
    probe: Probe, counters: Counters, algorithm: _core.Algorithm
) -> Callable[[Any], int]:
    """A function for SGLang's `mm_utils.hash_feature`, with the same parameter."""
    whole = functools.partial(_core.identity, algorithm=algorithm)
    first_64_bits = functools.partial(_core.hash_feature, algorithm=algorithm)
    wide = is_wide(probe, algorithm)

    @functools.wraps(probe.mm_utils.hash_feature)
    def hash_feature(f: Any) -> int:
        """64 bits of mmhash.identity(): of shape, dtype, list boundaries and contents.

        Of 32 bytes, where items take those, a Hash that has all of them.

        Tensors, arrays, buffers, numbers, strings and nested lists, tuples and mappings of them,
        on any device: equal values have equal hashes. A shared-memory pointer has the hash that
        came with it, or that of its tensor; a CUDA IPC proxy that of the tensor it stands for; a
        NumPy object array that of its shape and elements. Releases the GIL from 256 KiB on.

        Raises TypeError for what has no identity, None among it (an item without a feature must
        not share a cache entry with the next), and ValueError for a shared-memory pointer that is
        not attached.
        """
        if probe.shm_pointer is not None and isinstance(f, probe.shm_pointer):
            carried = getattr(f, "precomputed_hash", None)
            if carried is not None:
                counters.add("carried")
                return int(carried)
        if f is None:
            raise TypeError(
                "hash_feature: expected a feature, found None: the item has neither a feature nor "
                "precomputed embeddings"
            )
        value = _plain(f, probe)
        counters.add("hashes")
        if wide:
            return Hash.of(profiling.hash_with(whole, value))
        return profiling.hash_with(first_64_bits, value)

    del hash_feature.__wrapped__  # the original is not to be called through this
    return hash_feature


def is_on_cpu(value: Any) -> bool:
    """Whether a feature's bytes are in this process's own memory.

    Those of transports (CUDA IPC proxies, shared-memory pointers) and of device tensors are not:
    what reads them has consequences, and stays where SGLang does it.
    """
    pending, seen = [value], set()
    while pending:
        part = pending.pop()
        if not isinstance(part, (list, tuple)):
            if not _is_in_memory(part):
                return False
        elif id(part) not in seen:
            if not part:
                return False
            seen.add(id(part))  # alive as long as the value is
            pending.extend(part)
    return True


def _is_in_memory(value: Any) -> bool:
    if isinstance(value, (bytes, bytearray, memoryview, int, float, str)):
        return True
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        return bool(value.device.type == "cpu")
    return numpy is not None and isinstance(value, numpy.ndarray)


def _plain(value: Any, probe: Probe) -> Any:
    """The value with transports replaced by the tensors they stand for. Copies no bytes.

    However deep, and whether or not it contains itself: identity() names what it refuses.
    """

    def replace(part: Any) -> tuple[Any, list[Place]]:
        if isinstance(part, (list, tuple)):
            items = list(part)
            return items, [(items, index) for index in range(len(items))]
        if isinstance(part, Mapping):
            mapping = dict(part)
            return mapping, [(mapping, key) for key in mapping]
        if getattr(getattr(part, "dtype", None), "hasobject", False):
            # NumPy's bytes of it are pointers. Elements of object arrays may be arrays in turn.
            framed = [OBJECT_ARRAY, list(part.shape), part.reshape(-1).tolist()]
            return framed, [(framed, 2)]
        return _tensor_of(part, probe), []

    return replaced(value, replace)


def _tensor_of(value: Any, probe: Probe) -> Any:
    """The tensor that a transport stands for; any other value itself."""
    if isinstance(value, probe.ipc_proxy):
        torch = sys.modules["torch"]
        return value.reconstruct_on_target_device(torch.cuda.current_device())
    if probe.shm_pointer is not None and isinstance(value, probe.shm_pointer):
        tensor = getattr(value, "tensor", None)
        if tensor is None:
            raise ValueError(
                "hash_feature: expected a shared-memory pointer with its tensor attached, found "
                "one without: hash the item before it is wrapped, or after it was received"
            )
        return tensor
    return value
