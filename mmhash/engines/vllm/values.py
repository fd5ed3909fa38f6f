"""vLLM's values as values that have an identity, told apart at least as finely as vLLM does."""

from __future__ import annotations

import io
import pickle
import uuid
from collections.abc import Iterator
from typing import Any

from mmhash import _core
from mmhash._nested import Place, replaced
from mmhash.engines.vllm.probe import Probe

# Of an image, copied out of Pillow and hashed at a time. Copied as a whole, 3840x2160 pixels take
# three times as long, most of which are page faults: memory of that size is fresh at each copy.
BAND_BYTES = 2 << 20


class Values:
    """Turns what vLLM hashes into what mmhash.identity() takes.

    Copies no tensor and no array, and of an image a band at a time.

    None, numbers, strings, buffers and arrays of numbers stand for themselves. All else becomes a
    list that begins with its kind, lists and mappings among them: so nothing that a request can
    hold looks like something else.
    """

    def __init__(self, probe: Probe, algorithm: _core.Algorithm) -> None:
        import numpy
        import torch
        from PIL import Image

        self._algorithm = algorithm  # of the bands: the whole is as strong as they are
        self._numpy, self._torch, self._image = numpy, torch, Image
        self._media = probe.media
        self._logger = probe.module.logger

    def of_all(self, kwargs: dict[str, Any]) -> Any:
        """The arguments of hash_kwargs(), whose order does not matter."""
        return {name: self.of(value) for name, value in kwargs.items()}

    def of(self, value: Any) -> Any:
        """The value to be hashed. Raises what pickling a value of an unknown class raises.

        However deep it is, and whether or not it contains itself: identity() names what it refuses.
        """
        return replaced(value, self._replace)

    def _replace(self, value: Any) -> tuple[Any, list[Place]]:
        """What stands for a value, and where in that its own items are still to be replaced."""
        if isinstance(value, (list, tuple)):
            sequence = ["sequence", *value]
            return sequence, [(sequence, index) for index in range(1, len(sequence))]
        if isinstance(value, dict):
            pairs = [[self._key(key), each] for key, each in value.items()]
            return ["mapping", *pairs], [(pair, 1) for pair in pairs]
        return self._leaf(value), []

    def _leaf(self, value: Any) -> Any:
        if value is None or isinstance(value, (str, bytes, memoryview)):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, self._numpy.generic):
            return value
        if isinstance(value, self._torch.Tensor):
            return ["tensor", value]
        if isinstance(value, (self._numpy.ndarray, self._numpy.generic)):
            return self._array(self._numpy.asarray(value))
        if isinstance(value, self._image.Image):
            return self._pixels(value)
        if isinstance(value, self._media):
            return self._original(value)
        return self._pickled(value)

    def _key(self, key: Any) -> Any:
        """A key of a mapping, which vLLM takes as text. Any object can be one."""
        plain = key is None or isinstance(key, (str, bytes, int, float))
        return key if plain else ["key", type(key).__qualname__, str(key)]

    def _array(self, array: Any) -> Any:
        dtype = array.dtype
        if dtype.kind in "biufc" and dtype.char not in "gG":
            return array
        if dtype.hasobject:
            raise TypeError(
                "hash_kwargs: expected an array of numbers, found one of Python objects, whose "
                "bytes are addresses: give a list"
            )
        # Strings, dates, records, extended precision, ml_dtypes: the bytes, as vLLM takes them.
        return ["array", dtype.str, str(dtype), list(array.shape), array.tobytes()]

    def _image_id(self, image: Any) -> bytes | None:
        """The UUID that an application has put into the EXIF data, to stand for the image.

        No file can hold one: it is in what getexif() once returned to the application, and which
        the image keeps, or it is nowhere. Calling getexif() here would decode a PNG that nobody has
        read, and hide that it is damaged; and beside another thread's first call it sees no tags.
        """
        exif = getattr(image, "_exif", None)
        if exif is None:
            return None
        try:
            found = exif.get(self._image.ExifTags.Base.ImageID)
        except MemoryError:
            raise
        except Exception:  # malformed EXIF data are as none
            return None
        return found.bytes if isinstance(found, uuid.UUID) else None

    def _pixels(self, image: Any) -> Any:
        image_id = self._image_id(image)
        if image_id is not None:
            return image_id
        _core.load_image(image)  # of a file, size and palette are known only then
        palette = image.palette
        if palette is not None:
            palette = ["palette", palette.mode, palette.rawmode, bytes(palette.palette)]
        transparency = self.of(image.info.get("transparency"))
        pixels = [_core.identity(band, algorithm=self._algorithm) for band in _bands(image)]
        return ["image", image.mode, list(image.size), pixels, palette, transparency]

    def _original(self, item: Any) -> Any:
        """A decoded file: its own bytes, unless what was sampled of it has fewer."""
        if isinstance(item.media, self._image.Image):
            image_id = self._image_id(item.media)
            if image_id is not None:
                return image_id
            return ["image file", self.of(item.io_config or None), item.original_bytes]
        if isinstance(item.media, (self._numpy.ndarray, self._torch.Tensor)):
            if item.media.nbytes < len(item.original_bytes):
                return ["video", self.of(item.media)]
            return ["video file", item.original_bytes]
        return self._pickled(item)

    def _pickled(self, value: Any) -> Any:
        self._logger.warning(
            "No serialization method found for %s. Falling back to pickle.", type(value)
        )
        pickled = io.BytesIO()
        _Pickler(pickled, self._image.Image).dump(value)
        return ["pickle", pickled.getvalue()]


class _Pickler(pickle.Pickler):
    """Pickles as pickle.dumps() does, and loads the images of files that it meets as identity().

    Pickle itself would have Pillow decode them, which is not safe beside another thread that does.
    """

    def __init__(self, file: io.BytesIO, image_class: type) -> None:
        super().__init__(file)
        self._image_class = image_class

    def reducer_override(self, value: Any) -> Any:
        """See pickle.Pickler. Called for everything but builtin values."""
        if isinstance(value, self._image_class):
            _core.load_image(value)
        return NotImplemented


def _bands(image: Any) -> Iterator[bytes]:
    """The pixels of an image, from the top, as Pillow gives them: at most four bytes each.

    Up to two bands are one, because crop() itself copies.
    """
    width, height = image.size
    if 4 * width * height <= 2 * BAND_BYTES:
        yield image.tobytes()
        return
    rows = max(1, BAND_BYTES // max(1, 4 * width))
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(top + rows, height))).tobytes()
