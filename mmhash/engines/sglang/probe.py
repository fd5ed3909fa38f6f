"""A probe of SGLang: what is relied on, found and checked before anything is replaced."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from mmhash.engines.engine import UnsupportedEngineError
from mmhash.engines.probing import names_in, parameters, refusal

OLDEST = (0, 5, 5)
TESTED = ("0.5.5", "0.5.11", "0.5.23")

CACHE = "sglang.srt.multimodal.cache"
EXECUTOR = "sglang.srt.multimodal.processors.hash_executor"

ITEM_FIELDS = {"modality", "hash", "pad_value", "feature", "precomputed_embeddings"}

# A class that has one of these already does with attributes or pickling what mmhash would do.
_TAKEN = (
    "__setattr__",
    "__delattr__",
    "__getattribute__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__copy__",
    "__deepcopy__",
    "__slots__",
)


class UnsupportedSGLangError(UnsupportedEngineError):
    """The installed SGLang is not as mmhash knows it. Nothing of it was replaced."""


@dataclasses.dataclass(frozen=True)
class Modules:
    """The modules of an SGLang that are looked at."""

    version: str
    mm_utils: Any
    schedule_batch: Any
    tokenizer_manager: Any
    cache: Any = None  # sglang.srt.multimodal.cache, where there is one
    has_executor: bool = False  # one of its own, that hashes in threads


@dataclasses.dataclass(frozen=True)
class Probe:
    """The modules and classes of an SGLang that mmhash knows how to serve."""

    version: str
    mm_utils: ModuleType
    item_class: Any
    tokenizer_manager: Any
    shm_pointer: Any  # None before SGLang had it
    ipc_proxy: Any
    items: str  # "dataclass" or "struct"
    lazy: bool  # whether the items' hashes can be put off
    takes_identities: bool  # whether items can have 32 bytes, by set_identity()


def load() -> Modules:
    """Imports the installed SGLang.

    Raises UnsupportedSGLangError for a version before 0.5.5; ImportError where SGLang is not
    installed or does not import.
    """
    try:
        found = version("sglang")
    except PackageNotFoundError:
        raise ImportError("mmhash.engines.sglang: SGLang is not installed here") from None
    if _numbers(found) < OLDEST:
        raise UnsupportedSGLangError(
            f"SGLang {found}: expected 0.5.5 or newer; mmhash replaced nothing"
        )
    return Modules(
        found,
        mm_utils=importlib.import_module("sglang.srt.managers.mm_utils"),
        schedule_batch=importlib.import_module("sglang.srt.managers.schedule_batch"),
        tokenizer_manager=importlib.import_module("sglang.srt.managers.tokenizer_manager"),
        cache=_optional(CACHE),
        has_executor=_exists(EXECUTOR),
    )


def probe(modules: Modules) -> Probe:
    """What is relied on in these modules.

    Raises UnsupportedSGLangError, which names what was expected and what was found, where classes
    and functions are not as expected.
    """
    mm_utils = modules.mm_utils
    item_class: Any = getattr(modules.schedule_batch, "MultimodalDataItem", None)
    manager: Any = getattr(modules.tokenizer_manager, "TokenizerManager", None)
    wrong: list[str] = []
    ipc_proxy = getattr(mm_utils, "CudaIpcTensorTransportProxy", None)
    pointer = getattr(mm_utils, "ShmPointerMMData", None)

    _check_function(wrong, mm_utils, "hash_feature", ["f"])
    items = _item_kind(wrong, item_class)
    if items:
        _check_function(wrong, item_class, "set_pad_value", ["self"])
        if not wrong and not _reaches_hash_feature(item_class.set_pad_value, modules.cache):
            wrong.append(
                "MultimodalDataItem.set_pad_value: expected it to look up mm_utils.hash_feature "
                "when it is called"
            )
    _check_function(wrong, manager, "_tokenize_one_request", ["self", "obj"])
    if not wrong and not inspect.iscoroutinefunction(inspect.unwrap(manager._tokenize_one_request)):
        wrong.append("TokenizerManager._tokenize_one_request: expected a coroutine function")
    if not callable(getattr(ipc_proxy, "reconstruct_on_target_device", None)):
        wrong.append("mm_utils.CudaIpcTensorTransportProxy.reconstruct_on_target_device: missing")
    if wrong:
        raise UnsupportedSGLangError(refusal("SGLang", modules.version, TESTED, wrong))
    return Probe(
        version=modules.version,
        mm_utils=mm_utils,
        item_class=item_class,
        tokenizer_manager=manager,
        shm_pointer=pointer,
        ipc_proxy=ipc_proxy,
        items=items,
        lazy=items == "dataclass" and _can_be_lazy(item_class, modules.has_executor),
        takes_identities=items == "struct" and _takes_identities(item_class),
    )


def _numbers(found: str) -> tuple[int, ...]:
    """(0, 5, 11) of "0.5.11.post1"."""
    return tuple(int(part) for part in re.findall(r"\d+", found)[:3])


def _check_function(wrong: list[str], owner: Any, name: str, expected: list[str]) -> None:
    where = f"{getattr(owner, '__name__', owner)}.{name}"
    function: Any = getattr(owner, name, None)
    if not inspect.isfunction(function):
        wrong.append(f"{where}: expected a function, found {type(function).__name__}")
        return
    found = parameters(function)
    if found != expected:
        wrong.append(
            f"{where}: expected the parameters ({', '.join(expected)}), found ({', '.join(found)})"
        )


def _item_kind(wrong: list[str], item_class: Any) -> str:
    if dataclasses.is_dataclass(item_class):
        names = {field.name for field in dataclasses.fields(item_class)}
        kind = "dataclass"
    elif isinstance(getattr(item_class, "__struct_fields__", None), tuple):
        names = set(item_class.__struct_fields__)
        kind = "struct"
    else:
        wrong.append("MultimodalDataItem: expected a dataclass or a msgspec Struct")
        return ""
    if not names >= ITEM_FIELDS:
        missing = ", ".join(sorted(ITEM_FIELDS - names))
        wrong.append(f"MultimodalDataItem: expected fields that it lacks: {missing}")
        return ""
    return kind


def _can_be_lazy(item_class: Any, has_executor: bool) -> bool:
    """Whether set_pad_value() of a dataclass item may put hashing off.

    Where SGLang has an executor of its own that calls set_pad_value() in a thread, to have it over
    with, putting it off would bring the hash back onto the event loop.
    """
    return not has_executor and not any(name in vars(item_class) for name in _TAKEN)


def _takes_identities(item_class: Any) -> bool:
    """Whether what set_pad_value() has hashed goes through set_hash(), beside set_identity()."""
    expected = {"set_hash": ["self", "hash_value"], "set_identity": ["self", "identity"]}
    methods = {name: getattr(item_class, name, None) for name in expected}
    return (
        all(inspect.isfunction(method) for method in methods.values())
        and {name: parameters(method) for name, method in methods.items()} == expected
        and "set_hash" in names_in(item_class.set_pad_value)
        and "identity" in item_class.__struct_fields__
    )


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def _reaches_hash_feature(function: Any, cache: Any) -> bool:
    """Whether a function names hash_feature, or the helper of SGLang's that does."""
    names = names_in(function)
    if "hash_feature" in names:
        return True
    if "resolve_multimodal_item_hash" not in names or cache is None:
        return False
    return "hash_feature" in names_in(cache.resolve_multimodal_item_hash)
