"""The identity of a large value in pieces: between two of them a bar moves, and Ctrl-C is heard."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import mmhash
from mmhash import _core

#: Large enough that the threads, which wait for each other once a piece, lose some 2 % on a file
#: in memory (16 MiB: up to 20 %), and read from a disk of 1 GB/s in under a tenth of a second.
PIECE_BYTES = 64 << 20


def identity(value: Any, progress: Callable[[int], None], algorithm: _core.Algorithm) -> bytes:
    """As `mmhash.identity`. progress: called before each piece with the bytes that are behind.

    In pieces go bytes, and arrays and CPU tensors whose elements lie one after the other. Others,
    which are rare in files, are one piece, as small ones are.
    """
    if isinstance(value, memoryview):
        if value.nbytes <= PIECE_BYTES:
            return mmhash.identity(value, algorithm=algorithm)
        return _core.bytes_identity_from_pieces(value.nbytes, _pieces(value, progress), algorithm)
    flat = _flat_bytes(value)
    if flat is None or flat.nbytes <= PIECE_BYTES:
        return mmhash.identity(value, algorithm=algorithm)
    mmhash.identity(
        value[:0], algorithm=algorithm
    )  # a dtype without identity is refused here, in the same words
    dtype = getattr(value.dtype, "name", None) or str(value.dtype).removeprefix("torch.")
    return _core.identity_from_pieces(dtype, tuple(value.shape), _pieces(flat, progress), algorithm)


def _pieces(flat: Any, progress: Callable[[int], None]) -> Iterator[Any]:
    for start in range(0, flat.nbytes, PIECE_BYTES):
        progress(start)
        yield flat[start : start + PIECE_BYTES]


def _flat_bytes(value: Any) -> Any:
    """The elements as one row of bytes, or None where they are not that already."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        native = value.dtype.isnative and value.dtype.kind in "biufc"
        return value.reshape(-1).view("u1") if native and value.flags.c_contiguous else None
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach()
        plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
        lazy = plain and (tensor.is_conj() or tensor.is_neg())
        if plain and not lazy and tensor.is_contiguous() and not tensor.is_quantized:
            return tensor.view(-1).view(torch.uint8)
    return None
