"""Zip archives read without trust: what no member holds is found, and what two of them hold.

A zip is read from its end: a directory says where members lie. So a file may hold what its
directory does not name (before, between and behind members), name one member twice, or say
something else in a member's own header than in the directory; readers then differ in what they
find. Here a byte belongs to exactly one member, or it is reported.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO

from mmhash.cli.errors import UnusableFileError

LOCAL_HEADER = struct.Struct("<4s5H3L2H")
END_RECORD = struct.Struct("<4s4H2LH")
ZIP64_RECORD_SIZE, ZIP64_LOCATOR_SIZE = 56, 20
MAX_COMMENT = 0xFFFF
UNKNOWN_SIZE = 0xFFFFFFFF  # it stands in the zip64 extra field instead
ENCRYPTED, SIZES_FOLLOW, UTF8_NAME = 0x1, 0x8, 0x800  # flags
DESCRIPTOR_SIZES = (0, 12, 16, 20, 24)  # checksum and sizes behind the data, with their options
CHUNK_SIZE = 1 << 18


class ZipArchive:
    """An open zip file. Raises what `zipfile` raises where it is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(file)
        self.members = self._zip.infolist()

    @property
    def repeated(self) -> list[str]:
        """Names that more than one member has."""
        return [name for name, n in Counter(m.filename for m in self.members).items() if n > 1]

    def open(self, member: zipfile.ZipInfo) -> io.BufferedReader:
        """The content of a member, as a stream that is verified when its end is read."""
        return io.BufferedReader(_MemberStream(self._file, member, self._start(member)), CHUNK_SIZE)

    def start_and_end(self, member: zipfile.ZipInfo) -> tuple[int, int]:
        """Where in the file the (compressed) content of a member lies."""
        start = self._start(member)
        return start, start + member.compress_size

    def unnamed_bytes(self) -> Iterator[tuple[int, int]]:
        """Yield (begin, end) of what lies in the file and belongs to no member.

        UnusableFileError: two members share bytes.
        """
        position = 0
        for member in sorted(self.members, key=lambda m: m.header_offset):
            if member.header_offset < position:
                raise UnusableFileError(
                    f"expected members one after the other, {member.filename!r} overlaps another: "
                    "pack the archive anew"
                )
            if member.header_offset > position:
                yield position, member.header_offset
            position = self._end_with_descriptor(member)
        directory_end, records, records_end = self._trailer()
        for begin, end in (
            (position, self._zip.start_dir),
            (directory_end, records),
            (records_end, self._size()),
        ):
            if end > begin:
                yield begin, end

    def _start(self, member: zipfile.ZipInfo) -> int:
        self._file.seek(member.header_offset)
        raw = self._file.read(LOCAL_HEADER.size)
        if len(raw) < LOCAL_HEADER.size:
            raise zipfile.BadZipFile(f"member {member.filename!r} lies behind the end of the file")
        header = LOCAL_HEADER.unpack(raw)
        magic, _, flags, method, _, _, crc, packed, size = header[:9]
        name_length, extra_length = int(header[9]), int(header[10])
        name = self._file.read(name_length)
        encoding = "utf-8" if flags & UTF8_NAME else "cp437"
        said = (magic, method, name.decode(encoding, "replace"))
        agreed = said == (b"PK\x03\x04", member.compress_type, member.orig_filename)
        if not flags & SIZES_FOLLOW:
            listed = (member.CRC, member.compress_size, member.file_size)
            agreed = agreed and all(
                here in (there, UNKNOWN_SIZE)
                for here, there in zip((crc, packed, size), listed, strict=True)
            )
        if not agreed:
            raise zipfile.BadZipFile(
                f"the header of member {member.filename!r} contradicts the archive's directory"
            )
        return member.header_offset + LOCAL_HEADER.size + name_length + extra_length

    def _end_with_descriptor(self, member: zipfile.ZipInfo) -> int:
        _, end = self.start_and_end(member)
        if not member.flag_bits & SIZES_FOLLOW:
            return end
        later = [m.header_offset for m in self.members if m.header_offset >= end]
        following = min([*later, self._zip.start_dir]) - end
        return end + (following if following in DESCRIPTOR_SIZES else 0)

    def _trailer(self) -> tuple[int, int, int]:
        """Where the directory ends, and where the records behind it begin and end."""
        size = self._size()
        self._file.seek(max(0, size - MAX_COMMENT - END_RECORD.size))
        tail = self._file.read()
        at = tail.rfind(b"PK\x05\x06")  # as zipfile looks for it
        *_, length, _, _ = END_RECORD.unpack_from(tail, at)
        record = size - len(tail) + at
        records_end = record + END_RECORD.size
        if tail[max(0, at - ZIP64_LOCATOR_SIZE) :].startswith(b"PK\x06\x07"):
            record -= ZIP64_LOCATOR_SIZE + ZIP64_RECORD_SIZE
            self._file.seek(record)
            raw = self._file.read(ZIP64_RECORD_SIZE)
            if length == UNKNOWN_SIZE and raw.startswith(b"PK\x06\x06"):
                (length,) = struct.unpack_from("<Q", raw, 40)
        return self._zip.start_dir + length, record, records_end

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size


class _MemberStream(io.RawIOBase):
    """The content of a member, inflated as it is read.

    Not zipfile's: that one stops where the compressed data says that it ends, and would not tell
    what lies behind. zipfile.BadZipFile at the end: a wrong checksum or size, or data behind.
    """

    def __init__(self, file: BinaryIO, member: zipfile.ZipInfo, start: int) -> None:
        if member.flag_bits & ENCRYPTED:
            raise UnusableFileError("expected a member that is not encrypted: decrypt it first")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnusableFileError(
                f"expected a stored or deflated member, found compression method "
                f"{member.compress_type}: pack the archive anew"
            )
        self._file = file
        self._member = member
        self._position = start
        self._left = member.compress_size
        self._inflate = zlib.decompressobj(-15) if member.compress_type else None
        self._crc = 0
        self._size = 0

    def readable(self) -> bool:
        """As io.RawIOBase."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As io.RawIOBase."""
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        if not data and len(buffer):
            self._verify()
        return len(data)

    def _next(self, size: int) -> bytes:
        if self._inflate is None:
            return self._packed(size)
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._packed(CHUNK_SIZE)
            data = self._inflate.decompress(packed, size)
            if data or not packed:
                return data
        return b""

    def _packed(self, size: int) -> bytes:
        self._file.seek(self._position)
        data = self._file.read(min(size, self._left))
        self._position += len(data)
        self._left -= len(data)
        return data

    def _verify(self) -> None:
        name = self._member.filename
        if self._left or (self._inflate is not None and self._inflate.unused_data):
            raise zipfile.BadZipFile(f"member {name!r} holds more behind its compressed data")
        if (self._size, self._crc) != (self._member.file_size, self._member.CRC):
            raise zipfile.BadZipFile(f"Bad CRC-32 or size of member {name!r}")
