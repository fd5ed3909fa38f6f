"""The ways in which hashes confuse values: each gives what such a hash is computed from.

A distinct pair is equal in the eyes of its way, and an equal pair is not. None of them is the code
of the project whose report describes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image


def elements(value: Any) -> bytes:
    """The bytes of the elements, one part after the other: no shape, dtype, size or boundary."""
    if value is None:
        return b""
    if isinstance(value, dict):
        return b"".join(str(key).encode() + elements(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return b"".join(map(elements, value))
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, torch.Tensor):
        return value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, Image.Image):
        return value.tobytes()
    return value if isinstance(value, bytes) else np.asarray(value).tobytes()


def memory(value: Any) -> bytes:
    """What lies in memory, in the order in which it lies there."""
    if isinstance(value, torch.Tensor):
        return bytes(value.untyped_storage())
    return value.tobytes(order="A")


def dotted_names(value: Any, name: str = "") -> bytes:
    """Each leaf after its path, as `images.0`: lists and empty parts leave no trace."""
    return b"".join(path.encode() + elements(leaf) for path, leaf in dotted_leaves(value, name))


def dotted_leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (dict, list, tuple)):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in entries:
            yield from dotted_leaves(item, f"{name}.{key}")
    else:
        yield name, value


def sampled(array: Any) -> bytes:
    """Some elements of a large array, always the same ones."""
    return np.random.RandomState(0).choice(array.ravel(), 1000).tobytes()


def sum_of_parts(parts: Any) -> int:
    """The hashes of the parts by exclusive or: their order does not show, and twins cancel."""
    total = 0
    for part in [*parts, *parts.values()] if isinstance(parts, dict) else parts:
        total ^= int.from_bytes(hashlib.sha256(elements(part)).digest(), "big")
    return total


def png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", dpi=image.info.get("dpi", (72, 72)))
    return file.getvalue()


def joined_text(parts: Any) -> str:
    return "".join(str(part) for part in parts)


#: By the name under which docs/confusions.md has them.
WAYS: dict[str, Callable[[Any], Any]] = {
    "the elements' bytes": elements,
    "the memory": memory,
    "dotted names": dotted_names,
    "`==`": lambda value: value,
    "`hash()`": hash,
    "`repr()`": repr,
    "`str()` of the parts": joined_text,
    "truth": lambda value: {name: item or None for name, item in value.items()},
    "JSON": json.dumps,
    "pickle": pickle.dumps,
    "the address": id,
    "a sample": sampled,
    "the file": png,
    "the first 64 KiB": lambda value: elements(value)[: 1 << 16],
    "the first frame": lambda frames: elements(frames[0]),
    "the feature alone": lambda item: elements(item["feature"]),
    "sorted parts": lambda parts: sorted(map(elements, parts)),
    "parts by XOR": sum_of_parts,
    "the parts": list,
    "float16": lambda tensor: elements(tensor.to(torch.float16)),
    "float32": lambda tensor: elements(tensor.to(torch.float32)),
    "NFC": lambda text: unicodedata.normalize("NFC", text),
    "U+FFFD in place of surrogates": lambda text: text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    ),
}
