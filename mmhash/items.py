"""One image, video or audio clip, with SGLang's field names, whatever the engine."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mmhash import _core, profiling
from mmhash._carried import described
from mmhash._hash_state import STATE, HashState, Known
from mmhash._item_algorithm import OWN, OwnAlgorithm, opened
from mmhash._nested import is_empty
from mmhash.lazy import HASHED, PROVIDED, LazyHash
from mmhash.modality import Modality, as_modality

# Found by reading SGLang 0.5.23: what the encoders in srt/models take from an item beside its
# feature (`item.NAME`, getattr(item, "NAME"), item.model_specific_data["NAME"], and the parameters
# of get_image_feature and the like), and the names that srt/multimodal/processors sort into items
# (ATTR_NAME_TO_MODALITY) and encoders of transformers receive as keywords. Left out: what tells how
# an item travels (_sglang_borrow_cuda_ipc_feature and its kin, encoder_local_preprocessed,
# dp_decode_sharded), what belongs to the prompt (pre_chunked_input_ids, num_tokens,
# vision_token_info), plans of how to compute the feature (dsv41_gpu_plan) and digests of the file
# (content_digest).
READ_BY_ENCODERS = frozenset(
    (
        # images
        *("aspect_ratio_ids", "aspect_ratio_mask", "block_sizes", "grid_thw", "grid_thws"),
        *("has_images", "has_local_crops", "image_aspect_ratio", "image_attention_mask"),
        *("image_emb_mask", "image_grid_hws", "image_grid_thw", "image_position_ids"),
        *("image_sizes", "images_crop", "images_spatial_crop", "is_dynamic", "n_vit_h", "n_vit_w"),
        *("num_patches", "patch_pixel_values", "pixel_attention_mask", "spatial_shapes"),
        *("tgt_size", "tgt_sizes", "thw_grids", "use_vit_merger"),
        # videos
        *("frames_per_video", "pixel_attention_mask_videos", "second_per_grid_ts"),
        *("spatial_shapes_videos", "timestamps", "video_grid_thw", "video_position_ids"),
        # audio
        *("audio_attention_mask", "audio_feature_lens", "audio_length", "audio_num_clips"),
        *("feature_attention_mask", "input_features_mask"),
    )
)


@dataclasses.dataclass(init=False, eq=False)
class MultimodalDataItem(LazyHash):
    """One image, video or audio clip of a request, whose hash is lazy: see LazyHash.

    `feature` is what the processor made (a tensor, an array, or nested lists of them), or
    `precomputed_embeddings` holds the encoder's output. `modality` is a Modality or its name.
    `offsets` are the (first, last) positions of its tokens. Whatever else is given goes to
    `model_specific_data`, whose entries can be read as attributes.

    The hash covers what decides what an encoder makes of the item: the feature, the modality, and
    those entries of `model_specific_data` (or attributes) whose names stand in `read_by_encoder`
    and that are not None. An image without such entries has the hash of its feature; any other item
    that of a mapping, `mmhash.hash_feature({"modality": "VIDEO", "feature": feature,
    "model_specific_data": {"video_grid_thw": grid}})`, with "precomputed_embeddings" in the place
    of "feature" where those are hashed. So a grid on a GPU, on the CPU and in an array are one
    value, but a list of ints is another: an engine keeps to one of them. An entry may be added
    until the hash is read; one that is replaced by `item[key] = value` or by another dict counts as
    it was, like a feature. As with the memory of a feature, a write into the dict or its arrays
    themselves is not seen: what they hold when the hash is read counts.

    Two items are equal only if they are the same object: comparing tensors would read their bytes,
    and comparing hashes would compute them.

    `algorithm` and `key` are those of mmhash.identity(), for this item alone: see LazyHash for what
    hashes where neither is given. They are never among the entries of `model_specific_data`.

    Raises ValueError for an unknown modality or a negative hash, TypeError for one of another type;
    and for an algorithm or key what mmhash.identity() raises.

    >>> item = mmhash.MultimodalDataItem("IMAGE", feature=b"pixels", image_grid_thw=[1, 2, 2])
    >>> entries = {"image_grid_thw": item.image_grid_thw}
    >>> whole = {"modality": "IMAGE", "feature": b"pixels", "model_specific_data": entries}
    >>> item.hash == mmhash.hash_feature(whole)
    True
    >>> mmhash.MultimodalDataItem("IMAGE", feature=b"pixels").hash == mmhash.hash_feature(b"pixels")
    True
    >>> mmhash.MultimodalDataItem("IMAGE", feature=b"pixels", hash="0xff")
    Traceback (most recent call last):
    TypeError: hash: expected a non-negative int or None, found a str
    """

    read_by_encoder: ClassVar[frozenset[str]] = READ_BY_ENCODERS
    """The names in `model_specific_data` that the hash covers. A class for other models has its
    own, such as `MultimodalDataItem.read_by_encoder | {"patch_order"}`. What stands under such a
    name needs an identity; transports, offsets and what belongs to the request have none."""

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
        *,
        algorithm: Any = None,
        key: Any = None,
        **more: Any,
    ) -> None:
        if type(modality) is not Modality:
            modality = as_modality(modality)
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
        if algorithm is not None or key is not None:
            self.__dict__[OWN] = opened(OwnAlgorithm, algorithm, key)
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
            return
        if key in _OF_ALGORITHM:
            raise AttributeError(f"{key}: expected in the constructor, found it set in an item")
        if key in self.read_by_encoder:
            self._keep_hash(key, value)
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
    def from_dict(
        cls, fields: dict[str, Any], *, algorithm: Any = None, key: Any = None
    ) -> MultimodalDataItem:
        """An item of these fields, others in `model_specific_data`. Reads no bytes of any tensor.

        `algorithm` and `key` are as in the constructor. Where neither is given they may stand among
        the fields, so let no client choose those, nor `hash`.

        Raises TypeError for what is no dict of str, and what the class and validate() raise.
        """
        own = None
        if algorithm is not None or key is not None:
            own = opened(OwnAlgorithm, algorithm, key)
        if profiling.is_active():
            return profiling.construct_with(lambda given: cls._from_dict(given, own), fields)
        return cls._from_dict(fields, own)

    @classmethod
    def _from_dict(
        cls, fields: dict[str, Any], own: OwnAlgorithm | None = None
    ) -> MultimodalDataItem:
        if not isinstance(fields, dict):
            raise TypeError(f"item: expected a dict, found a {type(fields).__qualname__}")
        if "modality" not in fields:
            raise ValueError("modality: expected a Modality or its name, found no such field")
        if own is None:
            item = cls(**fields)
        else:  # the caller's word, whatever the fields say, which may be a client's
            item = cls(**{name: fields[name] for name in fields if name not in _BY})
            item.__dict__[OWN] = own
        item.validate()
        return item

    def _is_hashed(self, name: str) -> bool:
        return name in _ALWAYS_HASHED or name in self.read_by_encoder

    def _parts(self, name: str | None = None, value: Any = None) -> dict[str, Any]:
        """The source, the modality, and what an encoder reads besides, under their names."""
        parts = super()._parts(name, value)
        if not parts:
            return parts
        held = self.__dict__
        parts["modality"] = value if name == "modality" else held.get("modality")
        data = value if name == "model_specific_data" else held.get("model_specific_data")
        for values in (data or {}, held):  # an attribute hides the entry of its name
            for each in self.read_by_encoder.intersection(values):
                parts[each] = values[each]
        if name in self.read_by_encoder:
            parts[name] = value
        return {each: part for each, part in parts.items() if part is not None}

    def _whole(self, parts: dict[str, Any]) -> Any:
        values = {each: part for each, part in parts.items() if each not in _ALWAYS_HASHED}
        (source,) = parts.keys() & set(HASHED)
        modality = as_modality(parts.get("modality"))
        if modality is Modality.IMAGE and not values:
            return parts[source]
        return {"modality": modality.name, source: parts[source], "model_specific_data": values}

    def merge(self, other: MultimodalDataItem) -> None:
        """Makes this one item of both: the features of both in a list, and their offsets.

        Both are resolved first, and the hash is then that of their two hashes in order,
        `mmhash.hash_feature([self.hash, other.hash])` by this item's algorithm, as of an item that
        was hashed before it came to be merged. It travels as one that was computed by that, or as
        one that was assigned if one of the two was. Nothing of the other is changed; its
        `model_specific_data` is not taken over.

        Raises what reading the two hashes raises, TypeError if `other` is no item, and ValueError
        if either was hashed by another algorithm or key than this item's.
        """
        if not isinstance(other, MultimodalDataItem):
            raise TypeError(f"merge: expected an item, found a {type(other).__qualname__}")
        by = self._algorithm()
        pair = self._known(), other._known()
        for known in pair:
            if known.maker not in (None, by.maker):
                raise ValueError(
                    f"merge: expected two items hashed by {described(by.maker)}, found one hashed "
                    f"by {described(known.maker)}; make both with one algorithm and key"
                )
        number = _core.hash_feature([known.number for known in pair], algorithm=by.algorithm)
        assigned = any(known.maker is None for known in pair)
        for name in HASHED:
            ours, theirs = getattr(self, name), getattr(other, name)
            if theirs is not None:
                setattr(self, name, theirs if ours is None else _as_list(ours) + _as_list(theirs))
        if other.offsets is not None:
            self.offsets = (self.offsets or []) + other.offsets
        self.__dict__[STATE] = HashState(Known(number, None, None if assigned else by.maker))


_ALWAYS_HASHED = frozenset((*HASHED, "modality", "model_specific_data"))
_OF_ALGORITHM = frozenset(("algorithm", "key"))
_BY = frozenset(("algorithm", "key"))
_FIELDS = frozenset(field.name for field in dataclasses.fields(MultimodalDataItem)) | {*PROVIDED}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
