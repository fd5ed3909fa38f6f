"""Whether SGLang wraps features for shared memory as 0.5.23 does, which a Handover repeats."""

from __future__ import annotations

import inspect
from typing import Any

from mmhash.engines.probing import names_in, parameters

# All that these functions name. One that has come to do more, or less, names other things.
_WRAP = """_get_is_default_transport _wrap_tensor_or_list feature get_serving hash mm_inputs
mm_items precomputed_embeddings skip_tokenizer_init"""
_WRAP_VALUE = "Tensor _wrap_shm_or_inline is_cpu isinstance list torch tuple type"
_POINTER = """BaseException SharedMemory _fd _materialization_error _shm_handle buf close contiguous
copy_ cpu dtype element_size frombuffer is_contiguous is_cpu make_shm_name name numel os platform
posix_fallocate precomputed_hash reshape shape shared_memory shm_name sys tensor torch uint8 unlink
view"""
_STATE = "dtype precomputed_hash shape shm_name"


def is_known(mm_utils: Any) -> bool:
    """Whether what makes and pickles pointers to shared memory is as it was when it was read."""
    pointer = getattr(mm_utils, "ShmPointerMMData", None)
    expected = (
        (getattr(mm_utils, "wrap_shm_features", None), ["obj"], _WRAP),
        (
            getattr(mm_utils, "_wrap_tensor_or_list", None),
            ["value", "precomputed_hash"],
            _WRAP_VALUE,
        ),
        (
            getattr(pointer, "__init__", None),
            ["self", "tensor", "precomputed_hash"],
            _POINTER,
        ),
        (getattr(pointer, "__getstate__", None), ["self"], _STATE),
    )
    return all(
        inspect.isfunction(function)
        and parameters(function) == wanted
        and names_in(function) == set(names.split())
        for function, wanted, names in expected
    )
