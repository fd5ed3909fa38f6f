"""From a path to the values in it: tensors and images by the file's suffix, all else its bytes.

Bytes are memory-mapped, so a file larger than memory can be hashed and nothing is copied. A mapping
has the hazard it has everywhere: if another process cuts the file short meanwhile, the system ends
this one with SIGBUS (a bus error).
"""
# A path is used as it was written; pathlib would rewrite it ("./-" is a file, "notes/" is none).
# ruff: noqa: PTH116, PTH122, PTH123

from __future__ import annotations

import contextlib
import mmap
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from mmhash.cli.entries import Entry, Notice, ReadOptions, Unread
from mmhash.cli.errors import UnusableFileError
from mmhash.cli.formats import reader_of

STDIN = "-"

# A pipe is kept in memory up to here and in a temporary file beyond.
IN_MEMORY = 64 << 20
PIECE = 1 << 20


def entries(path: str, options: ReadOptions) -> Iterator[Entry | Unread | Notice]:
    """Yield what a file holds; `-` is the standard input. Each value is valid until the next.

    OSError, UnusableFileError: the file cannot be read, or not as what its suffix says.
    """
    if path == STDIN:
        with open(0, "rb", closefd=False) as file:
            yield from _bytes_of(file)
        return
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise UnusableFileError(f"expected a file, found a directory: name its files, as {path}/*")
    reader = reader_of(os.path.splitext(path)[1])
    if reader is None:
        with open(path, "rb") as file:
            yield from _bytes_of(file)
        return
    if not stat.S_ISREG(mode):
        raise UnusableFileError(
            "expected a regular file, because this format is read out of order, found a pipe or "
            "device: save its content first"
        )
    with open(path, "rb"):
        pass  # an unreadable file fails here in the system's words, not in a parser's
    yield from reader(path, options)


def size_of(path: str) -> int:
    """The size of a file in bytes, or 0 where it has none or cannot be asked."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _bytes_of(file: BinaryIO) -> Iterator[Entry]:
    with _content(file) as view:
        yield Entry.of("", view)


@contextlib.contextmanager
def _content(file: BinaryIO) -> Iterator[memoryview]:
    """A view of all bytes from the file's position on, mapped where it is a regular file.

    What is no regular file must be stored first, since the identity of bytes starts with their
    number. An empty file cannot be mapped, and those of /proc call themselves empty: both are read.
    """
    if _remaining(file):
        with _mapped(file) as view:
            yield view
        return
    # In pieces: some files of /proc refuse to be read in a large one.
    head, piece = bytearray(), file.read(PIECE)
    while piece and len(head) < IN_MEMORY:
        head += piece
        piece = file.read(PIECE)
    if not piece:
        yield memoryview(head)
        return
    import shutil
    import tempfile  # late: to import these two takes longer than to hash a small file

    with tempfile.TemporaryFile() as spool:
        spool.write(head)
        spool.write(piece)
        del head, piece
        shutil.copyfileobj(file, spool, PIECE)
        spool.seek(0)
        with _mapped(spool) as view:
            yield view


def _remaining(file: BinaryIO) -> int:
    status = os.fstat(file.fileno())
    return max(0, status.st_size - file.tell()) if stat.S_ISREG(status.st_mode) else 0


@contextlib.contextmanager
def _mapped(file: BinaryIO) -> Iterator[memoryview]:
    start = file.tell()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        if hasattr(mmap, "MADV_SEQUENTIAL"):
            mapping.madvise(mmap.MADV_SEQUENTIAL)  # read ahead generously
        with memoryview(mapping) as whole, whole[start:] as view:
            yield view
