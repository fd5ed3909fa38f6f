"""How features travel: as pointers to shared memory, or inside the message.

Shared memory as in SGLang 0.5.23 (`ShmPointerMMData`): the sender reserves a segment and copies the
tensor into it, the message carries its name, unpickling opens it, and, once all ranks have it open,
each maps it copy-on-write and the first removes the name. Mapping reads nothing: a page is touched
when a rank reads it. `take(clone=True)` is what SGLang does on other systems than Linux, and did.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing import shared_memory
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SHM_FOLDER = Path("/dev/shm")  # where Linux shows them as files
HAS_SHM_FOLDER = sys.platform == "linux"


class SharedFeature:
    """A contiguous CPU tensor in a segment of shared memory; pickled, a pointer to it.

    The name must be new. copy: through a mapping ("map"), as SGLang does; with write(2) ("write"),
    which spares clearing the pages first and a page fault for each; or so, and hashed in the same
    pass ("hash"): `identity` is then that of the tensor, by the algorithm of the process. OSError:
    there is no room for it.
    """

    identity: bytes | None = None

    def __init__(self, tensor: Tensor, name: str, copy: str = "map") -> None:
        self._about = (name, tensor.dtype, tuple(tensor.shape))
        self._segment = shared_memory.SharedMemory(name, create=True, size=tensor.nbytes)
        try:
            if copy == "hash":
                self.identity = self._fill_hashed(tensor, name)
            elif copy == "write" and HAS_SHM_FOLDER:
                _write(tensor, name)
            else:
                self._fill(tensor, name)
        except BaseException:
            self._segment.unlink()
            raise
        finally:
            self._segment.close()

    def _fill(self, tensor: Tensor, name: str) -> None:
        import torch

        if HAS_SHM_FOLDER:
            with _opened(name) as descriptor:
                # Now, so that a full /dev/shm is an OSError, and not a SIGBUS during the copy.
                os.posix_fallocate(descriptor, 0, tensor.nbytes)
        # The tensor over the buffer must be gone when the segment is closed.
        torch.frombuffer(self._segment.buf, dtype=torch.uint8)[: tensor.nbytes].copy_(
            tensor.view(torch.uint8).view(-1)
        )

    def _fill_hashed(self, tensor: Tensor, name: str) -> bytes:
        import mmhash

        if HAS_SHM_FOLDER:
            with _opened(name) as descriptor:
                return mmhash.write(descriptor, tensor)
        mapped = self._segment.buf
        assert mapped is not None
        with mapped[: tensor.nbytes] as memory:  # whole pages, on some systems
            return mmhash.copy(memory, tensor)

    def __getstate__(self) -> tuple[str, Any, tuple[int, ...]]:
        return self._about

    def __setstate__(self, about: tuple[str, Any, tuple[int, ...]]) -> None:
        self._about = about
        self._segment = shared_memory.SharedMemory(about[0])
        # Opened now: by the time of `take` another rank may have removed the name.
        self._descriptor = _open(about[0]) if HAS_SHM_FOLDER else -1

    def take(self, *, clone: bool) -> Tensor:
        """The tensor, in memory of the caller's own; the segment's name is removed.

        Call it once, when every process that needs the segment has unpickled its pointer.
        """
        import torch

        _, dtype, shape = self._about
        count = math.prod(shape)
        try:
            if HAS_SHM_FOLDER and not clone:
                private = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_COPY)
                return torch.frombuffer(private, dtype=dtype, count=count).reshape(shape)
            return torch.frombuffer(self._segment.buf, dtype=dtype, count=count).clone().view(shape)
        finally:
            with contextlib.suppress(FileNotFoundError):  # another rank was first
                self._segment.unlink()
            self._segment.close()
            if HAS_SHM_FOLDER:
                os.close(self._descriptor)


def free_bytes() -> int | None:
    """Free bytes for segments, where the system tells."""
    if not SHM_FOLDER.is_dir():
        return None
    found = os.statvfs(SHM_FOLDER)
    return found.f_bavail * found.f_frsize


def remove_segments(prefix: str) -> None:
    """Remove every segment whose name starts so: what a run that was cut short has left."""
    for path in SHM_FOLDER.glob(f"{prefix}*"):
        with contextlib.suppress(FileNotFoundError):
            try:
                segment = shared_memory.SharedMemory(path.name)
            except ValueError:  # still empty: whoever made it was ended before it had a size
                path.unlink()
                continue
            segment.close()
            segment.unlink()  # not the file alone: this also tells Python's resource tracker


def pack(items: list[Any], name: Callable[[], str], copy: str) -> None:
    """On the sender: put each item's feature into shared memory, under a new name each."""
    for item in items:
        item.feature = SharedFeature(item.feature, name(), copy)


def unpack(items: list[Any], *, clone: bool) -> None:
    """On a rank: make each item's feature a tensor again."""
    for item in items:
        item.feature = item.feature.take(clone=clone)


def _write(tensor: Tensor, name: str) -> None:
    import torch

    data = memoryview(tensor.view(torch.uint8).view(-1).numpy())
    with _opened(name) as descriptor:
        while data:
            data = data[os.write(descriptor, data) :]


@contextlib.contextmanager
def _opened(name: str) -> Iterator[int]:
    descriptor = _open(name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(name: str) -> int:
    return os.open(SHM_FOLDER / name, os.O_RDWR | os.O_CLOEXEC)
