"""The calls whose allocations are made to fail, by what they need besides mmhash."""

from __future__ import annotations

import collections
import io
import os
from collections.abc import Callable
from typing import Any

import mmhash
from mmhash import _core

Calls = dict[str, Callable[[], Any]]
LARGE = 600_000  # bytes: hashed without the GIL, remembered, and strided through scratch memory


def plain() -> Calls:
    """Nothing."""
    data = bytes(LARGE)
    parts = [bytes(100), bytes(200)]
    file, memory = os.memfd_create("mmhash"), bytearray(LARGE)
    layered = collections.ChainMap({"a": 1}, {"b": 2})
    mixed = {"a": 1, "b": [2, ("c", b"d")], 3: None}
    return {
        "None": lambda: mmhash.identity(None),
        "int": lambda: mmhash.identity(7),
        "long int": lambda: mmhash.identity(2**300),
        "float": lambda: mmhash.identity(1.5),
        "complex": lambda: mmhash.identity(1j),
        "bytes": lambda: mmhash.identity(data),
        "memoryview": lambda: mmhash.identity(memoryview(data)[::-1]),
        "str": lambda: mmhash.identity("\xe9" * 10),
        "long str": lambda: mmhash.identity("\xe9" * 100_000),
        "surrogates": lambda: mmhash.identity("\ud800"),
        "containers": lambda: mmhash.identity(mixed),
        "mapping": lambda: mmhash.identity(layered),
        "hash_feature": lambda: mmhash.hash_feature([data, 3]),
        "no identity": lambda: mmhash.identity([object()]),
        "no feature": lambda: mmhash.hash_feature(None),
        "no such keyword": lambda: mmhash.identity(1, cash=True),  # type: ignore[call-overload]
        "async": lambda: mmhash.identity_async(data).result(),
        # Without a keyword: pybind11 3.1 does not look whether there was memory for its name.
        "xxh3_64": lambda: mmhash.xxh3_64(data),
        "xxh3_128": lambda: mmhash.xxh3_128(data),
        "pieces": lambda: _core.bytes_identity_from_pieces(300, parts),
        "too many pieces": lambda: _core.bytes_identity_from_pieces(200, parts),
        "write": lambda: mmhash.write(file, data),
        "copy": lambda: mmhash.copy(memory, memoryview(data)[::-1]),
        "set_num_threads": lambda: mmhash.set_num_threads(2),
        "too many threads": lambda: mmhash.set_num_threads(2**70),
        "no such set": lambda: _core.set_isa("mmx"),
        "cache_info": lambda: mmhash.cache_info().maxsize,
    }


def packages() -> Calls:
    """BLAKE3 and SHA-256, plain and keyed."""
    data, key = bytes(LARGE), bytes(32)
    calls: Calls = {}
    for name in ("blake3", "sha256"):
        for title, given in ((name, None), (f"{name}, keyed", key)):
            keywords = {"algorithm": name, "key": given}
            calls[title] = lambda k=keywords: mmhash.identity([data, data[:99]], **k)
            calls[f"{title}, async"] = lambda k=keywords: mmhash.identity_async(data, **k).result()
            calls[f"{title}, strided"] = lambda k=keywords: mmhash.identity(
                memoryview(data)[::-1], **k
            )
    return calls


def arrays() -> Calls:
    """NumPy."""
    import numpy as np

    array = np.arange(LARGE / 8)
    swapped = array.astype(array.dtype.newbyteorder())

    def frozen() -> bytes:
        with mmhash.freeze(array) as same:
            return mmhash.identity(same)

    return {
        "array": lambda: mmhash.identity(array),
        "strided": lambda: mmhash.identity(array[::-1]),
        "byte order": lambda: mmhash.identity(swapped),
        "scalar": lambda: mmhash.identity(np.float32(2)),
        "frozen": frozen,
        "object array": lambda: mmhash.identity(np.array([None])),
    }


def tensors() -> Calls:
    """Torch, with the cache."""
    import torch

    torch.set_num_threads(1)
    mmhash.cache_resize(8)
    tensor = torch.arange(LARGE / 4)
    large = torch.zeros(3 << 20, dtype=torch.uint8)  # where callers wait for each other

    def forgotten(value: torch.Tensor) -> Callable[[], bytes]:
        def call() -> bytes:
            mmhash.forget(value)
            return mmhash.identity(value)

        return call

    def evicting() -> bytes:
        return [mmhash.identity(tensor[i:]) for i in range(10)][-1]

    return {
        "not cached": lambda: mmhash.identity(tensor, cache=False),
        "strided": lambda: mmhash.identity(tensor.view(8, -1).T, cache=False),
        "small": lambda: mmhash.identity(tensor[:100]),
        "cached": lambda: mmhash.identity(tensor),
        "to be cached": forgotten(tensor),
        "large, to be cached": forgotten(large),
        "evicting": evicting,
        "in a list": lambda: mmhash.hash_feature([tensor, tensor[:100]]),
        "pieces": lambda: _core.identity_from_pieces(
            "float32", (2, 100), [tensor[:50], tensor[50:200]]
        ),
        "sparse": lambda: mmhash.identity(torch.zeros(3).to_sparse()),
    }


def images() -> Calls:
    """Pillow: here Python code is called, of which CPython 3.11 ends the process if all fails."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("P", (8, 8)).save(file, "PNG")
    png = file.getvalue()
    made = Image.new("RGB", (9, 9))
    return {
        "made": lambda: mmhash.identity(made),
        "file": lambda: mmhash.identity([Image.open(io.BytesIO(png))]),
        "load_images": lambda: _core.load_images([made, {"a": Image.open(io.BytesIO(png))}]),
    }
