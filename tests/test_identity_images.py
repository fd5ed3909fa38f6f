"""Identities of Pillow images: every mode, palettes, transparency, files not loaded yet."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import reference
from PIL import Image
from reference import payload

import mmhash

# fmt: off
MODES = (
    "1", "L", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "LA", "CMYK", "YCbCr", "LAB", "HSV",
    "I", "F", "I;16", "I;16L", "I;16B", "I;16N",
)
# fmt: on


def image(mode: str, width: int = 37, height: int = 11, seed: int = 1) -> Image.Image:
    made = Image.new(mode, (width, height))
    made.frombytes(payload(seed, len(made.tobytes())))
    return made


def check(value: Image.Image) -> None:
    found = mmhash.identity(value)  # first: the reference loads the image
    assert found == reference.identity(value)
    assert found == mmhash.identity(value)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (9, 5), (113, 97)])
def test_every_mode(mode: str, size: tuple[int, int]) -> None:
    check(image(mode, *size))


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0)])
def test_empty_images(mode: str, size: tuple[int, int]) -> None:
    check(Image.new(mode, size))


def test_large_image(each_thread_count: Iterator[int]) -> None:
    picture = image("RGB", 1920, 1081)
    expected = reference.identity(picture)
    for count in each_thread_count:
        assert mmhash.identity(picture) == expected, f"{count} threads"


@pytest.mark.parametrize("rawmode", ["RGB", "RGBA", "CMYK", "BGRX"])
@pytest.mark.parametrize("mode", ["P", "PA"])
@pytest.mark.parametrize("colours", [1, 10, 256])
def test_palettes(mode: str, rawmode: str, colours: int) -> None:
    picture = image("L" if mode == "P" else "LA")
    without = mmhash.identity(picture)
    picture.putpalette(payload(3, len(rawmode) * colours), rawmode)
    assert picture.mode == mode
    check(picture)
    assert mmhash.identity(picture) != without


def test_palette_given_as_a_list() -> None:
    picture, same = image("L"), image("L")
    picture.putpalette(list(range(30)))
    same.putpalette(bytes(range(30)))
    check(picture)
    assert mmhash.identity(picture) == mmhash.identity(same)


@pytest.mark.parametrize(
    ("mode", "transparency"),
    [("P", 3), ("P", bytes(range(256))), ("RGB", (1, 2, 3)), ("L", 200), ("1", 0)],
)
def test_transparency(mode: str, transparency: Any) -> None:
    picture = image(mode)
    without = mmhash.identity(picture)
    picture.info["transparency"] = transparency
    check(picture)
    assert mmhash.identity(picture) != without


def test_other_metadata_does_not_show() -> None:
    picture, same = image("RGB"), image("RGB")
    same.info.update(dpi=(300, 300), comment="another file", icc_profile=b"profile")
    assert mmhash.identity(picture) == mmhash.identity(same)


FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "png": ("RGB", "PNG", {}),
    "png-palette": ("P", "PNG", {}),
    "png-transparent-index": ("P", "PNG", {"transparency": 3}),
    "png-transparent-bytes": ("P", "PNG", {"transparency": bytes(range(9))}),
    "png-transparent-colour": ("RGB", "PNG", {"transparency": (1, 2, 3)}),
    "png-16": ("I;16", "PNG", {}),
    "gif": ("P", "GIF", {}),
    "gif-transparent": ("P", "GIF", {"transparency": 2}),
    "bmp-palette": ("P", "BMP", {}),
    "tiff-palette": ("P", "TIFF", {}),
    "tiff-cmyk": ("CMYK", "TIFF", {}),
    "jpeg": ("RGB", "JPEG", {}),
    "jpeg-cmyk": ("CMYK", "JPEG", {}),
}


@pytest.mark.parametrize("name", FILES)
def test_opened_files(name: str) -> None:
    """`Image.open` reads the header only: hashing loads the rest, and then it is the same."""
    mode, kind, options = FILES[name]
    picture = image(mode)
    if mode == "P":
        picture.putpalette(bytes(range(30, 60)))
    file = io.BytesIO()
    picture.save(file, kind, **options)
    opened = Image.open(io.BytesIO(file.getvalue()))
    loaded = Image.open(io.BytesIO(file.getvalue()))
    loaded.load()
    check(opened)
    check(loaded)
    assert mmhash.identity(opened) == mmhash.identity(loaded)
    assert mmhash.identity(opened.copy()) == mmhash.identity(loaded)
    assert mmhash.identity(pickle.loads(pickle.dumps(loaded))) == mmhash.identity(loaded)


def test_frames_of_an_animation_differ() -> None:
    file = io.BytesIO()
    image("L").save(file, "GIF", save_all=True, append_images=[image("L", seed=2)])
    animation = Image.open(file)
    first = mmhash.identity(animation)
    animation.seek(1)
    check(animation)
    assert mmhash.identity(animation) != first


def test_an_image_is_not_its_pixels() -> None:
    picture = image("RGB")
    others = [np.asarray(picture), picture.tobytes(), image("RGB", 11, 37), image("HSV")]
    assert mmhash.identity(picture) not in map(mmhash.identity, others)


def test_closed_image() -> None:
    picture = image("RGB")
    picture.close()
    with pytest.raises(ValueError, match="closed image"):
        mmhash.identity([picture])


def test_truncated_file() -> None:
    file = io.BytesIO()
    image("RGB", 300, 300).save(file, "PNG")
    picture = Image.open(io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2]))
    with pytest.raises(OSError, match="truncated"):
        mmhash.identity(picture)


def test_transparency_of_another_kind() -> None:
    picture = image("P")
    picture.info["transparency"] = {3}
    with pytest.raises(TypeError, match=r"value\[0\].*set"):
        mmhash.identity([picture])
