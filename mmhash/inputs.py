"""The items of one request, with SGLang's field names, whatever the engine."""

from __future__ import annotations

import dataclasses
from typing import Any

from mmhash import profiling
from mmhash._item_algorithm import OwnAlgorithm, opened
from mmhash.items import MultimodalDataItem


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
    def from_dict(
        cls, fields: dict[str, Any], *, algorithm: Any = None, key: Any = None
    ) -> MultimodalInputs:
        """The inputs of a request, from what its processor returned. Reads no bytes of any tensor.

        `fields["mm_items"]` is a list of items, or of dicts of their fields. Items that are not
        valid (`is_valid()`) are dropped. Fields that this class does not have, such as `input_ids`,
        are passed over. `algorithm` and `key` are for the items that are made of dicts here.

        Raises TypeError for what is no dict or a `mm_items` that is no list of items, and
        ValueError for an item without `feature`, `precomputed_embeddings` and hash, naming which.

        >>> mmhash.MultimodalInputs.from_dict({"mm_items": [{"modality": "IMAGE"}]})
        Traceback (most recent call last):
        ValueError: mm_items[0]: feature and precomputed_embeddings: expected one of them, ...
        """
        own = None
        if algorithm is not None or key is not None:
            own = opened(OwnAlgorithm, algorithm, key)
        if profiling.is_active():
            return profiling.construct_with(
                lambda given: cls._from_dict(given, own), fields, requests=1, items=_count(fields)
            )
        return cls._from_dict(fields, own)

    @classmethod
    def _from_dict(cls, fields: dict[str, Any], own: OwnAlgorithm | None) -> MultimodalInputs:
        if not isinstance(fields, dict):
            raise TypeError(f"inputs: expected a dict, found a {type(fields).__qualname__}")
        given = fields.get("mm_items")
        if not isinstance(given, list):
            raise TypeError(f"mm_items: expected a list, found a {type(given).__qualname__}")
        items = [_valid_item(i, item, own) for i, item in enumerate(given)]
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


def _valid_item(position: int, given: Any, own: OwnAlgorithm | None) -> MultimodalDataItem | None:
    try:
        if isinstance(given, dict):
            item = MultimodalDataItem._from_dict(given, own)
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


def _joined(ours: Any, theirs: Any, dimension: int) -> Any:
    if ours is None or theirs is None:
        return theirs if ours is None else ours
    import torch

    return torch.cat([ours, theirs], dim=dimension)
