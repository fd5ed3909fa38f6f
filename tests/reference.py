"""Identity version 1, written to be read: the oracle of every other test.

This is `docs/SPEC.md` as Python. It is slow, copies freely and knows nothing of `mmhash`: the hash
functions are PyPI's `xxhash` and `blake3` and the standard library's, arrays are NumPy's and images
Pillow's. torch is looked up only where it is loaded already, because a value can be a tensor only
then.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import blake3
import numpy as np
import xxhash

LEAF = 8192

#: Every dtype that has an identity, with the bytes of an element.
DTYPES = {
    "bool": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
    "float8_e4m3fn": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
}


# The format: a hash of a frame, in which long payloads stand as trees.


def H(data: bytes) -> bytes:  # noqa: N802  the name it has in SPEC.md
    return xxhash.xxh3_128_digest(data)


def u64(n: int) -> bytes:
    return n.to_bytes(8, "little")


def len8(data: bytes) -> bytes:
    return len(data).to_bytes(1, "little")


def frame(kind: bytes, *parts: bytes) -> bytes:
    return b"mmh1" + kind + b"".join(parts)


def tree(payload: bytes) -> bytes:
    """Fold a payload of any length into at most 8192 bytes."""
    while len(payload) > LEAF:
        payload = b"".join(H(payload[i : i + LEAF]) for i in range(0, len(payload), LEAF))
    return payload


def hash64(identity: bytes) -> int:
    """The 64-bit hash that goes with an identity: what `mmhash.hash_feature` returns."""
    return int.from_bytes(identity[:8], "big")


# The same frames by other hash functions: SPEC.md's last part.


@dataclass(frozen=True)
class Algorithm:
    """A hash function, and how it folds a payload that does not stand in its frame as it is."""

    H: Callable[[bytes], bytes]
    tree: Callable[[bytes], bytes]


XXH3 = Algorithm(H, tree)


def algorithm(name: str, key: bytes | None = None) -> Algorithm:
    """`"xxh3"`, which takes no key, `"blake3"` or `"sha256"`; a key has 32 bytes."""
    if name == "xxh3":
        assert key is None
        return XXH3
    assert key is None or len(key) == 32

    def hashed(data: bytes) -> bytes:
        if name == "blake3":
            return blake3.blake3(data, key=key).digest()
        assert name == "sha256"
        if key is None:
            return hashlib.sha256(data).digest()
        return hmac.digest(key, data, "sha256")

    return Algorithm(hashed, lambda data: data if len(data) <= LEAF else hashed(data))


# The values, kind by kind, in the order in which SPEC.md tries them.


def identity(value: object, name: str = "xxh3", key: bytes | None = None) -> bytes:
    """The identity of any value of SPEC.md's table; `TypeError` for every other.

    16 bytes by `"xxh3"`, 32 by any other algorithm.
    """
    return identity_by(algorithm(name, key), value)


def identity_by(by: Algorithm, value: object) -> bytes:
    return by.H(frame_of(value, by))


def frame_of(value: Any, by: Algorithm = XXH3) -> bytes:
    if value is None:
        return frame(b"N")
    if (tensor := as_tensor(value)) is not None:
        return tensor_frame(*tensor, by)
    if isinstance(value, bool):
        return frame(b"B", bytes([value]))
    if isinstance(value, int):
        return frame(b"I", int_bytes(value))
    if isinstance(value, float):
        return frame(b"F", float_bytes(value))
    if isinstance(value, complex):
        return frame(b"C", float_bytes(value.real), float_bytes(value.imag))
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return frame(b"S", u64(len(text)), by.tree(text))
    if is_image(value):
        return image_frame(value, by)
    if isinstance(value, Mapping):
        entries = sorted(
            identity_by(by, key) + identity_by(by, item) for key, item in value.items()
        )
        return frame(b"M", u64(len(entries)), *entries)
    if isinstance(value, (list, tuple)):
        return frame(b"L", u64(len(value)), *(identity_by(by, item) for item in value))
    content = buffer_bytes(value)
    return frame(b"Y", u64(len(content)), by.tree(content))


def int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)


def float_bytes(value: float) -> bytes:
    if value != value:  # every NaN is one NaN
        return (0x7FF8000000000000).to_bytes(8, "little")
    return struct.pack("<d", value)


def buffer_bytes(value: Any) -> bytes:
    try:
        view = memoryview(value)
    except TypeError:
        raise unsupported(value) from None
    if "O" in view.format:  # the bytes would be addresses, another in each process
        raise unsupported(value)
    return view.tobytes(order="C")


def is_image(value: object) -> bool:
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def image_frame(image: Any, by: Algorithm = XXH3) -> bytes:
    image.load()  # a palette is in its final form only then
    palette = image.palette and (image.palette.mode, image.palette.tobytes())
    mode = image.mode.encode()
    return frame(
        b"P",
        len8(mode),
        mode,
        u64(image.width),
        u64(image.height),
        identity_by(by, palette),
        identity_by(by, image.info.get("transparency")),
        identity_by(by, image.tobytes()),
    )


# Tensors and arrays: name of the dtype, shape, and the elements in C order, little-endian.

Tensor = tuple[str, tuple[int, ...], bytes]


def tensor_frame(name: str, shape: tuple[int, ...], payload: bytes, by: Algorithm = XXH3) -> bytes:
    dtype = name.encode()
    dimensions = [u64(n) for n in shape]
    return frame(b"T", len8(dtype), dtype, bytes([len(shape)]), *dimensions, by.tree(payload))


def as_tensor(value: Any) -> Tensor | None:
    """Name, shape and payload of a tensor or array; `None` for a value of another kind."""
    if isinstance(value, (np.str_, np.bytes_)):
        return None  # not numeric: text and bytes
    if isinstance(value, (np.ndarray, np.generic)):
        return numpy_tensor(value)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return torch_tensor(value)
    if hasattr(type(value), "__dlpack__"):
        return dlpack_tensor(value)
    return None


def numpy_tensor(value: Any) -> Tensor:
    if isinstance(value, np.ma.MaskedArray) or value.dtype.name not in DTYPES:
        raise unsupported(value)
    array = np.asarray(value)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("<"))
    return array.dtype.name, array.shape, canonical(array.dtype.name, array.tobytes(order="C"))


def torch_tensor(value: Any) -> Tensor:
    torch = sys.modules["torch"]
    name = str(value.dtype).removeprefix("torch.")
    if value.layout is not torch.strided or value.is_meta or value.is_nested or name not in DTYPES:
        raise unsupported(value)
    plain = value.detach().cpu()
    if negate := plain.is_neg():  # a lazily negated view: look at what lies beneath
        plain = torch._neg_view(plain)
    if conjugate := plain.is_conj():
        plain = plain.conj()
    # torch's own copy needs complex128 aligned to 16 bytes, or crashes; its parts need less.
    parts = torch.view_as_real(plain) if plain.is_complex() else plain
    in_order = torch.empty(parts.shape, dtype=parts.dtype).copy_(parts)
    payload = in_order.reshape(-1).view(torch.uint8).numpy()
    elements = with_lazy_bits(payload, name, negate, conjugate)
    return name, tuple(value.shape), canonical(name, elements)


def canonical(name: str, payload: bytes) -> bytes:
    """A bool may be any byte, of which all but 0 are true; its payload is 0 or 1."""
    if name == "bool":
        return (np.frombuffer(payload, np.uint8) != 0).tobytes()
    return payload


def with_lazy_bits(payload: Any, name: str, negate: bool, conjugate: bool) -> bytes:
    """Signs are bits: torch's kernels disagree among themselves on -0.0 and on NaNs."""
    if name == "bfloat16":
        words = payload.view(np.uint16)
        return (words ^ 0x8000 if negate else words).tobytes()
    if negate or conjugate:
        payload = payload.view(name)
    if conjugate:
        payload = np.conj(payload)
    if negate:
        payload = np.negative(payload)
    return payload.tobytes()


def dlpack_tensor(value: Any) -> Tensor:
    try:
        return numpy_tensor(np.from_dlpack(value))
    except (BufferError, RuntimeError):  # NumPy knows neither bfloat16 nor the float8 types
        return torch_tensor(sys.modules["torch"].from_dlpack(value))


def unsupported(value: object) -> TypeError:
    return TypeError(f"{type(value).__name__} has no identity")


def payload(seed: int, n: int) -> bytes:
    """The `n` payload bytes of a test vector: reproducible in any language, never periodic."""
    out = np.empty(n, np.uint8)
    for start in range(0, n, 1 << 20):
        i = np.arange(start, min(start + (1 << 20), n), dtype=np.int64)
        out[start : start + len(i)] = (i * 131 + (i >> 8) * 17 + (i >> 16) * 29 + seed) & 255
    return out.tobytes()
