"""What of an image file is no part of its identity is said on the standard error, with status 0."""

from __future__ import annotations

import re
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from command_line import Run
from PIL import Image

from mmhash.cli.entries import MAX_IMAGE_PIXELS

RED, BLUE = Image.new("RGB", (8, 6), (200, 0, 0)), Image.new("RGB", (8, 6), (0, 0, 200))


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = struct.pack(">L", zlib.crc32(kind + data))
    return struct.pack(">L", len(data)) + kind + data + checksum


def png(width: int, height: int, bits: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">2L5B", width, height, bits, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_png(colour: int, channels: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(
        png(2, 2, 16, colour, (b"\0" + bytes(range(4 * channels))) * 2)
    )


def animated(path: Path) -> None:
    RED.save(path, save_all=True, append_images=[BLUE], **OPTIONS.get(path.suffix, {}))


OPTIONS: dict[str, dict[str, str]] = {".jpg": {"format": "MPO"}}


def turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    RED.save(path, exif=exif)


def doubled(path: Path) -> None:
    RED.save(path)
    path.write_bytes(path.read_bytes() * 2)


FRAMES = "the first of 2 frames was hashed, the others were not"
TURNED = "its EXIF orientation 6 was not applied"
BEHIND = r"\d+ bytes behind the image were not read"
DEPTH = "of the 16 bits of each channel Pillow decodes 8"

LEFT_OUT: list[tuple[str, Callable[[Path], object], str]] = [
    *((f"frames.{suffix}", animated, FRAMES) for suffix in ("gif", "png", "tif", "webp", "jpg")),
    *((f"turned.{suffix}", turned, TURNED) for suffix in ("jpg", "png", "webp")),
    *(
        (f"behind.{suffix}", doubled, BEHIND)
        for suffix in ("png", "jpg", "gif", "webp", "bmp", "ppm", "avif")
    ),
    ("rgb.png", deep_png(2, 3), DEPTH),
    ("grey-alpha.png", deep_png(4, 2), DEPTH),
    ("rgb-alpha.png", deep_png(6, 4), DEPTH),
    ("rgb.ppm", lambda path: path.write_bytes(b"P6 2 2 65535\n" + bytes(24)), DEPTH),
]


@pytest.mark.parametrize(("name", "make", "text"), LEFT_OUT, ids=[name for name, _, _ in LEFT_OUT])
def test_what_is_left_out_is_said(
    cli: Run, tmp_path: Path, name: str, make: Callable[[Path], object], text: str
) -> None:
    path = tmp_path / name
    if path.suffix == ".avif" and ".avif" not in Image.registered_extensions():
        pytest.skip("this Pillow has no AVIF")
    make(path)
    result = cli("hash", path)
    assert (result.status, len(result.lines)) == (0, 1)
    (line,) = result.err.splitlines()
    assert re.match(f"mmhash: warning: {re.escape(str(path))}: {text}", line), line
    (tmp_path / "list").write_text(result.out)
    checked = cli("hash", "--check", tmp_path / "list")
    assert (checked.status, checked.out, checked.err) == (0, f"{path}: OK\n", result.err)


WHOLE: list[tuple[str, Callable[[Path], object]]] = [
    *(
        (f"one.{suffix}", RED.save)
        for suffix in ("png", "jpg", "gif", "webp", "bmp", "ppm", "tif", "jp2", "avif")
    ),
    ("progressive.jpg", lambda path: RED.resize((90, 70)).save(path, progressive=True)),
    ("thumbnail.jpg", lambda path: RED.save(path, comment=b"\xff\xd8\xff\xd9", exif=b"Exif\0\0")),
    (
        "noise.jpg",
        lambda path: Image.effect_noise((300, 200), 90).save(path, restart_marker_rows=2),
    ),
    ("palette.gif", lambda path: Image.effect_noise((30, 20), 90).quantize(100).save(path)),
    ("odd.webp", lambda path: Image.effect_noise((31, 17), 90).convert("RGB").save(path)),
    ("turned.tif", turned),  # Pillow applies it to the pixels
    ("grey.png", lambda path: Image.fromarray(np.ones((2, 3), np.uint16)).save(path)),
    ("float.tif", lambda path: Image.fromarray(np.ones((2, 3), np.float32)).save(path)),
    ("comment.ppm", lambda path: path.write_bytes(b"P6\n# 9 9\n2 2 255\n" + bytes(12))),
    ("grey.ppm", lambda path: path.write_bytes(b"P5 2 2 65535\n" + bytes(8))),
    ("bits.ppm", lambda path: path.write_bytes(b"P4 8 2\n" + bytes(2))),
    ("text.ppm", lambda path: path.write_bytes(b"P3 1 1 255\n1 2 3\n")),
]


@pytest.mark.parametrize(("name", "make"), WHOLE, ids=[name for name, _ in WHOLE])
def test_of_an_image_that_is_hashed_whole_nothing_is_said(
    cli: Run, tmp_path: Path, name: str, make: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    if path.suffix in (".avif", ".jp2") and path.suffix not in Image.registered_extensions():
        pytest.skip("this Pillow lacks the format")
    make(path)
    result = cli("hash", path)
    assert (result.status, result.err) == (0, "")


def test_a_large_image_takes_permission(cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(20_000, 10_000, 1, 0, bytes(10_000 * 2_501)))
    before = PIL.Image.MAX_IMAGE_PIXELS
    refused = cli("hash", path)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == (
        f"mmhash: {path}: expected an image of at most 178,956,970 pixels, found 20000x10000: if "
        "it may take the memory, allow --max-image-pixels 200000000 (0: any number)\n"
    )
    for allowed in ("200000000", "0"):
        result = cli("hash", "--max-image-pixels", allowed, path)
        assert (result.status, result.err) == (0, "")
        assert result.out.endswith(f"  {path}\t\t1\t20000x10000\n")
    assert cli("hash", "--max-image-pixels", "199999999", path).status == 1
    (tmp_path / "list").write_text(result.out)
    assert cli("hash", "--check", tmp_path / "list").status == 1
    assert cli("hash", "--check", "--max-image-pixels", "0", tmp_path / "list").status == 0
    assert before == PIL.Image.MAX_IMAGE_PIXELS
    assert cli("hash", "--max-image-pixels", "-1", path).status == 2


def test_the_limit_is_that_of_pillow() -> None:
    assert PIL.Image.MAX_IMAGE_PIXELS is not None
    assert 2 * PIL.Image.MAX_IMAGE_PIXELS == MAX_IMAGE_PIXELS


def test_pillows_own_limit_stands_while_pixels_are_decoded(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another thread sees of it, whose images are not the command's."""
    RED.save(tmp_path / "a.png")
    seen: list[int | None] = []
    load = PIL.Image.Image.load

    def observed(image: Image.Image) -> object:
        other = threading.Thread(target=lambda: seen.append(PIL.Image.MAX_IMAGE_PIXELS))
        other.start()
        other.join()
        return load(image)

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", observed)
    cli("hash", tmp_path / "a.png")
    assert seen
    assert all(limit == PIL.Image.MAX_IMAGE_PIXELS for limit in seen)


def test_a_broken_image_in_a_folder_is_located(cli: Run, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path in paths:
        Image.effect_noise((60, 60), 50).save(path)
    content = bytearray(paths[1].read_bytes())
    content[200:260] = bytes(60)
    paths[1].write_bytes(content)
    result = cli("hash", *paths)
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert line.startswith(f"mmhash: {paths[1]}: expected an image, but it does not parse (")
    assert [text.split("  ")[1].split("\t")[0] for text in result.lines] == [
        str(paths[0]),
        str(paths[2]),
    ]
