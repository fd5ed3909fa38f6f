"""What stands in for mm_utils.hash_feature: mmhash's numbers, and no two values with the same."""

from __future__ import annotations

import itertools
import pickle

import pytest

pytest.importorskip("sglang")

import numpy as np
import served
import torch
from sglang.srt.managers import mm_utils

from mmhash.engines.sglang.hashing import is_on_cpu

PLAIN = {
    "tensor": torch.arange(24.0).reshape(4, 6),
    "bfloat16": torch.arange(24.0).reshape(4, 6).bfloat16(),
    "array": np.arange(24.0).reshape(4, 6),
    "list of tensors": [torch.zeros(2, 3), torch.zeros(3, 2)],
    "list of arrays": [np.zeros((2, 3)), np.zeros((3, 2))],
    "mixed list": [torch.zeros(2), np.ones(2), 3],
    "ints": [1, 2, 3],
    "nested list": [[1, [2.5]], []],
    "tuple": (torch.zeros(2), 1),
    "empty list": [],
    "bytes": b"pixels",
}


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_the_identity_of_the_value(installed, name) -> None:
    found = mm_utils.hash_feature(PLAIN[name])
    assert found == served.hash_of(PLAIN[name])
    assert 0 <= found < 2**64


INTS = torch.arange(24, dtype=torch.int32)
COLLIDING = {
    "shape": (torch.arange(24).reshape(4, 6), torch.arange(24).reshape(6, 4)),
    "dtype": (
        INTS,
        INTS.view(torch.float32),
    ),
    "list boundary": ([torch.zeros(2), torch.zeros(4)], [torch.zeros(4), torch.zeros(2)]),
    "list or tensor": ([torch.zeros(4)], torch.zeros(4)),
}


@pytest.mark.parametrize("name", COLLIDING)
def test_pairs_that_collide_in_sglang_are_distinct(installed, name) -> None:
    one, other = COLLIDING[name]
    found = mm_utils.hash_feature(one), mm_utils.hash_feature(other)
    installed.uninstall()
    assert mm_utils.hash_feature(one) == mm_utils.hash_feature(other)  # or it shows nothing
    assert found[0] != found[1]


def objects(*values, shape=(-1,)) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def test_object_arrays_are_hashed_by_their_elements(installed) -> None:
    def made():
        return objects(np.arange(3.0), b"".join([b"a", b"b"]), None, [1, torch.zeros(2)])

    assert mm_utils.hash_feature(made()) == mm_utils.hash_feature(made())
    distinct = [
        made(),
        objects(np.arange(3.0), b"ab", None, [1, torch.ones(2)]),
        objects(1, 2, 3, 4),
        objects(1, 2, 3, 4, shape=(2, 2)),
        objects(1.0, 2.0, 3.0, 4.0),
        np.array([1, 2, 3, 4]),
        [1, 2, 3, 4],
        objects(objects(1, 2), objects(3, 4)),
        [objects(1, 2, 3, 4)],
    ]
    found = [mm_utils.hash_feature(value) for value in distinct]
    assert len(set(found)) == len(found)


def test_an_item_without_a_feature_has_no_hash(installed) -> None:
    """Or all such items would share one entry of the cache."""
    with pytest.raises(TypeError, match="expected a feature, found None"):
        mm_utils.hash_feature(None)


def test_what_has_no_identity_is_refused(installed) -> None:
    with pytest.raises(TypeError, match=r"value\[1\]"):
        mm_utils.hash_feature([1, {2}])


def test_ipc_proxies_are_reconstructed_first(installed, monkeypatch) -> None:
    tensor = torch.arange(6.0)
    proxy_class = mm_utils.CudaIpcTensorTransportProxy
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(
        proxy_class, "reconstruct_on_target_device", lambda self, device: tensor + device
    )
    proxy = proxy_class.__new__(proxy_class)
    assert mm_utils.hash_feature(proxy) == served.hash_of(tensor + 3)
    assert mm_utils.hash_feature([proxy, tensor]) == served.hash_of([tensor + 3, tensor])


@pytest.mark.skipif(not served.HAS_SHM, reason="this SGLang has no ShmPointerMMData")
def test_shared_memory_pointers(installed, counts) -> None:
    tensor = torch.arange(24.0).reshape(4, 6)
    pointer = mm_utils.ShmPointerMMData(tensor)
    with pytest.raises(ValueError, match="without"):
        mm_utils.hash_feature(pointer)
    received = pickle.loads(pickle.dumps(pointer))
    assert mm_utils.hash_feature(received) == served.hash_of(tensor)
    assert mm_utils.hash_feature([received, tensor]) == served.hash_of([tensor, tensor])
    before = counts()
    received.precomputed_hash = 12345
    assert mm_utils.hash_feature(received) == 12345
    assert counts()["hashes"] == before["hashes"]
    assert counts()["carried"] == before["carried"] + 1
    received.materialize()


def nested(value: object, levels: int) -> list:
    for _ in range(levels):
        value = [value]
    return value


def test_deep_features_have_identities_and_too_deep_ones_are_refused_by_name(installed) -> None:
    deep = nested(torch.zeros(2), 900)
    assert mm_utils.hash_feature(deep) == served.hash_of(deep)
    assert is_on_cpu(nested(torch.zeros(2), 100_000))
    assert not is_on_cpu(nested([], 100_000))
    with pytest.raises(ValueError, match="at most 1000 lists"):
        mm_utils.hash_feature(nested(torch.zeros(2), 100_000))


def test_features_that_contain_themselves_are_refused_by_name(installed) -> None:
    cycle: list = [torch.zeros(2)]
    cycle.append(cycle)
    around = objects(1, 2)
    around[1] = around
    assert is_on_cpu(cycle)
    for feature in (cycle, around, {"x": cycle}):
        with pytest.raises(ValueError, match="contains itself"):
            mm_utils.hash_feature(feature)


def test_mappings_are_looked_into(installed) -> None:
    found = mm_utils.hash_feature({"x": objects(1, 2)})
    assert found == mm_utils.hash_feature({"x": objects(1, 2)})
    assert found != mm_utils.hash_feature({"x": [1, 2]})


def test_hashes_are_counted(installed, counts) -> None:
    before = counts()["hashes"]
    for _ in range(3):
        mm_utils.hash_feature(torch.zeros(3))
    assert counts()["hashes"] == before + 3


def test_kinds_that_hold_the_same_bytes_are_distinct(installed) -> None:
    base = np.arange(8, dtype=np.uint8)
    kinds = [base, base.tobytes(), base.tolist(), base.reshape(2, 4), [base], base.view(np.int8)]
    for one, other in itertools.combinations(map(mm_utils.hash_feature, kinds), 2):
        assert one != other
