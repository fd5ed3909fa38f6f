"""Items whose hash is put off: what a SGLang sees that hashes at once, and whatever interrupts."""

from __future__ import annotations

import copy
import linecache
import pickle
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("sglang")

import served
import torch
from served import HASH, feature, pad_value_of
from sglang.srt.managers import mm_utils

from mmhash.engines import sglang
from mmhash.engines.sglang import lazy

pytestmark = pytest.mark.skipif(served.IS_STRUCT, reason="this SGLang's items are eager Structs")

OPERATIONS = {
    "set_pad_value": lambda item, _: item.set_pad_value(),
    "forget": lambda item, _: setattr(item, "hash", None),
    "override": lambda item, _: setattr(item, "hash", 5),
    "forget the pad value": lambda item, _: setattr(item, "pad_value", None),
    "move": lambda item, _: setattr(item, "feature", feature() + 1),
    "slice": lambda item, _: setattr(item, "feature", feature()[1:2]),
    "release": lambda item, _: setattr(item, "feature", None),
    "delete": lambda item, _: delattr(item, "feature"),
    "embeddings": lambda item, _: setattr(item, "precomputed_embeddings", feature() + 2),
    "read": lambda item, _: item.hash,
    "copy": lambda item, items: items.append(copy.copy(item)),
    "deepcopy": lambda item, items: items.append(copy.deepcopy(item)),
    "pickle": lambda item, items: items.append(pickle.loads(pickle.dumps(item))),
}


def outcome(seed: int) -> list:
    """What is seen of an item, and of copies of it, after a dozen random operations."""
    draw, items, seen = random.Random(seed), [served.build_item(feature())], []
    for _ in range(12):
        name, item = draw.choice([*OPERATIONS]), items[draw.randrange(len(items))]
        try:
            found = OPERATIONS[name](item, items)
            seen.append((name, found))
        except (AttributeError, TypeError) as error:
            seen.append((name, type(error).__name__))
    return [*seen, *((item.hash, item.pad_value) for item in items)]


def test_every_sequence_ends_as_with_eager_items() -> None:
    found = []
    for is_lazy in (False, True):
        installation = sglang.install(lazy=is_lazy)
        found.append([outcome(seed) for seed in range(500)])
        installation.uninstall()
    for seed, (eager, put_off) in enumerate(zip(*found, strict=True)):
        assert put_off == eager, seed


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_bundle_that_is_split(installed, copied) -> None:
    """The parts have the hashes of their features, whatever the bundle's was."""
    bundle = served.build_item(feature())
    bundle.set_pad_value()
    for i in range(3):
        part = copied(bundle)
        part.hash = part.pad_value = None  # 0.5.11 itself computes nothing where either is left
        part.feature = bundle.feature[i : i + 1]
        part.set_pad_value()
        assert part.hash == served.hash_of(feature()[i : i + 1])
        assert part.pad_value == pad_value_of(part.hash)
    assert bundle.hash == HASH


class Interrupt(BaseException):
    """As KeyboardInterrupt, out of a signal handler."""


def interrupted(call, line: int) -> bool:
    """Whether the call came to its line'th line in lazy.py, and was ended there."""
    seen = 0

    def trace(frame, event, _):
        nonlocal seen
        if frame.f_code.co_filename != lazy.__file__:
            return None
        # Between the end of a `with` and the release of its lock, only a tracer can come.
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
        if event == "line" and not text.startswith("with "):
            seen += 1
            if seen == line:
                raise Interrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


WAYS = {
    "read": lambda item: item.hash,
    "release": lambda item: setattr(item, "feature", None),
    "pickle": pickle.dumps,
    "set_pad_value": lambda item: item.set_pad_value(),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_at_any_line_poisons_nothing(installed, way) -> None:
    line, ended = 0, True
    while ended:
        line += 1
        item = served.build_item(feature())
        if way != "set_pad_value":
            item.set_pad_value()
        ended = interrupted(lambda item=item: WAYS[way](item), line)
        item.set_pad_value()
        # In another thread, which a lock that was left behind would keep out.
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda item=item: item.hash).result(timeout=60) == HASH
        assert item.pad_value == pad_value_of(HASH)
        assert pickle.loads(pickle.dumps(item)).hash == HASH
    assert line > 5


def test_an_item_that_is_hashed_holds_up_no_other(installed, monkeypatch) -> None:
    """A lock for all would wait here, for what only the other thread can bring about."""
    one, other = served.build_item(feature()), served.build_item(feature() + 1)
    other.precomputed_embeddings = None
    begun, go_on = threading.Event(), threading.Event()
    original = mm_utils.hash_feature

    def hash_feature(f):
        if torch.equal(f, feature()):
            begun.set()
            assert go_on.wait(60)
        return original(f)

    monkeypatch.setattr(mm_utils, "hash_feature", hash_feature)
    one.set_pad_value()
    other.set_pad_value()
    thread = threading.Thread(target=lambda: one.hash)
    thread.start()
    assert begun.wait(60)
    read = threading.Thread(target=lambda: other.hash)
    read.start()
    read.join(30)
    was_free = not read.is_alive()
    go_on.set()
    thread.join()
    read.join()
    assert was_free


def test_a_finalizer_may_touch_the_item_that_is_hashed(installed, monkeypatch) -> None:
    item = served.build_item(feature())
    original = mm_utils.hash_feature

    def hash_feature(f):
        item.feature = None  # as a request that is released while its hash is computed
        return original(f)

    monkeypatch.setattr(mm_utils, "hash_feature", hash_feature)
    item.set_pad_value()
    assert (item.hash, item.feature) == (HASH, None)
