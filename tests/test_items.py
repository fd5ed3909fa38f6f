"""The items and inputs of a request: SGLang's fields and from_dict, without its hashing."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mmhash
from mmhash import Modality, MultimodalDataItem, MultimodalInputs


class Untouchable:
    """A feature that fails when its bytes are asked for."""

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("its bytes were touched")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __len__(self) -> int:
        raise AssertionError("its length was asked for")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("it was compared")

    __hash__ = object.__hash__


def item(feature: Any = b"pixels", **fields: Any) -> MultimodalDataItem:
    return MultimodalDataItem("IMAGE", feature=feature, **fields)


def test_from_dict_touches_no_bytes() -> None:
    fields = {"modality": "IMAGE", "feature": Untouchable()}
    inputs = MultimodalInputs.from_dict({"mm_items": [item(Untouchable()), fields]})
    assert [each.is_resolved for each in inputs.mm_items] == [False, False]
    inputs.merge(MultimodalInputs([item(Untouchable())]))
    repr(inputs), inputs == copy.copy(inputs), inputs.mm_items[0] == inputs.mm_items[1]
    assert inputs.contains_image_inputs()
    assert not inputs.contains_video_inputs()


def test_fields_and_what_is_specific_to_a_model() -> None:
    made = MultimodalDataItem.from_dict(
        {
            "modality": "VIDEO",
            "feature": b"frames",
            "offsets": [(0, 3)],
            "video_grid_thw": [[1, 2, 2]],
            "model_specific_data": {"second_per_grid_ts": 0.5},
        }
    )
    assert (made.modality, made.offsets) == (Modality.VIDEO, [(0, 3)])
    assert made.model_specific_data == {"second_per_grid_ts": 0.5, "video_grid_thw": [[1, 2, 2]]}
    assert made.video_grid_thw == [[1, 2, 2]]
    made.set("fps", 3)
    made["offsets"] = [(1, 4)]
    made.set("hash", 5)
    assert (made.fps, made.offsets, made.hash) == (3, [(1, 4)], 5)
    with pytest.raises(AttributeError, match="'MultimodalDataItem' object has no attribute 'fbs'"):
        _ = made.fbs
    with pytest.raises(AttributeError):
        made["pad_value"] = 3  # it would not be lost in model_specific_data


@pytest.mark.parametrize("name", list(Modality.__members__))
def test_modalities(name: str) -> None:
    class Foreign(enum.Enum):
        IMAGE = MULTI_IMAGES = VIDEO = AUDIO = name
        SMELL = "SMELL"

    modality = Modality[name]
    for given_ in (modality, name, name.lower()):
        assert MultimodalDataItem(given_, feature=b"x").modality is modality
    assert MultimodalDataItem(Foreign.IMAGE, feature=b"x").modality is Modality.IMAGE
    made = MultimodalDataItem(name, feature=b"x")
    assert made.is_modality(modality)
    assert made.is_valid()
    assert made.is_image() == (name in ("IMAGE", "MULTI_IMAGES"))
    assert (made.is_video(), made.is_audio()) == (name == "VIDEO", name == "AUDIO")
    with pytest.raises(ValueError, match=r"^modality: expected one of .*, found 'SMELL'$"):
        MultimodalDataItem(Foreign.SMELL, feature=b"x")


BAD_ITEMS: list[tuple[Any, type[Exception], str]] = [
    ({"modality": "SMELL", "feature": b"x"}, ValueError, r"modality: expected one of .* 'SMELL'$"),
    ({"modality": 3, "feature": b"x"}, TypeError, r"modality: expected .*, found a int$"),
    ({"feature": b"x"}, ValueError, r"modality: expected .*, found no such field$"),
    ({"modality": "IMAGE"}, ValueError, r"feature and precomputed_embeddings: .* both empty"),
    ({"modality": "IMAGE", "feature": [[], [None]]}, ValueError, r"feature and .* both empty"),
    ({"modality": "IMAGE", "feature": b"x", "hash": -1}, ValueError, r"hash: .* found -1$"),
    ({"modality": "IMAGE", "feature": b"x", "hash": 0.5}, TypeError, r"hash: .* a float$"),
    ({"modality": "IMAGE", "feature": b"x", "pad_value": 3}, ValueError, r"pad_value: expected"),
    (
        {"modality": "IMAGE", "feature": b"x", "hash": 4, "pad_value": 3},
        ValueError,
        r"pad_value: expected hash % 2\*\*30, found 3 with hash 4",
    ),
]


@pytest.mark.parametrize(("fields", "error", "message"), BAD_ITEMS)
def test_bad_items(fields: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        MultimodalDataItem.from_dict(fields)
    with pytest.raises(error, match=rf"^mm_items\[1\]: {message}"):
        MultimodalInputs.from_dict({"mm_items": [item(), fields]})


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (None, r"^inputs: expected a dict, found a NoneType$"),
        ([item()], r"^inputs: expected a dict, found a list$"),
        ({}, r"^mm_items: expected a list, found a NoneType$"),
        ({"mm_items": item()}, r"^mm_items: expected a list, found a MultimodalDataItem$"),
        ({"mm_items": (item(),)}, r"^mm_items: expected a list, found a tuple$"),
        ({"mm_items": [b"x"]}, r"^mm_items\[0\]: expected a MultimodalDataItem or a dict, found a"),
    ],
)
def test_bad_inputs(inputs: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        MultimodalInputs.from_dict(inputs)


def test_an_item_that_carries_its_hash_needs_no_feature() -> None:
    fields = {"modality": "IMAGE", "hash": 2**70 + 5, "pad_value": 5}
    inputs = MultimodalInputs.from_dict({"mm_items": [fields]})
    assert (inputs.mm_items[0].hash, inputs.mm_items[0].pad_value) == (5, 5)


class Picky(MultimodalDataItem):
    def is_valid(self) -> bool:
        return self.offsets is not None


def test_invalid_items_are_dropped() -> None:
    kept = Picky("IMAGE", feature=b"x", offsets=[])
    inputs = MultimodalInputs.from_dict({"mm_items": [Picky("IMAGE", feature=b"x"), kept]})
    assert inputs.mm_items == [kept]


def test_inputs_take_what_they_know() -> None:
    positions = torch.zeros(3, 5)
    fields = {"im_token_id": 7, "mrope_positions": positions, "input_ids": [1, 2]}
    inputs = MultimodalInputs.from_dict({"mm_items": [], **fields})
    assert inputs.im_token_id == 7
    assert inputs.mrope_positions is positions
    assert not hasattr(inputs, "input_ids")


def test_merging_inputs() -> None:
    first = MultimodalInputs([item()], image_pad_len=[1], im_token_id=7)
    second = MultimodalInputs([item(b"others")], image_pad_len=[2], im_token_id=8, im_start_id=9)
    second.mrope_positions = torch.ones(3, 2)
    items = first.mm_items + second.mm_items
    first.merge(second)
    assert first.mm_items == items
    assert (first.image_pad_len, first.im_token_id, first.im_start_id) == ([1, 2], 7, 9)
    first.merge(second)
    assert first.mrope_positions.shape == (3, 4)
    assert len(second.mm_items) == 1
    with pytest.raises(TypeError, match=r"^merge: expected MultimodalInputs, found a list$"):
        first.merge([])  # type: ignore[arg-type]


def test_merging_items() -> None:
    first, second = item([b"a"], offsets=[(0, 1)]), item([b"b"], offsets=[(2, 3)])
    hashes = [mmhash.hash_feature([b"a"]), mmhash.hash_feature([b"b"])]
    kept = first.feature
    first.merge(second)
    assert (first.feature, first.offsets) == ([b"a", b"b"], [(0, 1), (2, 3)])
    assert first.hash == mmhash.hash_feature(hashes)
    assert (kept, second.feature, second.hash) == ([b"a"], [b"b"], hashes[1])
    with pytest.raises(TypeError, match=r"^merge: expected an item, found a bytes$"):
        first.merge(b"c")  # type: ignore[arg-type]


def test_merging_tensors_makes_a_list() -> None:
    first, second = item(torch.zeros(3)), item(torch.ones(3))
    first.merge(second)
    assert [part.sum() for part in first.feature] == [0, 3]


@given(
    parts=st.lists(st.binary(min_size=1, max_size=4), min_size=2, max_size=5),
    resolved=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_merging_does_not_depend_on_what_was_hashed_before(
    parts: list[bytes], resolved: list[bool]
) -> None:
    items = [item([part]) for part in parts]
    for each, now in zip(items, resolved, strict=False):
        if now:
            each.resolve()
    merged, *others = (pickle.loads(pickle.dumps(each)) if now else each
                       for each, now in zip(items, reversed(resolved), strict=False))  # fmt: skip
    expected = mmhash.hash_feature([parts[0]])
    for other, part in zip(others, parts[1:], strict=True):
        merged.merge(other)
        expected = mmhash.hash_feature([expected, mmhash.hash_feature([part])])
    assert merged.hash == expected


def test_copies_of_items() -> None:
    original = item(np.arange(5), image_grid_thw=[1])
    for made in (
        copy.copy(original),
        copy.deepcopy(original),
        pickle.loads(pickle.dumps(original)),
    ):
        assert made.is_resolved
        assert made.hash == original.hash
        assert made.image_grid_thw == [1]
    plain = item(np.arange(5))
    assert dataclasses.asdict(plain)["modality"] is Modality.IMAGE
    assert not plain.is_resolved
    replaced = dataclasses.replace(original, feature=b"x")
    assert replaced.hash == item(b"x", image_grid_thw=[1]).hash
    assert replaced.image_grid_thw == [1]
