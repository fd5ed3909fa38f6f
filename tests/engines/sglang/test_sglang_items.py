"""Items: when their hash is computed, and that it is the one that SGLang would have had."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import threading

import pytest

pytest.importorskip("sglang")

import served
import torch
from served import HASH, feature, hash_of, pad_value, pad_value_of
from sglang.srt.managers import mm_utils

import mmhash
from mmhash.engines import sglang
from mmhash.engines.sglang.lazy import PENDING

lazy_only = pytest.mark.skipif(served.IS_STRUCT, reason="this SGLang's items are Structs: eager")


@pytest.fixture
def item(installed):
    made = served.build_item(feature())
    made.set_pad_value()
    return made


def test_the_hash_and_the_pad_value(item, counts) -> None:
    assert item.hash == HASH
    assert item.pad_value == pad_value(feature())
    assert counts()["hashes"] == 1


def test_a_hash_that_is_there_is_kept(installed, counts) -> None:
    item = served.build_item(feature())
    item.hash = 99
    item.set_pad_value()
    assert (item.hash, item.pad_value) == (99, pad_value_of(99))
    assert counts()["hashes"] == 0


def test_before_set_pad_value_nothing_is_known_or_hashed(installed, counts) -> None:
    """SGLang slices such items: copies must not share a hash, nor must the old feature's stick."""
    item = served.build_item(feature())
    halves = [copy.copy(item), copy.copy(item)]
    for half, part in zip(halves, feature().chunk(2), strict=True):
        half.feature = part
    again = pickle.loads(pickle.dumps(item))
    assert (item.hash, again.hash, counts()["hashes"]) == (None, None, 0)
    for half, part in zip(halves, feature().chunk(2), strict=True):
        half.set_pad_value()
        assert half.hash == hash_of(part)


def test_an_item_without_a_feature_raises(installed) -> None:
    item = served.build_item(None)
    with pytest.raises(TypeError, match="neither a feature nor"):
        item.set_pad_value()


WAYS_TO_LOSE_IT = {
    "release": lambda item: setattr(item, "feature", None),
    "move": lambda item: setattr(item, "feature", torch.zeros(1)),
    "set": lambda item: item.set("feature", torch.zeros(1)),
    "setitem": lambda item: item.__setitem__("feature", torch.zeros(1)),
    "embeddings": lambda item: setattr(item, "precomputed_embeddings", torch.zeros(1)),
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS_TO_LOSE_IT)
def test_nothing_loses_the_hash(item, counts, way) -> None:
    WAYS_TO_LOSE_IT[way](item)
    assert counts()["hashes"] == 1
    item.feature = None
    assert (item.hash, item.pad_value) == (HASH, pad_value(feature()))
    assert counts()["hashes"] == 1


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_copies_have_it(item, counts, copied) -> None:
    other = copied(item)
    assert (other.hash, other.pad_value) == (HASH, pad_value(feature()))
    assert counts()["hashes"] == 1


def test_a_pickled_item_is_read_without_mmhash(item) -> None:
    text = pickle.dumps(item)
    assert b"mmhash" not in text
    sglang.uninstall()
    other = pickle.loads(text)
    assert (other.hash, other.pad_value) == (HASH, pad_value(feature()))


@lazy_only
def test_set_pad_value_hashes_nothing(item, counts) -> None:
    assert (counts()["hashes"], counts()["deferred"]) == (0, 1)
    item.offsets = [(0, 3)]
    item.set("image_sizes", [1])
    item.is_valid()
    item.set_pad_value()
    assert (counts()["hashes"], counts()["deferred"]) == (0, 1)
    item.pad_value  # noqa: B018
    assert counts()["hashes"] == 1
    assert PENDING not in vars(item)


@lazy_only
def test_an_assigned_hash_leaves_the_pad_value(item) -> None:
    item.hash = 5
    assert (item.hash, item.pad_value) == (5, pad_value(feature()))


@lazy_only
@pytest.mark.skipif(not hasattr(served.MultimodalDataItem, "merge"), reason="items have no merge()")
def test_merge_has_sglangs_hash(installed) -> None:
    found = []
    for _ in range(2):
        one, other = served.build_item([feature()]), served.build_item([feature() + 1])
        for item in (one, other):
            item.hash = None if "sglang" in mmhash.info()["engines"] else hash_of(item.feature)
            item.set_pad_value()
        one.merge(other)
        found.append((one.hash, one.pad_value, len(one.feature)))
        sglang.uninstall()
    assert found[0] == found[1]


@lazy_only
def test_replace_carries_it(item) -> None:
    other = dataclasses.replace(item, feature=None)
    assert other.hash == HASH


@lazy_only
def test_what_hashing_raises_is_raised_by_every_read(installed, counts) -> None:
    item = served.build_item([feature(), {1}])
    item.set_pad_value()
    for _ in range(2):
        with pytest.raises(TypeError, match=r"value\[1\]"):
            item.hash  # noqa: B018
        with pytest.raises(TypeError, match=r"value\[1\]"):
            pickle.dumps(item)


@lazy_only
def test_an_attribute_error_is_not_a_missing_attribute(installed, monkeypatch) -> None:
    def broken(f):
        raise AttributeError("broken")

    item = served.build_item(feature())
    item.set_pad_value()
    monkeypatch.setattr(mm_utils, "hash_feature", broken)
    with pytest.raises(RuntimeError, match="hashing the item failed: broken"):
        item.hash  # noqa: B018


@lazy_only
def test_many_readers_hash_once(installed, counts) -> None:
    item = served.build_item(torch.rand(1000, 1000))
    item.set_pad_value()
    found, together = [], threading.Barrier(8)

    def read() -> None:
        together.wait()
        found.append((item.hash, item.pad_value))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert None not in found[0]
    assert counts()["hashes"] == 1


@lazy_only
def test_eager_when_asked() -> None:
    installation = sglang.install(lazy=False)
    item = served.build_item(feature())
    item.set_pad_value()
    assert vars(item)["hash"] == HASH
    installation.uninstall()


@pytest.mark.skipif(not served.IS_STRUCT, reason="items have no pad_values")
def test_struct_items_have_all_pad_values_at_once(item) -> None:
    import msgspec

    assert msgspec.structs.asdict(item)["hash"] == HASH
    assert item.pad_values[0] == item.pad_value
    assert len(set(item.pad_values)) == 4
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode([item.hash, item.pad_values]))
    assert decoded == [HASH, list(item.pad_values)]
