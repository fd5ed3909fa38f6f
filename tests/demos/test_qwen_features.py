"""The features of an image, against numbers that transformers made and a slow second writing."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from mmhash.demos.qwen_features import CLIP_MEAN, CLIP_STD, qwen_features, smart_resize


def picture(width: int, height: int, mode: str) -> Image.Image:
    """An image without symmetry, made of arithmetic."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    y, x, c = np.mgrid[:height, :width, :bands]
    levels = ((x * 7 + y * 13 + c * 101 + x * y // 5) & 255).astype(np.uint8)
    return Image.frombytes(mode, (width, height), levels.tobytes())


# Printed by Qwen2VLImageProcessor() of transformers 4.57.1 (NumPy 2.4.6, Pillow 13.0.0), called as
# `processor(images=picture(...), return_tensors="np")`: image_grid_thw, the SHA-256 of
# pixel_values, some of its values, and its mean in float64. The digest is None where the image is
# resized first: another version of Pillow may round that differently by one level.
MADE_BY_TRANSFORMERS = {
    (84, 56, "RGB"): (
        (1, 4, 6),
        "448dc86b1012859d3932a6a6d53ed4e2eeb393dd331b1cd3d2498a0f5c4ae49f",
        {(0, 0): -1.79226255, (1, 200): 0.04713918, (12, 777): 1.66967404, (23, 1175): 0.0413273},
        0.18783024772248666,
    ),
    (56, 84, "L"): (
        (1, 6, 4),
        "4e03635462540a29dbaf487980ea8b1205bcaf9aefd8a8e759bf253c764b2016",
        {
            (0, 0): -1.79226255,
            (1, 200): 0.04713918,
            (12, 777): -1.13677859,
            (23, 1175): -0.44215491,
        },
        0.18777492343820282,
    ),
    (112, 56, "RGBA"): (
        (1, 4, 8),
        "e62e9bed18e33531b8c982a48dbe60944a7daa0fc015b11130e4b9b3b59acd5d",
        {(0, 0): -1.79226255, (1, 200): 0.04713918, (16, 777): 1.66967404, (31, 1175): -0.07243322},
        0.1899864907153871,
    ),
    (100, 75, "RGB"): (
        (1, 6, 8),
        None,
        {
            (0, 0): -1.79226255,
            (1, 200): -0.15723877,
            (24, 777): -0.25132027,
            (47, 1175): 2.10323691,
        },
        0.18965708679625384,
    ),
    (1500, 1100, "RGB"): (
        (1, 60, 82),
        None,
        {
            (0, 0): -1.7484672,
            (1, 200): 0.67487156,
            (2460, 777): 0.69416916,
            (4919, 1175): 0.69545043,
        },
        0.18738583536705442,
    ),
    (30, 20, "RGB"): (
        (1, 4, 6),
        None,
        {
            (0, 0): -1.79226255,
            (1, 200): -1.17912865,
            (12, 777): -0.97169322,
            (23, 1175): 2.11745691,
        },
        0.19037684036499872,
    ),
}

ONE_LEVEL = 1 / 255 / min(CLIP_STD)


@pytest.mark.parametrize("size", MADE_BY_TRANSFORMERS, ids=str)
def test_features_are_those_of_transformers(size: tuple[int, int, str]) -> None:
    grid, digest, values, mean = MADE_BY_TRANSFORMERS[size]
    features, found_grid = qwen_features(picture(*size))
    assert found_grid == grid
    assert features.dtype == np.float32
    assert features.shape == (grid[1] * grid[2], 3 * 2 * 14 * 14)
    assert features.flags.c_contiguous
    if digest is not None:
        assert hashlib.sha256(features.tobytes()).hexdigest() == digest
    for position, value in values.items():
        assert features[position] == pytest.approx(value, abs=1e-6 if digest else 1.5 * ONE_LEVEL)
    assert features.mean(dtype=np.float64) == pytest.approx(mean, abs=1e-9 if digest else 1e-3)


@pytest.mark.parametrize("size", [(84, 56), (61, 130)])
def test_features_pixel_by_pixel(size: tuple[int, int]) -> None:
    """Each value again, from what it means: which pixel, which channel."""
    image = picture(*size, "RGB")
    features, (_, rows, columns) = qwen_features(image)
    resized = image.resize((columns * 14, rows * 14), Image.Resampling.BICUBIC)
    pixels = np.asarray(resized).astype(np.float64)
    for row in range(rows):
        for column in range(columns):
            # Squares of 2x2 patches from left to right and down, and so within a square.
            square = (row // 2) * (columns // 2) + column // 2
            patch = features[4 * square + 2 * (row % 2) + column % 2].reshape(3, 2, 14, 14)
            corner = pixels[14 * row : 14 * row + 14, 14 * column : 14 * column + 14]
            for channel in range(3):
                expected = (corner[..., channel] / 255 - CLIP_MEAN[channel]) / CLIP_STD[channel]
                for frame in range(2):
                    np.testing.assert_allclose(patch[channel, frame], expected, atol=1e-6)


# smart_resize(height, width) of transformers 4.57.1, likewise.
RESIZED_BY_TRANSFORMERS = {
    (600, 512): (588, 504),
    (56, 56): (56, 56),
    (10, 10): (56, 56),
    (28, 5000): (28, 5012),
    (3000, 4000): (840, 1148),
    (42, 42): (56, 56),
    (70, 70): (56, 56),
    (70, 2786): (56, 2800),
    (1080, 1920): (728, 1316),
    (100, 37): (112, 28),
    (2000, 11): (756, 28),
    (1001, 1003): (980, 980),
    (28, 28): (56, 56),
    (1, 200): (28, 812),
}


@pytest.mark.parametrize("size", RESIZED_BY_TRANSFORMERS)
def test_smart_resize_is_that_of_transformers(size: tuple[int, int]) -> None:
    assert smart_resize(*size) == RESIZED_BY_TRANSFORMERS[size]


@pytest.mark.parametrize(("height", "width"), [(10, 2001), (2001, 10)])
def test_a_strip_is_refused(height: int, width: int) -> None:
    with pytest.raises(
        ValueError, match=rf"at most 200 times .* got {width}x{height} pixels: crop"
    ):
        smart_resize(height, width)
