"""Images that cannot be decoded: what failed once fails every time, and says where it stands."""

from __future__ import annotations

import copy
import io
import pickle
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from image_files import damaged, encoded, files, opened, pixels
from PIL import Image

import mmhash
from mmhash import _core

FILES = files()
DATA_STREAM = bytes(50)


def broken_png() -> bytes:
    """Damaged in the middle of its compressed pixels: Pillow's second load() succeeds."""
    data = FILES["png"]
    middle = len(data) // 2
    return data[:middle] + DATA_STREAM + data[middle + len(DATA_STREAM) :]


def broken_image() -> Image.Image:
    return Image.open(io.BytesIO(broken_png()))


def outcome(function: Callable[[Any], object], value: object) -> object:
    try:
        return function(value)
    except Exception as error:
        return type(error), str(error)


def test_pillow_takes_a_failed_image_for_a_loaded_one() -> None:
    """Why all this is needed: should it fail, Pillow has become better than this module assumes."""
    image = broken_image()
    with pytest.raises(OSError, match="data stream"):
        image.load()
    image.load()


@pytest.mark.parametrize("name", FILES)
def test_what_failed_once_fails_every_time(name: str) -> None:
    """Whatever is damaged: three times the same hash, or three times the same error."""
    failed = 0
    for data in damaged(FILES[name]):
        image = opened(data)
        if image is None:
            continue
        first = outcome(mmhash.identity, image)
        failed += isinstance(first, tuple)
        assert outcome(mmhash.identity, image) == first
        assert outcome(_core.load_image, image) == (first if isinstance(first, tuple) else None)
        assert outcome(mmhash.identity, image) == first
    assert failed or name in ("ico", "webp", "avif")  # most of whose damages open() finds


def nested(image: Image.Image) -> object:
    return {"images": [b"", 1, {"two": 2}, image]}


@pytest.mark.parametrize(
    "hash_it",
    [
        mmhash.identity,
        mmhash.hash_feature,
        mmhash.identity_async,
        _core.load_image,
        _core.load_images,
        lambda image: mmhash.identity(nested(image)),
        lambda image: _core.load_images(nested(image)),
        lambda image: mmhash.MultimodalDataItem("IMAGE", feature=image).hash,
        lambda image: mmhash.MultimodalDataItem("IMAGE", feature=[image]).identity,
        lambda image: pickle.dumps(mmhash.MultimodalDataItem("IMAGE", feature=image)),
        lambda image: copy.copy(mmhash.MultimodalDataItem("IMAGE", feature=image)),
    ],
)
def test_every_way_to_a_hash(hash_it: Callable[[Any], object]) -> None:
    """Whichever way looked at the image first, and whoever swallowed its error."""
    image = broken_image()
    for first in (hash_it, mmhash.identity, hash_it, hash_it):
        with pytest.raises(OSError, match="data stream"):
            first(image)


def test_executor() -> None:
    image = broken_image()
    with mmhash.HashExecutor() as executor:
        for number in range(3):
            item = mmhash.MultimodalDataItem("IMAGE", feature=image)
            with pytest.raises(OSError, match="data stream"):
                executor.submit(number, item).result()


def test_the_place_is_named() -> None:
    image = broken_image()
    for _ in range(2):
        with pytest.raises(OSError, match=r'^value\["images"\]\[3\]: .*data stream') as found:
            mmhash.identity(nested(image))
        assert type(found.value) is OSError
        assert isinstance(found.value.__cause__, OSError)
    with pytest.raises(
        OSError, match=r"^unrecognized data stream|^broken data stream"
    ):  # here there is no place to tell
        mmhash.identity(image)


class Failing(Image.Image):
    """An image of no file, whose load() raises what it was given, again and again the same."""

    error: BaseException

    def load(self) -> Any:
        raise self.error


def failing(error: BaseException) -> Failing:
    image = Failing()
    image.error = error
    return image


class TwoArgumentsError(Exception):
    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")
        self.why = why


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("text"), "value[1]: text"),
        (OSError(5, "text"), "[Errno 5] value[1]: text"),
        (FileNotFoundError(2, "text", "name"), "[Errno 2] value[1]: text: 'name'"),
        (SyntaxError("text"), "value[1]: text"),
        (ValueError("text"), "value[1]: text"),
        (struct.error("text"), "value[1]: text"),
        (zlib.error("text"), "value[1]: text"),
        (Image.DecompressionBombError("text"), "value[1]: text"),
        (Image.UnidentifiedImageError("text"), "value[1]: text"),
        (TwoArgumentsError("what", "why"), "value[1]: what: why"),
    ],
)
def test_type_and_message(error: Exception, text: str) -> None:
    image, original = failing(error), str(error)
    for _ in range(3):
        with pytest.raises(type(error)) as found:
            mmhash.identity([0, image])
        assert type(found.value) is type(error)
        assert str(found.value) == text
        assert vars(found.value) == vars(error)
        assert getattr(found.value, "errno", None) == getattr(error, "errno", None)
        assert getattr(found.value, "filename", None) == getattr(error, "filename", None)
    assert str(error) == original  # it is Pillow's: nothing was written into it
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("error", [KeyError("key"), ValueError(1, 2), ValueError()])
def test_where_the_message_has_no_place_for_it(error: Exception) -> None:
    image = failing(error)
    for _ in range(3):
        with pytest.raises(type(error)) as found:
            mmhash.identity([0, image])
        assert found.value.args == error.args
        assert found.value.__notes__ == ["where: value[1]"]
    assert not hasattr(error, "__notes__")


