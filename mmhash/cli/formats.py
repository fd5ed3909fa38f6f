"""Which reader takes which file: by its suffix.

Nothing is unpickled that can run code, and nothing is copied where the format allows it to be
mapped.
"""

from __future__ import annotations

import importlib

from mmhash.cli.entries import Reader

# By name: a reader's module is imported for the first file that it reads.
_ARRAY, _ARCHIVE = "mmhash.cli.arrays:read_npy", "mmhash.cli.arrays:read_npz"
_CHECKPOINT = "mmhash.cli.checkpoints:read_torch"
_SAFETENSORS = "mmhash.cli.safetensors_file:read_safetensors"
_IMAGE = "mmhash.cli.images:read_image"

READERS: dict[str, str] = {
    ".npy": _ARRAY,
    ".npz": _ARCHIVE,
    ".pt": _CHECKPOINT,
    ".pth": _CHECKPOINT,
    ".safetensors": _SAFETENSORS,
    # The image files that people send to a model. Others that Pillow could open stay bytes.
    ".avif": _IMAGE,
    ".bmp": _IMAGE,
    ".gif": _IMAGE,
    ".jp2": _IMAGE,
    ".jpeg": _IMAGE,
    ".jpg": _IMAGE,
    ".png": _IMAGE,
    ".ppm": _IMAGE,
    ".tif": _IMAGE,
    ".tiff": _IMAGE,
    ".webp": _IMAGE,
}


def reader_of(suffix: str) -> Reader | None:
    """The reader of files with this suffix, or None where they are hashed as bytes."""
    registered = READERS.get(suffix.lower())
    if registered is None:
        return None
    module, _, name = registered.partition(":")
    reader: Reader = getattr(importlib.import_module(module), name)
    return reader
