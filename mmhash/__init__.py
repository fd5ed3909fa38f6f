"""The identity of multimodal features: one digest for a value wherever it lies, at memory speed."""

import typing

try:
    from mmhash import _core  # noqa: F401 - see below
except ImportError:
    from importlib.util import find_spec

    if find_spec("mmhash._core") is not None:
        raise  # it is there, and says itself what it lacks
    # Most often the sources of a clone, which hide the mmhash that is installed: the current folder
    # is where Python looks first.
    raise ImportError(
        f"mmhash in {__path__[0]} has no module _core for this Python: if that is a clone, "
        "run Python from another folder to use the mmhash that is installed, or compile the module "
        "there with `pip install -e .`"
    ) from None

from mmhash import _environment
from mmhash._core import (
    PendingIdentity,
    copy,
    get_num_threads,
    hash_feature,
    identity,
    identity_async,
    set_num_threads,
    write,
    xxh3_64,
    xxh3_128,
)
from mmhash._info import info
from mmhash._version import __version__
from mmhash.cache import CacheInfo, cache_clear, cache_info, cache_resize, forget, freeze
from mmhash.configuration import configure
from mmhash.warming import warm_up

if typing.TYPE_CHECKING:
    from mmhash.executor import HashExecutor
    from mmhash.inputs import MultimodalInputs
    from mmhash.items import MultimodalDataItem
    from mmhash.lazy import LazyHash
    from mmhash.modality import Modality
    from mmhash.profiling import profile

__all__ = [
    "CacheInfo",
    "HashExecutor",
    "LazyHash",
    "Modality",
    "MultimodalDataItem",
    "MultimodalInputs",
    "PendingIdentity",
    "__version__",
    "cache_clear",
    "cache_info",
    "cache_resize",
    "configure",
    "copy",
    "forget",
    "freeze",
    "get_num_threads",
    "hash_feature",
    "identity",
    "identity_async",
    "info",
    "profile",
    "set_num_threads",
    "warm_up",
    "write",
    "xxh3_64",
    "xxh3_128",
]

# Imported when they are first asked for: asyncio and dataclasses take several times as long to
# import as all of what identity() needs.
_LATER = {
    "HashExecutor": "executor",
    "LazyHash": "lazy",
    "Modality": "modality",
    "MultimodalDataItem": "items",
    "MultimodalInputs": "inputs",
    "profile": "profiling",
}


def __getattr__(name: str) -> typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"mmhash.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


_environment.apply()