def test_an_interrupted_load_is_a_failed_one() -> None:
    image = failing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        mmhash.identity([image])
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^value\[0\]: .* ended with KeyboardInterrupt"):
            mmhash.identity([image])


def test_a_failed_image_keeps_nothing_alive() -> None:
    """The frames of whoever asked first would be in the traceback."""
    image = broken_image()
    with pytest.raises(OSError, match="data stream"):
        mmhash.identity(image)
    kept, _ = vars(image)["_mmhash_failure"]
    assert kept.__traceback__ is kept.__cause__ is kept.__context__ is None


def test_opened_again() -> None:
    data = broken_png()
    with pytest.raises(OSError, match="data stream"):
        mmhash.identity(Image.open(io.BytesIO(data)))
    assert mmhash.identity(Image.open(io.BytesIO(FILES["png"]))) == mmhash.identity(pixels("RGB"))


def test_closed_image_of_a_file() -> None:
    image = Image.open(io.BytesIO(FILES["png"]))
    mmhash.identity(image)
    image.close()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"^value\[0\]: Operation on closed image$"):
            mmhash.identity([image])


def test_a_palette_can_be_mended() -> None:
    """What failed on an image that is of no file was not decoding."""
    image = pixels("P")
    palette = bytes(range(30))
    image.putpalette(palette)
    expected = mmhash.identity(image)
    assert image.palette is not None
    image.palette.rawmode, image.palette.dirty = "no such mode", 1
    with pytest.raises(ValueError, match="mode"):
        mmhash.identity(image)
    image.putpalette(palette)
    assert mmhash.identity(image) == expected


# Frames.


def animation(kind: str, **options: Any) -> bytes:
    more = [pixels("RGB", seed=seed) for seed in (2, 3)]
    return encoded(pixels("RGB"), kind, save_all=True, append_images=more, **options)


def with_damaged_frame(data: bytes, frame: int) -> bytes:
    """The file with 40 bytes of a frame's data, in the middle of it, set to zero."""
    middle = len(data) * (2 * frame + 1) // 6
    return data[:middle] + bytes([255] * 40) + data[middle + 40 :]


def test_frames_drawn_over_one_that_failed() -> None:
    image = Image.open(io.BytesIO(with_damaged_frame(animation("PNG"), 1)))
    mmhash.identity(image)
    for frame in (1, 2, 1, 0):
        try:
            image.seek(frame)
        except Exception:
            continue  # refused by Pillow itself
        with pytest.raises(OSError, match=r"data stream|an earlier load"):
            mmhash.identity(image)


def test_frames_that_stand_for_themselves() -> None:
    data = animation("TIFF", compression="tiff_adobe_deflate")
    whole = Image.open(io.BytesIO(data))
    image = Image.open(io.BytesIO(with_damaged_frame(data, 1)))
    for frame in (0, 1, 2, 1, 0, 1):
        image.seek(frame)
        if frame == 1:
            for _ in range(2):
                with pytest.raises(OSError, match=r"-2"):
                    mmhash.identity(image)
        else:
            whole.seek(frame)
            assert mmhash.identity(image) == mmhash.identity(whole)


# Loads that some other code called before.


def chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)


def test_a_png_whose_end_failed_elsewhere() -> None:
    end = chunk(b"IEND", b"")
    data = FILES["png"].removesuffix(end) + chunk(b"tEXt", b"key\0text")[:-8]
    image = Image.open(io.BytesIO(data))
    with pytest.raises(OSError, match="Truncated File Read"):
        image.load()
    for _ in range(2):
        with pytest.raises(OSError, match=r"value\[0\]: an earlier load of the image failed"):
            mmhash.identity([image])


@pytest.mark.parametrize("name", ["png", "gif", "jpeg", "bmp", "ppm", "tiff", "pcx", "tga", "sgi"])
def test_an_image_that_was_cut_off_and_failed_elsewhere(name: str) -> None:
    image = opened(FILES[name][: len(FILES[name]) * 3 // 4])
    assert image is not None
    with pytest.raises(OSError, match="truncated"):
        image.load()
    for _ in range(2):
        with pytest.raises(OSError, match="truncated"):
            mmhash.identity(image)
