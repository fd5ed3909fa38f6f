"""What the hash of an item covers besides its feature."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

import mmhash
from mmhash import Modality, MultimodalDataItem

PIXELS = np.full((4, 6), 0.5, np.float32)


def item(modality: str = "IMAGE", feature: Any = PIXELS, **data: Any) -> MultimodalDataItem:
    return MultimodalDataItem(modality, feature=feature, **data)


def test_an_image_alone_has_the_hash_of_its_feature() -> None:
    right = mmhash.hash_feature(PIXELS)
    assert item().hash == right
    assert item(fps=3, offsets=[(0, 3)], image_grid_thw=None).hash == right
    assert item(model_specific_data={"pre_chunked_input_ids": [1], "fps": 3}).hash == right


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (item(image_grid_thw=[[1, 4, 16]]), item(image_grid_thw=[[1, 16, 4]])),
        (item(image_grid_thw=[[1, 4, 16]]), item(grid_thw=[[1, 4, 16]])),
        (item(image_grid_thw=[[1, 4, 16]]), item()),
        (item("VIDEO", second_per_grid_ts=[0.5]), item("VIDEO", second_per_grid_ts=[1.0])),
        (item("AUDIO", audio_feature_lens=3), item("AUDIO", audio_feature_lens=4)),
        (item("AUDIO", input_features_mask=[1, 0]), item("AUDIO", input_features_mask=[1, 1])),
        (item(), item("VIDEO")),
        (item("VIDEO"), item("AUDIO")),
        (item(), item("MULTI_IMAGES")),
        (item("VIDEO"), MultimodalDataItem("VIDEO", precomputed_embeddings=PIXELS)),
    ],
)
def test_what_an_encoder_would_treat_differently(one: Any, other: Any) -> None:
    assert one.identity != other.identity
    assert one.hash != other.hash
    assert one.pad_value != other.pad_value


names = st.sampled_from(sorted(MultimodalDataItem.read_by_encoder))
values = st.one_of(
    st.none(),
    st.integers(0, 9),
    st.floats(0, 9),
    st.booleans(),
    st.lists(st.integers(0, 9), max_size=3),
    st.just(np.arange(6).reshape(2, 3)),
    st.just(torch.arange(6).reshape(2, 3)),
    st.just("anyres"),
)


@given(
    modality=st.sampled_from(list(Modality)),
    feature=st.sampled_from([b"pixels", PIXELS, [PIXELS, None]]),
    embedded=st.booleans(),
    data=st.dictionaries(names, values, max_size=3),
    more=st.dictionaries(st.sampled_from(["fps", "num_tokens", "dsv41_gpu_plan"]), values),
    way=st.sampled_from(["given", "set", "attribute"]),
)
def test_it_is_the_identity_of_a_plain_value(
    modality: Modality, feature: Any, embedded: bool, data: Any, more: Any, way: str
) -> None:
    """As docs/SPEC.md has it, by the reference implementation."""
    field = "precomputed_embeddings" if embedded else "feature"
    given_ = {**data, **more}
    made = MultimodalDataItem(modality, **{field: feature}, **(given_ if way == "given" else {}))
    if way != "given":
        for name, value in given_.items():
            if way == "set":
                made[name] = value
            else:
                setattr(made, name, value)
    counted = {name: value for name, value in data.items() if value is not None}
    whole: Any = feature
    if counted or modality is not Modality.IMAGE:
        whole = {"modality": modality.name, field: feature, "model_specific_data": counted}
    assert made.identity == reference.identity(whole)
    assert made.hash == mmhash.hash_feature(whole)


def test_equal_values_have_equal_hashes() -> None:
    grid = [[1, 4, 16]]
    tensor = torch.tensor(grid)
    hashes = {item(image_grid_thw=each).hash for each in (tensor, tensor.numpy(), tensor.clone())}
    assert len(hashes) == 1
    lists = {item(image_grid_thw=each).hash for each in (grid, [(1, 4, 16)], ((1, 4, 16),))}
    assert len(lists) == 1
    assert hashes != lists, "a dtype and a shape are part of what a value is"


def test_a_class_says_which_names_count() -> None:
    class Other(MultimodalDataItem):
        read_by_encoder = MultimodalDataItem.read_by_encoder - {"num_patches"} | {"order"}

    def other(**data: Any) -> MultimodalDataItem:
        return Other("IMAGE", feature=PIXELS, **data)

    assert other(num_patches=3).hash == mmhash.hash_feature(PIXELS)
    assert other(order=[1, 0]).hash != other(order=[0, 1]).hash


def test_what_has_no_identity_is_named() -> None:
    with pytest.raises(TypeError, match=r"\[.model_specific_data.\]\[.images_crop.\]: a"):
        _ = item(images_crop=object()).hash
    with pytest.raises(TypeError, match=r"value\[.feature.\]: a set"):
        _ = item("VIDEO", {1}).hash


@pytest.mark.parametrize(
    "change",
    [
        lambda made: made.set("image_grid_thw", [[1, 16, 4]]),
        lambda made: setattr(made, "image_grid_thw", [[1, 16, 4]]),
        lambda made: setattr(made, "model_specific_data", {}),
        lambda made: setattr(made, "modality", Modality.VIDEO),
        lambda made: made.set("modality", Modality.VIDEO),
        lambda made: setattr(made, "feature", b"others"),
    ],
)
def test_what_is_replaced_counts_as_it_was(change: Any) -> None:
    """Until the hash is forgotten, or in a copy."""
    right = item(image_grid_thw=[[1, 4, 16]]).hash
    made = item(image_grid_thw=[[1, 4, 16]])
    change(made)
    assert made.is_resolved
    assert made.hash == right
    forgotten = item(image_grid_thw=[[1, 4, 16]])
    forgotten.hash = None
    change(forgotten)
    assert not forgotten.is_resolved
    assert forgotten.hash != right
    original = item(image_grid_thw=[[1, 4, 16]])
    original.resolve()
    made = copy.copy(original)
    change(made)
    assert made.hash == forgotten.hash
    assert original.hash == right
    received = pickle.loads(pickle.dumps(original))
    change(received)
    assert received.hash == right


def test_entries_may_be_added_until_the_hash_is_read() -> None:
    """As processors make an item: one name after the other."""
    made = MultimodalDataItem("IMAGE")
    made.set("feature", PIXELS)
    made.set("image_grid_thw", [[1, 4, 16]])
    made.model_specific_data["tgt_size"] = [4, 16]
    assert not made.is_resolved
    assert made.hash == item(image_grid_thw=[[1, 4, 16]], tgt_size=[4, 16]).hash
    made.set("num_patches", 3)
    assert made.hash == item(image_grid_thw=[[1, 4, 16]], tgt_size=[4, 16]).hash


def test_a_hash_that_is_given_stays() -> None:
    made = item(image_grid_thw=[[1, 4, 16]], hash=5)
    made.set("image_grid_thw", [[1, 16, 4]])
    assert made.hash == 5
    assert made.identity == item(image_grid_thw=[[1, 16, 4]]).identity
