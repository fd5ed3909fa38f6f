"""The tokenizer manager hashes before it sends, off its event loop, as the switches say."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("sglang")

import numpy as np
import served
import torch
from served import HASH, feature, hash_of, pad_value, pad_value_of
from sglang.srt.managers import mm_utils


def test_the_sender_hashes_in_a_thread(installed, counts, monkeypatch) -> None:
    """Large features off the event loop, small ones on it, each once."""
    seen = []
    original = mm_utils.hash_feature
    monkeypatch.setattr(
        mm_utils,
        "hash_feature",
        lambda f: (seen.append(threading.current_thread().name), original(f))[1],
    )
    large, small = torch.rand(300, 400), feature()
    for given in (large, small):
        request = served.tokenize_now(served.build_items([given]))
        (item,) = _items(request)
        assert item.hash == hash_of(given)
        assert item.pad_value == pad_value(given)
    assert seen[0].startswith("mmhash-sglang")
    assert seen[1] == "MainThread"
    assert counts()["hashes"] == counts()["sent"] == 2


def test_the_event_loop_goes_on_while_the_sender_hashes(installed, monkeypatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(f):
        begun.set()
        assert go_on.wait(10)
        return 1

    monkeypatch.setattr(mm_utils, "hash_feature", slow)

    async def main() -> None:
        task = asyncio.create_task(served.tokenize(served.build_items([torch.rand(300, 400)])))
        while not begun.is_set() and not task.done():
            await asyncio.sleep(0.001)
        go_on.set()
        assert _items(await task)[0].hash == 1

    asyncio.run(main())


def test_what_the_sender_cannot_hash_reaches_the_request(installed) -> None:
    with pytest.raises(TypeError, match=r"value\[1\]"):
        served.tokenize_now(served.build_items([[feature(), np.array({1}, dtype=object)]]))


def test_device_features_are_left_to_the_ranks(installed, counts) -> None:
    request = served.tokenize_now(served.build_items([torch.empty(4, device="meta")]))
    assert counts()["hashes"] == counts()["sent"] == 0
    assert _items(request)[0].hash is None


@pytest.mark.parametrize(
    ("name", "value", "hashed"),
    [
        ("SGLANG_MM_PRECOMPUTE_HASH", "0", 0),
        ("SGLANG_MM_PRECOMPUTE_HASH", "false", 0),
        ("SGLANG_MM_PRECOMPUTE_HASH", "1", 1),
        ("SGLANG_MM_SKIP_COMPUTE_HASH", "1", 0),
        ("SGLANG_MM_SKIP_COMPUTE_HASH", "0", 1),
    ],
)
def test_the_switches(installed, counts, monkeypatch, name, value, hashed) -> None:
    monkeypatch.setenv(name, value)
    served.tokenize_now(served.build_items([feature()]))
    assert counts()["hashes"] == hashed


def test_hashes_of_the_caller_are_taken(installed, counts) -> None:
    if not hasattr(served.io_struct.GenerateReqInput, "mm_hashes"):
        pytest.skip("requests have no mm_hashes in this SGLang")
    request = served.tokenize_now(
        served.build_items([feature(), feature() + 1]), mm_hashes=["ff" * 8, "0a"]
    )
    assert [item.hash for item in _items(request)] == [2**64 - 1, 10]
    assert _items(request)[1].pad_value == pad_value_of(10)
    assert counts()["hashes"] == 0
    request = served.tokenize_now(served.build_items([feature()]), mm_hashes=["no hex"])
    assert _items(request)[0].hash == HASH


def test_sglangs_own_executor(installed, counts) -> None:
    executor = pytest.importorskip(
        "sglang.srt.multimodal.processors.hash_executor"
    ).MultimodalHashExecutor

    async def main() -> list:
        own, items = executor(), served.build_items([feature(), feature() + 1])
        items[1].hash = 7
        await own.set_pad_values(items)
        own.shutdown()
        return items

    items = asyncio.run(main())
    assert [item.hash for item in items] == [HASH, 7]
    assert all(len(item.pad_values) == 4 for item in items)
    assert counts()["hashes"] == 1


def _items(request) -> list:
    given = request.mm_inputs
    return given["mm_items"] if isinstance(given, dict) else given.mm_items
