"""The identity of multimodal features: one digest for a value wherever it lies, at memory speed."""

from mmhash import _environment
from mmhash._core import (
    PendingIdentity,
    get_num_threads,
    hash_feature,
    identity,
    identity_async,
    set_num_threads,
    xxh3_64,
    xxh3_128,
)
from mmhash._info import info
from mmhash._version import __version__
from mmhash.cache import CacheInfo, cache_clear, cache_info, cache_resize, forget, freeze

__all__ = [
    "CacheInfo",
    "PendingIdentity",
    "__version__",
    "cache_clear",
    "cache_info",
    "cache_resize",
    "forget",
    "freeze",
    "get_num_threads",
    "hash_feature",
    "identity",
    "identity_async",
    "info",
    "set_num_threads",
    "xxh3_64",
    "xxh3_128",
]

_environment.apply()
