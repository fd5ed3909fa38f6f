"""What of SGLang is relied on, found and checked before anything is replaced."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from types import CodeType, ModuleType
from typing import Any

OLDEST = (0, 5, 5)
TESTED = ("0.5.5", "0.5.11", "0.5.23")

ITEM_FIELDS = {"modality", "hash", "pad_value", "feature", "precomputed_embeddings"}

# A class that has one of these already does with attributes or pickling what mmhash would do.
_TAKEN = (
    "__setattr__",
    "__getattribute__",
    "__reduce__",
    "__reduce_ex__",
    "__getstate__",
    "__copy__",
    "__deepcopy__",
    "__slots__",
)


class UnsupportedSGLangError(RuntimeError):
    """The installed SGLang is not as mmhash knows it. Nothing of it was replaced."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The modules and classes of an SGLang that mmhash knows how to serve."""

    version: str
    mm_utils: ModuleType
    item_class: Any
    tokenizer_manager: Any
    shm_pointer: Any  # None before SGLang had it
    ipc_proxy: Any
    items: str  # "dataclass" or "struct"
    lazy: bool  # whether the items' hashes can be put off


def find() -> Shape:
    """The shape of the installed SGLang. Imports it.

    Raises UnsupportedSGLangError, which names what was expected and what was found, for a version
    before 0.5.5 and for one whose classes and functions are not as expected; ImportError where
    SGLang is not installed or does not import.
    """
    try:
        found = version("sglang")
    except PackageNotFoundError:
        raise ImportError("mmhash.engines.sglang: SGLang is not installed here") from None
    if _numbers(found) < OLDEST:
        raise UnsupportedSGLangError(
            f"SGLang {found}: expected 0.5.5 or newer; mmhash replaced nothing"
        )
    return of_modules(
        found,
        mm_utils=importlib.import_module("sglang.srt.managers.mm_utils"),
        schedule_batch=importlib.import_module("sglang.srt.managers.schedule_batch"),
        tokenizer_manager=importlib.import_module("sglang.srt.managers.tokenizer_manager"),
    )


def of_modules(found: str, *, mm_utils: Any, schedule_batch: Any, tokenizer_manager: Any) -> Shape:
    """The shape of three modules of SGLang `found`: what find() does after importing them."""
    wrong: list[str] = []
    item_class: Any = getattr(schedule_batch, "MultimodalDataItem", None)
    manager: Any = getattr(tokenizer_manager, "TokenizerManager", None)
    ipc_proxy = getattr(mm_utils, "CudaIpcTensorTransportProxy", None)
    pointer = getattr(mm_utils, "ShmPointerMMData", None)

    _check_function(wrong, mm_utils, "hash_feature", ["f"])
    items = _item_kind(wrong, item_class)
    if items:
        _check_function(wrong, item_class, "set_pad_value", ["self"])
        if not wrong and not _reaches_hash_feature(item_class.set_pad_value):
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
        raise UnsupportedSGLangError(
            f"SGLang {found} is not as mmhash knows it (tested: {', '.join(TESTED)}); "
            "mmhash replaced nothing:\n  " + "\n  ".join(wrong)
        )
    return Shape(
        version=found,
        mm_utils=mm_utils,
        item_class=item_class,
        tokenizer_manager=manager,
        shm_pointer=pointer,
        ipc_proxy=ipc_proxy,
        items=items,
        lazy=items == "dataclass" and _can_be_lazy(item_class),
    )


def _numbers(found: str) -> tuple[int, ...]:
    """(0, 5, 11) of "0.5.11.post1"."""
    return tuple(int(part) for part in re.findall(r"\d+", found)[:3])


def _check_function(wrong: list[str], owner: Any, name: str, parameters: list[str]) -> None:
    where = f"{getattr(owner, '__name__', owner)}.{name}"
    function: Any = getattr(owner, name, None)
    if not inspect.isfunction(function):
        wrong.append(f"{where}: expected a function, found {type(function).__name__}")
        return
    found = list(inspect.signature(function).parameters)
    if found != parameters:
        wrong.append(
            f"{where}: expected the parameters ({', '.join(parameters)}), "
            f"found ({', '.join(found)})"
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


def _can_be_lazy(item_class: Any) -> bool:
    """Whether set_pad_value() of a dataclass item may put hashing off.

    Where SGLang has an executor of its own that calls set_pad_value() in a thread, to have it over
    with, putting it off would bring the hash back onto the event loop.
    """
    executor = "sglang.srt.multimodal.processors.hash_executor"
    try:
        has_executor = importlib.util.find_spec(executor) is not None
    except ImportError:
        has_executor = False
    return not has_executor and not any(name in vars(item_class) for name in _TAKEN)


def _reaches_hash_feature(function: Any) -> bool:
    """Whether a function names hash_feature, or the helper of SGLang's that does."""
    names = set(_names(inspect.unwrap(function).__code__))
    if "hash_feature" in names:
        return True
    if "resolve_multimodal_item_hash" not in names:
        return False
    helper = importlib.import_module("sglang.srt.multimodal.cache").resolve_multimodal_item_hash
    return "hash_feature" in set(_names(inspect.unwrap(helper).__code__))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
