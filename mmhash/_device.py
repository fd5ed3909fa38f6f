"""What the native module asks Python for tensors whose memory the CPU cannot read.

A CUDA tensor is hashed on its device (csrc/devices/cuda). Where that is not possible, and for other
devices, the native module calls `identity`: the payload is copied out in bounded pieces, which go
back to it and through the same tree as any other payload, so the digest is the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mmhash import _core

if TYPE_CHECKING:
    import torch

# A piece is large enough that copying it takes longer than launching the copy (4 MiB: 160 us over
# PCIe 4) and small enough that two of them, in pinned memory, are nothing to a server.
PIECE_BYTES = 4 << 20


def identity(tensor: torch.Tensor, algorithm: _core.Algorithm = _core.XXH3) -> bytes:
    """The identity of a tensor on a device.

    Enqueues its copies on the tensor's current stream and waits for that stream only. At most two
    pieces of PIECE_BYTES are in flight, and a strided tensor is made contiguous on the device a
    piece at a time. If the device has no memory left for that, the memory that the tensor spans is
    copied to the host as it lies, all at once.

    Raises RuntimeError while a CUDA graph is being captured: the digest would have to wait for work
    that does not run.
    """
    import torch

    tensor = tensor.detach()
    dtype = str(tensor.dtype).removeprefix("torch.")
    copied = _pinned_pieces(tensor) if tensor.is_cuda else _pageable_pieces(tensor)
    try:
        return _core.identity_from_pieces(dtype, tuple(tensor.shape), copied, algorithm)
    except torch.cuda.OutOfMemoryError:
        pass  # outside of this block the traceback, and the pieces it holds, are gone
    return _core.identity(on_host(tensor), cache=False, algorithm=algorithm)


def pieces(tensor: torch.Tensor, piece_bytes: int = PIECE_BYTES) -> Iterator[torch.Tensor]:
    """The payload in C order as flat uint8 tensors of at most `piece_bytes`, on the same device.

    `piece_bytes` is at least the size of an element. Lazy conjugate and negative bits are resolved.
    """
    if tensor.numel() == 0:
        return
    if tensor.numel() * tensor.itemsize <= piece_bytes:
        yield _bytes(tensor)
    elif tensor.is_contiguous():
        for part in tensor.view(-1).split(piece_bytes // tensor.itemsize):
            yield _bytes(part)
    else:
        row_bytes = tensor.numel() // tensor.shape[0] * tensor.itemsize
        for part in tensor.split(max(1, piece_bytes // row_bytes)):
            yield from pieces(part[0] if row_bytes > piece_bytes else part, piece_bytes)


def on_host(tensor: torch.Tensor) -> torch.Tensor:
    """The same view of a copy of the memory that it spans, taking none of the device's."""
    import torch

    raw = _raw(tensor)
    # Strides are never negative in torch: the first element has the lowest address.
    last = sum((n - 1) * step for n, step in zip(raw.shape, raw.stride(), strict=True))
    span = raw.as_strided((last + 1,), (1,))
    host = torch.empty(last + 1, dtype=span.dtype).copy_(span).as_strided(raw.shape, raw.stride())
    host = host.conj() if tensor.is_conj() else host
    return torch._neg_view(host) if tensor.is_neg() else host


def _raw(tensor: torch.Tensor) -> torch.Tensor:
    """The memory as it stands: each of these calls toggles its lazy bit."""
    import torch

    raw = torch._neg_view(tensor) if tensor.is_neg() else tensor
    return raw.conj() if tensor.is_conj() else raw


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    import torch

    dense = _resolved(tensor) if tensor.is_conj() or tensor.is_neg() else tensor.contiguous()
    # Not view(-1): a dimension of one element keeps any stride, which uint8 views do not accept.
    return dense.as_strided((dense.numel(),), (1,)).view(torch.uint8)


def _resolved(tensor: torch.Tensor) -> torch.Tensor:
    """A contiguous copy with the lazy conjugate and negative bits applied to the elements' bits.

    torch's own resolve_conj() and resolve_neg() do arithmetic, which on a GPU makes one NaN of all.
    """
    import torch

    negate, conjugate = tensor.is_neg(), tensor.is_conj()
    dense = _raw(tensor).clone(memory_format=torch.contiguous_format)
    if negate and not (dense.is_floating_point() or dense.is_complex()):
        return dense.neg_()
    numbers = torch.view_as_real(dense) if dense.is_complex() else dense
    integer = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[numbers.itemsize]
    bits = numbers.view(integer)
    sign = torch.iinfo(integer).min
    if negate:
        bits ^= sign
    if conjugate:
        bits[..., 1] ^= sign
    return dense


def _pageable_pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    for piece in pieces(tensor):
        yield piece.cpu()


def _pinned_pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The pieces in pinned memory: while one is hashed, the next one is on its way."""
    import torch

    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            "cannot hash a CUDA tensor while a CUDA graph is being captured: the digest would wait "
            "for work that does not run now; hash it before or after the capture"
        )
    size = min(PIECE_BYTES, tensor.numel() * tensor.itemsize)
    with torch.cuda.device(tensor.device):
        stream = torch.cuda.current_stream()
        slots = [torch.empty(size, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        events = [torch.cuda.Event(), torch.cuda.Event()]
        arriving: tuple[torch.Tensor, torch.cuda.Event] | None = None
        for i, piece in enumerate(pieces(tensor)):
            slot, event = slots[i % 2][: piece.numel()], events[i % 2]
            slot.copy_(piece, non_blocking=True)
            event.record(stream)
            if arriving is not None:
                arriving[1].synchronize()
                yield arriving[0]
            arriving = slot, event
        if arriving is not None:
            arriving[1].synchronize()
            yield arriving[0]


def warn_of_copies(reason: str) -> None:
    """Called once for each reason why CUDA tensors are copied to the host to be hashed."""
    logging.getLogger("mmhash").warning(
        "CUDA tensors are copied to the host to be hashed, which is many times slower: %s", reason
    )


def nvrtc_libraries() -> list[str]:
    """Where torch's CUDA wheels put NVRTC; that of torch's own CUDA version first."""
    import torch

    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    folders.append(Path(torch.__file__).parent)  # some builds of torch carry it themselves
    found = [
        str(path)
        for folder in folders
        for path in sorted([*folder.glob("*/lib/libnvrtc.so.*"), *folder.glob("lib/libnvrtc*.so*")])
        if "builtins" not in path.name and ".alt." not in path.name
    ]
    major = (torch.version.cuda or "").partition(".")[0]
    return sorted(found, key=lambda path: f".so.{major}" not in path)


def keep_until_done(storage: torch.UntypedStorage, stream: int) -> bool:
    """Has torch's allocator keep a CUDA storage's memory until a stream has done what it has now.

    False for memory that is not the allocator's.
    """
    import torch

    if not storage.resizable():
        return False
    whole = torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)
    user = (
        torch.cuda.ExternalStream(stream, device=storage.device)
        if stream
        else torch.cuda.default_stream(storage.device)
    )
    whole.record_stream(user)
    return True
