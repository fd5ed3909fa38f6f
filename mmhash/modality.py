"""What an item is of: an image, a video, audio."""

from __future__ import annotations

import enum
from typing import Any


class Modality(enum.Enum):
    """What an item is of.

    >>> mmhash.Modality.from_str("image")
    <Modality.IMAGE: 1>
    >>> mmhash.Modality.from_str("smell")
    Traceback (most recent call last):
    ValueError: modality: expected one of IMAGE, MULTI_IMAGES, VIDEO, AUDIO, found 'smell'
    """

    IMAGE = enum.auto()
    MULTI_IMAGES = enum.auto()
    VIDEO = enum.auto()
    AUDIO = enum.auto()

    @classmethod
    def from_str(cls, text: str) -> Modality:
        """The modality of that name, in upper or lower case. ValueError for any other."""
        try:
            return cls[text.upper()]
        except KeyError:
            names = ", ".join(cls.__members__)
            raise ValueError(f"modality: expected one of {names}, found {text!r}") from None

    @classmethod
    def all(cls) -> list[Modality]:
        """Those that a model may have an encoder for."""
        return [cls.IMAGE, cls.VIDEO, cls.AUDIO]


def as_modality(value: Any) -> Modality:
    """The one that is given, by name, or as a member of an engine's own enum."""
    if isinstance(value, Modality):
        return value
    if isinstance(value, str):
        return Modality.from_str(value)
    name = getattr(value, "name", None)
    if isinstance(value, enum.Enum) and isinstance(name, str):  # an engine's own
        return Modality.from_str(name)
    raise TypeError(
        f"modality: expected a Modality or its name, found a {type(value).__qualname__}"
    )
