"""The items of a multimodal request, with SGLang's field names, whatever the engine."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from mmhash import _core, profiling
from mmhash.lazy import HASHED, PROVIDED, LazyHash, is_empty


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


@dataclasses.dataclass(init=False, eq=False)
class MultimodalDataItem(LazyHash):
    """One image, video or audio clip of a request, whose hash is lazy: see LazyHash.

    `feature` is what the processor made (a tensor, an array, or nested lists of them), or
    `precomputed_embeddings` holds the encoder's output. `modality` is a Modality or its name.
    `offsets` are the (first, last) positions of its tokens. Whatever else is given goes to
    `model_specific_data`, whose entries can be read as attributes.

    Two items are equal only if they are the same object: comparing tensors would read their bytes,
    and comparing hashes would compute them.

    Raises ValueError for an unknown modality or a negative hash, TypeError for one of another type.

    >>> item = mmhash.MultimodalDataItem("IMAGE", feature=b"pixels", image_grid_thw=[1, 2, 2])
    >>> item.image_grid_thw, item.pad_value == mmhash.hash_feature(b"pixels") % 2**30
    ([1, 2, 2], True)
    >>> mmhash.MultimodalDataItem("IMAGE", feature=b"pixels", hash="0xff")
    Traceback (most recent call last):
    TypeError: hash: expected a non-negative int or None, found a str
    """

    modality: Modality
    offsets: list[Any] | None = None
    feature: Any = None
    precomputed_embeddings: Any = None
    model_specific_data: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __init__(
        self,
        modality: Modality | str,
        hash: int | None = None,  # noqa: A002 - the name that engines give it
        pad_value: int | None = None,
        offsets: list[Any] | None = None,
        feature: Any = None,
        precomputed_embeddings: Any = None,
        model_specific_data: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        if type(modality) is not Modality:
            modality = _modality(modality)
        if model_specific_data is None:
            model_specific_data = more
        elif more:
            model_specific_data = {**model_specific_data, **more}
        # At once, and not through __setattr__, which would look for a hash to save each time.
        self.__dict__.update(
            modality=modality,
            offsets=offsets,
            feature=feature,
            precomputed_embeddings=precomputed_embeddings,
            model_specific_data=model_specific_data,
        )
        if hash is not None:
            self.hash = hash
        if pad_value is not None and (hash is None or pad_value != self.pad_value):
            raise ValueError(
                f"pad_value: expected hash % 2**30, found {pad_value!r} with hash {hash!r}; give "
                "the hash, or neither"
            )

    def __getattr__(self, name: str) -> Any:
        """An entry of `model_specific_data`."""
        data = self.__dict__.get("model_specific_data")
        if data is not None and name in data:
            return data[name]
        raise AttributeError(f"{type(self).__qualname__!r} object has no attribute {name!r}")

    def __setitem__(self, key: str, value: Any) -> None:
        """Sets a field or, if there is none of that name, an entry of `model_specific_data`."""
        if key in _FIELDS:
            setattr(self, key, value)
        else:
            self.model_specific_data[key] = value

    def set(self, key: str, value: Any) -> None:
        """The same as `item[key] = value`."""
        self[key] = value

    @staticmethod
    def is_empty_list(value: Any) -> bool:
        """Whether there is nothing in it: None, or nested lists of nothing but None."""
        return is_empty(value)

    def is_modality(self, modality: Modality) -> bool:
        """Whether it is exactly of that modality."""
        return self.modality is modality

    def is_image(self) -> bool:
        """One image, or several that belong together."""
        return self.modality in (Modality.IMAGE, Modality.MULTI_IMAGES)

    def is_video(self) -> bool:
        """A video."""
        return self.modality is Modality.VIDEO

    def is_audio(self) -> bool:
        """An audio clip."""
        return self.modality is Modality.AUDIO

    def is_valid(self) -> bool:
        """Whether its modality is one of Modality. A subclass may ask for more."""
        return isinstance(self.modality, Modality)

    def validate(self) -> None:
        """Raises ValueError if it has neither a feature nor embeddings nor a hash it came with."""
        empty = is_empty(self.feature) and is_empty(self.precomputed_embeddings)
        if empty and not self.is_resolved:
            raise ValueError(
                "feature and precomputed_embeddings: expected one of them, found both empty; give "
                "the item what its processor made"
            )

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> MultimodalDataItem:
        """An item of these fields, others in `model_specific_data`. Reads no bytes of any tensor.

        Raises TypeError for what is no dict of str, and what the class and validate() raise.
        """
        if profiling.is_active():
            return profiling.construct_with(cls._from_dict, fields)
        return cls._from_dict(fields)

    @classmethod
    def _from_dict(cls, fields: dict[str, Any]) -> MultimodalDataItem:
        if not isinstance(fields, dict):
            raise TypeError(f"item: expected a dict, found a {type(fields).__qualname__}")
        if "modality" not in fields:
            raise ValueError("modality: expected a Modality or its name, found no such field")
        item = cls(**fields)
        item.validate()
        return item

    def merge(self, other: MultimodalDataItem) -> None:
        """Makes this one item of both: the features of both in a list, and their offsets.

        Both are resolved first, and the hash is then that of their two hashes in order,
        `mmhash.hash_feature([self.hash, other.hash])`, as of an item that was hashed before it came
        to be merged. Nothing of the other is changed; its `model_specific_data` is not taken over.

        Raises what reading the two hashes raises, and TypeError if `other` is no item.
        """
        if not isinstance(other, MultimodalDataItem):
            raise TypeError(f"merge: expected an item, found a {type(other).__qualname__}")
        number = _core.hash_feature([self.hash, other.hash])
        for name in HASHED:
            ours, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None:
                setattr(self, name, theirs if ours is None else _as_list(ours) + _as_list(theirs))
        if other.offsets is not None:
            self.offsets = (self.offsets or []) + other.offsets
        self.hash = number


_FIELDS = frozenset(field.name for field in dataclasses.fields(MultimodalDataItem)) | {*PROVIDED}


@dataclasses.dataclass(eq=False)
class MultimodalInputs:
    """The items of one request, and where in the prompt they stand.

    Like the items, two are equal only if they are the same object.

    >>> features = [b"pixels", b"other pixels"]
    >>> items = [{"modality": "IMAGE", "feature": feature} for feature in features]
    >>> inputs = mmhash.MultimodalInputs.from_dict({"mm_items": items, "im_token_id": 7})
    >>> inputs.resolve() == [mmhash.hash_feature(feature) for feature in features]
    True
    >>> mmhash.MultimodalInputs.from_dict({"mm_items": [{"modality": "IMAGE"}]})
    Traceback (most recent call last):
    ValueError: mm_items[0]: feature and precomputed_embeddings: expected one of them, ...
    """

    mm_items: list[MultimodalDataItem]
    image_pad_len: list[Any] | None = None
    num_image_tokens: int | None = None
    im_token_id: int | None = None
    im_start_id: int | None = None
    im_end_id: int | None = None
    slice_start_id: int | None = None
    slice_end_id: int | None = None
    video_token_id: int | None = None
    audio_token_id: int | None = None
    audio_start_id: int | None = None
    audio_end_id: int | None = None
    mrope_positions: Any = None
    mrope_position_delta: Any = None

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> MultimodalInputs:
        """The inputs of a request, from what its processor returned. Reads no bytes of any tensor.

        `fields["mm_items"]` is a list of items, or of dicts of their fields. Items that are not
        valid (`is_valid()`) are dropped. Fields that this class does not have, such as `input_ids`,
        are passed over.

        Raises TypeError for what is no dict or a `mm_items` that is no list of items, and
        ValueError for an item without `feature`, `precomputed_embeddings` and hash, naming which.

        >>> mmhash.MultimodalInputs.from_dict({"mm_items": [{"modality": "IMAGE"}]})
        Traceback (most recent call last):
        ValueError: mm_items[0]: feature and precomputed_embeddings: expected one of them, ...
        """
        if profiling.is_active():
            return profiling.construct_with(
                cls._from_dict, fields, requests=1, items=_count(fields)
            )
        return cls._from_dict(fields)

    @classmethod
    def _from_dict(cls, fields: dict[str, Any]) -> MultimodalInputs:
        if not isinstance(fields, dict):
            raise TypeError(f"inputs: expected a dict, found a {type(fields).__qualname__}")
        given = fields.get("mm_items")
        if not isinstance(given, list):
            raise TypeError(f"mm_items: expected a list, found a {type(given).__qualname__}")
        items = [_valid_item(i, item) for i, item in enumerate(given)]
        optional = {name: fields[name] for name in fields if name in _OPTIONAL}
        return cls([item for item in items if item is not None], **optional)

    def resolve(self) -> list[int]:
        """Hashes now what is not hashed yet, and returns the hashes of all items."""
        return [item.resolve() for item in self.mm_items]

    def contains_image_inputs(self) -> bool:
        """Whether any item is an image."""
        return any(item.is_image() for item in self.mm_items)

    def contains_video_inputs(self) -> bool:
        """Whether any item is a video."""
        return any(item.is_video() for item in self.mm_items)

    def contains_audio_inputs(self) -> bool:
        """Whether any item is an audio clip."""
        return any(item.is_audio() for item in self.mm_items)

    def contains_mm_input(self) -> bool:
        """Whether any item is valid."""
        return any(item.is_valid() for item in self.mm_items)

    def merge(self, other: MultimodalInputs) -> None:
        """Appends the other request's items and positions; token ids are taken where this has none.

        Reads no bytes of any feature. `mrope_positions` are joined along dimension 1 and
        `mrope_position_delta` along 0, and taken over where this has none.
        """
        if not isinstance(other, MultimodalInputs):
            raise TypeError(f"merge: expected MultimodalInputs, found a {type(other).__qualname__}")
        self.mm_items = self.mm_items + other.mm_items
        if other.image_pad_len is not None:
            self.image_pad_len = (self.image_pad_len or []) + other.image_pad_len
        self.mrope_positions = _joined(self.mrope_positions, other.mrope_positions, 1)
        self.mrope_position_delta = _joined(
            self.mrope_position_delta, other.mrope_position_delta, 0
        )
        for name in _OPTIONAL:
            if name.endswith("_id") and getattr(self, name) is None:
                setattr(self, name, getattr(other, name))


_OPTIONAL = dict.fromkeys(field.name for field in dataclasses.fields(MultimodalInputs))
del _OPTIONAL["mm_items"]


def _modality(value: Any) -> Modality:
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


def _valid_item(position: int, given: Any) -> MultimodalDataItem | None:
    try:
        if isinstance(given, dict):
            item = MultimodalDataItem._from_dict(given)
            return item if item.is_valid() else None
        if not isinstance(given, MultimodalDataItem):
            raise TypeError(
                f"expected a MultimodalDataItem or a dict, found a {type(given).__qualname__}"
            )
        if not given.is_valid():
            return None
        given.validate()
        return given
    except (TypeError, ValueError) as error:
        raise type(error)(f"mm_items[{position}]: {error}") from error


def _count(fields: Any) -> int:
    items = fields.get("mm_items") if isinstance(fields, dict) else None
    return len(items) if isinstance(items, list) else 0


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _joined(ours: Any, theirs: Any, dimension: int) -> Any:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    import torch

    return torch.cat([ours, theirs], dim=dimension)
