"""Files of images, whole and damaged, made by Pillow from pixels that are the same in every run."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import Image
from reference import payload

#: By name: mode, format, and options of Image.save(). files() leaves out what this Pillow lacks.
FORMATS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png": ("RGB", "PNG", {}),
    "gif": ("P", "GIF", {}),
    "jpeg": ("RGB", "JPEG", {}),
    "jpeg-progressive": ("RGB", "JPEG", {"progressive": True}),
    "mpo": ("RGB", "MPO", {}),
    "bmp": ("RGB", "BMP", {}),
    "ppm": ("RGB", "PPM", {}),
    "tiff": ("RGB", "TIFF", {}),
    "tiff-lzw": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "pcx": ("P", "PCX", {}),
    "tga": ("RGB", "TGA", {"compression": "tga_rle"}),
    "jpeg2000": ("RGB", "JPEG2000", {}),
    "webp": ("RGB", "WEBP", {"lossless": True}),
    "avif": ("RGB", "AVIF", {}),
    "ico": ("RGBA", "ICO", {"sizes": [(48, 48)]}),
    "icns": ("RGBA", "ICNS", {}),
    "sgi": ("RGB", "SGI", {}),
}


def pixels(mode: str, width: int = 128, height: int = 128, seed: int = 1) -> Image.Image:
    made = Image.new(mode, (width, height))
    made.frombytes(payload(seed, len(made.tobytes())))
    return made


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def files(width: int = 128, height: int = 128, seed: int = 1) -> dict[str, bytes]:
    made = {}
    for name, (mode, kind, options) in FORMATS.items():
        try:
            made[name] = encoded(pixels(mode, width, height, seed), kind, **options)
        except (KeyError, OSError):  # this Pillow was built without
            continue
    return made


def damaged(data: bytes, seed: int = 1) -> Iterator[bytes]:
    """Copies of a file that end early, or in which up to 50 neighbouring bytes are others."""
    source = random.Random(seed)
    for part in range(1, 8):
        yield data[: len(data) * part // 8]
    for _ in range(25):
        copy = bytearray(data)
        start = source.randrange(len(data))
        for _ in range(source.choice((1, 8, 50))):
            copy[source.randrange(start, min(len(data), start + 100))] = source.randrange(256)
        yield bytes(copy)


def opened(data: bytes) -> Image.Image | None:
    """The image, not loaded; None where its header is damaged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(io.BytesIO(data))
        except Exception:  # plugins fail in their own ways
            return None
