"""Images: size, mode, palette, transparency, frames."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageSequence
from reference import payload

from confusions import DISTINCT, EQUAL, Confusion

BLACK, RED = bytes(12), bytes((255, 0, 0)) * 4


def image(mode: str, width: int, height: int, **info: Any) -> Image.Image:
    """The same 240 bytes in any mode and size that takes so many."""
    made = Image.frombytes(mode, (width, height), payload(1, 240))
    made.info.update(info)
    return made


def indexed(palette: bytes, **info: Any) -> Image.Image:
    """Four pixels of four colours."""
    made = Image.frombytes("P", (2, 2), bytes(range(4)))
    made.putpalette(palette)
    made.info.update(info)
    return made


def animation(*greys: int) -> list[Image.Image]:
    """The frames of a GIF, read from its file."""
    first, *others = (Image.new("L", (4, 4), grey) for grey in greys)
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others)
    return [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(file))]


ROWS = (
    Confusion(
        "images of the same pixels, wide and high",
        lambda: image("RGB", 8, 10),
        lambda: image("RGB", 10, 8),
        DISTINCT,
        "the elements' bytes",
        ("vLLM 17378", "dynamo 8340", "exo 2151", "ms-swift 9360", "TensorRT-LLM 14800"),
    ),
    Confusion(
        "three channels, and three times the width in grey",
        lambda: image("RGB", 8, 10),
        lambda: image("L", 24, 10),
        DISTINCT,
        "the elements' bytes",
        ("ms-swift 9605", "Langchain-Chatchat 5462"),
    ),
    Confusion(
        "RGB and YCbCr",
        lambda: image("RGB", 8, 10),
        lambda: image("YCbCr", 8, 10),
        DISTINCT,
        "the elements' bytes",
        ("dynamo 8340",),
    ),
    Confusion(
        "RGBA and CMYK",
        lambda: image("RGBA", 6, 10),
        lambda: image("CMYK", 6, 10),
        DISTINCT,
        "the elements' bytes",
        ("dynamo 8340",),
    ),
    Confusion(
        "a black palette and a red one",
        lambda: indexed(BLACK),
        lambda: indexed(RED),
        DISTINCT,
        "the elements' bytes",
        (
            "streamlit 14622",
            "streamlit 15397",
            "Langchain-Chatchat 5462",
            "github-flavored-markdown-to-html 54",
        ),
    ),
    Confusion(
        "indices with a palette, and the same bytes as grey",
        lambda: indexed(RED),
        lambda: Image.frombytes("L", (2, 2), bytes(range(4))),
        DISTINCT,
        "the elements' bytes",
        ("Langchain-Chatchat 5462",),
    ),
    Confusion(
        "one colour of the palette transparent, and none",
        lambda: indexed(RED, transparency=1),
        lambda: indexed(RED),
        DISTINCT,
        "the elements' bytes",
        ("Langchain-Chatchat 5462",),
    ),
    Confusion(
        "two levels of transparency of one palette",
        lambda: indexed(RED, transparency=b"\0\xff\xff\xff"),
        lambda: indexed(RED, transparency=b"\xff\0\xff\xff"),
        DISTINCT,
        "the elements' bytes",
        ("Langchain-Chatchat 5462",),
    ),
    Confusion(
        "a transparent colour of an RGB image, and none",
        lambda: image("RGB", 8, 10, transparency=(1, 2, 3)),
        lambda: image("RGB", 8, 10),
        DISTINCT,
        "the elements' bytes",
        ("Langchain-Chatchat 5462",),
    ),
    Confusion(
        "an image and its pixels as an array",
        lambda: image("RGB", 8, 10),
        lambda: np.asarray(image("RGB", 8, 10)),
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "the frames of two animations that begin alike",
        lambda: animation(0, 128),
        lambda: animation(0, 255),
        DISTINCT,
        "the first frame",
        ("JImageHash 33",),
    ),
    Confusion(
        "an animation and its first frame",
        lambda: animation(0, 128),
        lambda: animation(0),
        DISTINCT,
        "the first frame",
        ("JImageHash 33",),
    ),
    Confusion(
        "what a file says besides its pixels",
        lambda: image("RGB", 8, 10, dpi=(300, 300), comment="another file"),
        lambda: image("RGB", 8, 10),
        EQUAL,
        "the file",
    ),
)
