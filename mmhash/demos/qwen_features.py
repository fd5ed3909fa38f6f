"""The features of an image as Qwen2-VL's and Qwen2.5-VL's image processor makes them.

After `Qwen2VLImageProcessor` of Hugging Face transformers 4.57.1 with its default settings, whose
results this reproduces to the bit (tests/demos/test_qwen_features.py): resize to multiples of 28
pixels, normalise as CLIP does, and cut into patches of 14x14 pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import numpy.typing as npt

PATCH = 14
MERGE = 2  # 2x2 patches become one token of the language model, and stand together in the features
FRAMES = 2  # a patch spans two frames of a video; an image is shown as two equal ones
FACTOR = PATCH * MERGE
MIN_PIXELS = 56 * 56
MAX_PIXELS = 28 * 28 * 1280
MAX_ASPECT = 200
# The mean and standard deviation of the images that CLIP was trained on: red, green, blue.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def smart_resize(
    height: int, width: int, min_pixels: int = MIN_PIXELS, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """The (height, width) that an image is resized to: multiples of 28 nearest to its own.

    Where those hold more than `max_pixels`, or fewer than `min_pixels`, both sides are scaled by
    one factor first and rounded down, or up. ValueError: one side is over 200 times the other.

    >>> smart_resize(600, 512), smart_resize(3000, 4000), smart_resize(10, 10)
    ((588, 504), (840, 1148), (56, 56))
    """
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise ValueError(
            f"expected an image at most {MAX_ASPECT} times as long as wide, got {width}x{height} "
            "pixels: crop it"
        )
    # Python's round, half to even, as the original has it: 42 pixels become 56, and 70 become 56.
    new_height, new_width = round(height / FACTOR) * FACTOR, round(width / FACTOR) * FACTOR
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = max(FACTOR, math.floor(height / shrink / FACTOR) * FACTOR)
        new_width = max(FACTOR, math.floor(width / shrink / FACTOR) * FACTOR)
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / FACTOR) * FACTOR
        new_width = math.ceil(width * grow / FACTOR) * FACTOR
    return new_height, new_width


def qwen_features(image: Image.Image) -> tuple[npt.NDArray[np.float32], tuple[int, int, int]]:
    """The features of an image, and their grid (frames, rows and columns of patches).

    Returns float32 of shape (frames * rows * columns, 1176), C-contiguous. A row is one patch: 3
    channels x 2 frames x 14 x 14 pixels. ValueError: see `smart_resize`.
    """
    height, width = smart_resize(image.height, image.width)
    resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized).transpose(2, 0, 1)
    values = _normalised_values()
    planes = np.stack([table[plane] for table, plane in zip(values, pixels, strict=True)])
    rows, columns = height // PATCH, width // PATCH
    return _patches(np.stack([planes] * FRAMES), rows, columns), (1, rows, columns)


def _normalised_values() -> npt.NDArray[np.float32]:
    """What each of the 256 levels of each channel becomes, shape (3, 256).

    The arithmetic and the roundings of the original, done once a level and not once a pixel.
    """
    scaled = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean, std = (np.array(c, dtype=np.float32)[:, None] for c in (CLIP_MEAN, CLIP_STD))
    normalised: npt.NDArray[np.float32] = (scaled - mean) / std
    return normalised


def _patches(frames: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Cut (frames, channels, height, width) into patches, one a row, 2x2 neighbours together."""
    channels = frames.shape[1]
    # frame, channel, then square, patch in it and pixel in that, first their rows, then columns
    blocks = frames.reshape(
        FRAMES, channels, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH
    )
    return blocks.transpose(2, 5, 3, 6, 1, 0, 4, 7).reshape(rows * columns, -1)
