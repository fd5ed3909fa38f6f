"""The reader of image files: the pixels as Pillow decodes them, and what that leaves out."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

from mmhash import _core
from mmhash.cli.entries import CLI_EXTRA, Entry, Notice, ReadOptions, Unread, parsing
from mmhash.cli.errors import UnusableFileError, reason, require
from mmhash.cli.image_headers import bits_per_channel, bytes_behind

WHAT = "an image"
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 0x0102  # tags of EXIF and TIFF
UPRIGHT = 1

# Pillow keeps its limit in a global of the process.
_changing_limit = threading.Lock()


def read_image(path: str, options: ReadOptions) -> Iterator[Entry | Unread | Notice]:
    """The decoded pixels of an image; of an animation, those of the first frame."""
    pillow = require("PIL.Image", "to decode images", CLI_EXTRA)
    limit = options.max_image_pixels
    with parsing(path, WHAT), warnings.catch_warnings(), _no_limit_of_pillow(pillow):
        warnings.simplefilter("ignore")
        image = pillow.open(path)  # the header only
    with contextlib.closing(image):
        width, height = image.size
        if limit and width * height > limit:
            raise UnusableFileError(
                f"expected an image of at most {limit:,} pixels, found {width}x{height}: if it "
                f"may take the memory, allow --max-image-pixels {width * height} (0: any number)"
            )
        with parsing(path, WHAT), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A truncated file fails here, and palette and transparency are final.
            _core.load_image(image)
        yield Entry.of("", image)
        for text in _left_out(pillow, path, image):
            yield Notice(text)


def _left_out(pillow: Any, path: str, image: Any) -> Iterator[str]:
    """What of the file is no part of the pixels that Pillow gives."""
    tiff_bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, ())
    bits = max(tiff_bits, default=0) or bits_per_channel(path)
    if bits > 8 and image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"):
        yield (
            f"of the {bits} bits of each channel Pillow decodes 8 (mode {image.mode}), and only "
            "those were hashed"
        )
    with contextlib.suppress(Exception):  # damaged metadata does not turn the image
        orientation = image.getexif().get(ORIENTATION, UPRIGHT)
        if orientation != UPRIGHT:
            yield (
                f"its EXIF orientation {orientation} was not applied: the pixels were hashed as "
                "they are stored (PIL.ImageOps.exif_transpose turns them)"
            )
    frames = _frames(pillow, path)
    if frames != 1:
        yield f"the first of {frames} frames was hashed, the others were not"
    behind = bytes_behind(path)
    if behind and image.format != "MPO":  # its frames are whole JPEGs, one behind the other
        yield f"{behind:,} bytes behind the image were not read"


def _frames(pillow: Any, path: str) -> int | str:
    """How many frames there are. From a second look: to count them, the first is left."""
    with warnings.catch_warnings(), _no_limit_of_pillow(pillow):
        warnings.simplefilter("ignore")
        with pillow.open(path) as image:
            try:
                count: int = getattr(image, "n_frames", 1)
                return count
            except Exception as error:
                return f"some (they do not parse: {reason(error)})"


@contextlib.contextmanager
def _no_limit_of_pillow(pillow: Any) -> Iterator[None]:
    """Switch off Pillow's guard against decompression bombs while a header is read.

    Not longer, and not while pixels are decoded: other threads of the process may rely on it. The
    reader's own limit, which can be set for a call, is checked in between.
    """
    with _changing_limit:
        before = pillow.MAX_IMAGE_PIXELS
        pillow.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            pillow.MAX_IMAGE_PIXELS = before
