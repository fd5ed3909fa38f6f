"""What image files say of themselves, and Pillow does not pass on: their depth, and their end.

Walked here are the chunks of each format, nothing is decoded. A file that does not look as expected
gives no answer (0): whether it is one of its format, Pillow judges.
"""
# ruff: noqa: PTH123  a path is used as it was written, see files.py

from __future__ import annotations

import mmap
import re
from collections.abc import Callable

PNG, GIF, JPEG, RIFF, BMP = b"\x89PNG\r\n\x1a\n", b"GIF8", b"\xff\xd8", b"RIFF", b"BM"
JPEG_2000, ISO_MEDIA = b"\0\0\0\x0cjP  ", b"ftyp"
PORTABLE_MAP = re.compile(rb"P([1-6])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s")
#: In the entropy-coded data of a JPEG every 0xff is followed by 0 or a restart marker.
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
HEADER_BYTES = 1 << 16


def bits_per_channel(path: str) -> int:
    """How deep the channels of the image are, or 0 where its format does not say it here."""
    with open(path, "rb") as file:
        head = file.read(HEADER_BYTES)
    if head.startswith(PNG):
        return head[24]
    found = PORTABLE_MAP.match(head)
    if found is not None and found[1] in b"2356":
        return int(found[4]).bit_length()
    if head.startswith(JPEG_2000):
        at = head.find(b"ihdr")  # height, width, components, bits
        return (head[at + 14] & 0x7F) + 1 if 0 <= at < len(head) - 14 else 0
    if head[4:8] == ISO_MEDIA:
        at = head.find(b"av1C")  # after two bytes, flags: high bit depth, twelve bits
        flags = head[at + 6] if 0 <= at < len(head) - 6 else 0
        return 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8
    return 0


def bytes_behind(path: str) -> int:
    """How many bytes follow the end of the image, in the formats that mark it: PNG, GIF, JPEG, ...

    0 for others: the parts of a TIFF may lie anywhere.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for at, magic, end_of in ENDS:
            if data[at : at + len(magic)] == magic:
                try:
                    end = end_of(data)
                except IndexError:  # it ends early: Pillow was content with what there is
                    return 0
                return max(0, len(data) - end)
    return 0


def _png_end(data: mmap.mmap) -> int:
    at = len(PNG)
    while True:
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 12 + size  # length, kind, data, checksum
        if at > len(data):
            raise IndexError
        if kind == b"IEND":
            return at


def _gif_end(data: mmap.mmap) -> int:
    at = 13 + _gif_palette(data[10])
    while True:
        introducer = data[at]
        if introducer == 0x3B:  # trailer
            return at + 1
        if introducer == 0x21:  # extension: its label, then blocks
            at = _gif_blocks_end(data, at + 2)
        elif introducer == 0x2C:  # image: its descriptor, palette and code size, then blocks
            at = _gif_blocks_end(data, at + 11 + _gif_palette(data[at + 9]))
        else:
            raise IndexError


def _gif_palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_blocks_end(data: mmap.mmap, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def _jpeg_end(data: mmap.mmap) -> int:
    at = 2
    while True:
        found = JPEG_MARKER.search(data, at)
        if found is None:
            raise IndexError
        at, marker = found.end(), data[found.end() - 1]
        if marker == 0xD9:  # end of image
            return at
        if marker != 0x01:  # every other marker heads a segment
            at += int.from_bytes(data[at : at + 2], "big")


def _riff_end(data: mmap.mmap) -> int:
    size = int.from_bytes(data[4:8], "little")
    return 8 + size + size % 2


def _iso_media_end(data: mmap.mmap) -> int:
    at = 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if at and kind == ISO_MEDIA:  # where another file begins
            return at
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:  # to the end
            return len(data)
        if size < 8 or at + size > len(data):  # no box any more
            return at
        at += size
    return at


def _bmp_end(data: mmap.mmap) -> int:
    return int.from_bytes(data[2:6], "little") or len(data)


def _portable_map_end(data: mmap.mmap) -> int:
    found = PORTABLE_MAP.match(data[:HEADER_BYTES])
    if found is None:  # of two levels, or as text, which has no size of its own
        raise IndexError
    width, height, maximum = (int(found[i]) for i in (2, 3, 4))
    channels = {b"5": 1, b"6": 3}.get(found[1])
    if channels is None:
        raise IndexError
    return found.end() + width * height * channels * (2 if maximum > 255 else 1)


#: Where which bytes stand in files of the format, and the function that finds the image's end.
ENDS: tuple[tuple[int, bytes, Callable[[mmap.mmap], int]], ...] = (
    (0, PNG, _png_end),
    (0, GIF, _gif_end),
    (0, JPEG, _jpeg_end),
    (0, RIFF, _riff_end),
    (4, ISO_MEDIA, _iso_media_end),
    (0, b"P5", _portable_map_end),
    (0, b"P6", _portable_map_end),
    (0, BMP, _bmp_end),
)
