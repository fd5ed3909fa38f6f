"""Large features are written into shared memory by mmhash, as SGLang's own pointers to it."""

from __future__ import annotations

import errno
import pickle
from multiprocessing import shared_memory
from pathlib import Path

import pytest

pytest.importorskip("sglang")

import served
import torch
from served import hash_of
from sglang.srt.managers import mm_utils, tokenizer_manager

import mmhash
from mmhash.engines import sglang
from mmhash.engines.sglang import handover, probe, wrapping

if not served.IS_WRAPPED:
    pytest.skip("this SGLang wraps features itself", allow_module_level=True)

SEGMENTS = Path("/dev/shm")
SWITCHES = ("SGLANG_MM_PRECOMPUTE_HASH", "SGLANG_MM_SKIP_COMPUTE_HASH", "MMHASH_SGLANG_HANDOVER")


@pytest.fixture(autouse=True)
def in_shared_memory():
    """What a test leaves in shared memory is its fault."""
    before = set(SEGMENTS.glob("sgl_shm_mm_*"))
    served.configure(shared_memory=True)
    yield
    served.configure(shared_memory=False)
    assert set(SEGMENTS.glob("sgl_shm_mm_*")) == before


# Not with the fixture monkeypatch: what a test patches must be undone before mmhash is taken out.
def _installed(algorithm: str):
    with pytest.MonkeyPatch.context() as patch:
        for name in SWITCHES:
            patch.delenv(name, raising=False)
        installation = sglang.install(algorithm=algorithm)
        yield algorithm
        installation.uninstall()


@pytest.fixture(params=["xxh3", "blake3"])
def algorithm(request):
    yield from _installed(request.param)


@pytest.fixture
def xxh3():
    yield from _installed("xxh3")


def counts() -> dict:
    return mmhash.info()["engines"]["sglang"]


def large(seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (200 * torch.rand(700, 400, generator=draw)).to(dtype)


def wrapped(items: list):
    """The items of a request as they are sent: tokenized, and wrapped as the manager does."""
    request = tokenizer_manager.wrap_shm_features(served.tokenize_now(items))
    return request, request.mm_inputs.mm_items


def received(request) -> list:
    """On a rank: the features, in memory of its own. The segments go."""
    request = pickle.loads(pickle.dumps(request))
    served.materialize(request)
    return request.mm_inputs.mm_items


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_the_feature_and_its_hash_arrive(algorithm, dtype) -> None:
    feature = large(dtype=dtype)
    request, (item,) = wrapped(served.build_items([feature]))
    pointer = item.feature
    assert type(pointer) is mm_utils.ShmPointerMMData
    assert pointer.precomputed_hash == item.hash == hash_of(feature, algorithm)
    assert item.pad_value == served.pad_value(feature, algorithm)
    counted = counts()
    assert (counted["handed"], counted["hashes"], counted["sent"]) == (1, 1, 1)
    (item,) = received(request)
    assert torch.equal(item.feature, feature)
    assert item.feature.dtype == dtype
    assert item.hash == hash_of(feature, algorithm)


def test_the_pointer_is_as_sglangs_own(xxh3) -> None:
    feature = large()
    request, (item,) = wrapped(served.build_items([feature]))
    own = mm_utils.ShmPointerMMData(feature, precomputed_hash=item.hash)
    ours = dict(vars(item.feature))
    theirs = dict(vars(own))
    names = [each.pop("shm_name") for each in (ours, theirs)]
    assert ours == theirs
    assert [name.rpartition("_")[0] for name in names] == [names[1].rpartition("_")[0]] * 2
    sizes = [(SEGMENTS / name).stat().st_size for name in names]
    assert sizes == [feature.nbytes] * 2
    assert (SEGMENTS / names[0]).read_bytes() == (SEGMENTS / names[1]).read_bytes()
    own.close_and_unlink()
    received(request)


def test_xxh3_hashes_while_it_writes_and_others_before(algorithm) -> None:
    request = served.tokenize_now(served.build_items([large(), served.feature()]))
    first, second = request.mm_inputs.mm_items
    assert (first.hash is None) == (algorithm == "xxh3")
    assert second.hash == hash_of(served.feature(), algorithm)  # small: as without
    received(tokenizer_manager.wrap_shm_features(request))


def test_hooks_around_hash_feature_see_what_is_written(xxh3, monkeypatch) -> None:
    """Another plugin's hook may replace the hash."""
    original = mm_utils.hash_feature
    monkeypatch.setattr(mm_utils, "hash_feature", lambda f: original(f) ^ 1)
    feature = large()
    request, (item,) = wrapped(served.build_items([feature]))
    assert item.hash == item.feature.precomputed_hash == hash_of(feature, "xxh3") ^ 1
    received(request)


@pytest.mark.parametrize("fails", ["creating", "writing"])
def test_without_room_features_travel_as_sglang_sends_them(algorithm, fails, monkeypatch) -> None:
    """Inside the message, with their hash, and no segment is left."""
    full = OSError(errno.ENOSPC, "No space left on device")

    def fail(*_, **__):
        raise full

    if fails == "creating":
        monkeypatch.setattr(shared_memory, "SharedMemory", fail)
    else:
        monkeypatch.setattr(handover._core, "write", fail)
        monkeypatch.setattr(handover.os, "pwrite", fail)
        monkeypatch.setattr(mm_utils.os, "posix_fallocate", fail)
    feature = large()
    _, (item,) = wrapped(served.build_items([feature]))
    assert item.feature is feature
    assert item.hash == hash_of(feature, algorithm)
    assert item.pad_value == served.pad_value(feature, algorithm)
    assert counts()["handed"] == 0


def test_an_interrupt_leaves_no_segment(xxh3, monkeypatch) -> None:
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(handover._core, "write", interrupt)
    request = served.tokenize_now(served.build_items([large()]))
    with pytest.raises(KeyboardInterrupt):
        tokenizer_manager.wrap_shm_features(request)


@pytest.mark.parametrize(
    "value",
    [large().T, served.feature(), [large(), large(1)], large() > 0.5],
    ids=["strided", "small", "a list", "bools"],
)
def test_others_are_left_to_sglang(xxh3, value) -> None:
    request, (item,) = wrapped(served.build_items([value]))
    assert item.hash == hash_of(value, "xxh3")
    assert counts()["handed"] == 0
    received(request)


@pytest.mark.parametrize(
    ("name", "value"), [("SGLANG_MM_PRECOMPUTE_HASH", "0"), ("SGLANG_MM_SKIP_COMPUTE_HASH", "1")]
)
def test_what_is_not_to_be_hashed_is_only_written(xxh3, monkeypatch, name, value) -> None:
    monkeypatch.setenv(name, value)
    request, (item,) = wrapped(served.build_items([large()]))
    assert item.hash is item.feature.precomputed_hash is None
    assert (counts()["handed"], counts()["hashes"]) == (1, 0)
    assert torch.equal(received(request)[0].feature, large())


def test_hashes_of_the_caller_are_taken(xxh3) -> None:
    request = served.tokenize_now(served.build_items([large()]), mm_hashes=["0a"])
    (item,) = tokenizer_manager.wrap_shm_features(request).mm_inputs.mm_items
    assert item.hash == item.feature.precomputed_hash == 10
    assert (counts()["handed"], counts()["hashes"]) == (1, 0)
    received(request)


def test_inside_messages_the_sender_hashes_at_once(xxh3) -> None:
    served.configure(shared_memory=False)
    feature = large()
    _, (item,) = wrapped(served.build_items([feature]))
    assert item.feature is feature
    assert item.hash == hash_of(feature, "xxh3")
    assert counts()["handed"] == 0


def test_a_pool_on_the_gpu_takes_features_before(xxh3) -> None:
    items = served.build_items([large()])
    manager = served.manager(items)
    manager.cuda_vmm_feature_transport = type("Transport", (), {"pool": object()})
    obj = served.io_struct.GenerateReqInput(
        input_ids=served.token_ids(1), image_data=["image"], rid="r"
    )
    served.LOOP.run_until_complete(manager._tokenize_one_request(obj))
    assert items[0].hash == hash_of(large(), "xxh3")


@pytest.mark.parametrize("way", ["install", "environment"])
def test_it_is_switched_off_by_itself(monkeypatch, way) -> None:
    if way == "environment":
        monkeypatch.setenv("MMHASH_SGLANG_HANDOVER", "off")
    own = mm_utils.wrap_shm_features
    installation = sglang.install(algorithm="xxh3", handover=False if way == "install" else None)
    try:
        assert mm_utils.wrap_shm_features is tokenizer_manager.wrap_shm_features is own
        request, (item,) = wrapped(served.build_items([large()]))
        assert item.hash == hash_of(large(), "xxh3")
        assert not counts()["handover"]
        assert counts()["handed"] == 0
        received(request)
    finally:
        installation.uninstall()


def test_another_word_in_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("MMHASH_SGLANG_HANDOVER", "maybe")
    message = "MMHASH_SGLANG_HANDOVER: expected on or off, found 'maybe'"
    with pytest.raises(ValueError, match=message):
        sglang.install()
    with pytest.raises(SystemExit, match=message):
        sglang.engine.load_plugin()


def test_the_plugins_hook_does_the_same(load_plugins, monkeypatch) -> None:
    monkeypatch.setenv("MMHASH_SGLANG_ALGORITHM", "xxh3")
    for _ in range(2):
        load_plugins()
        request, (item,) = wrapped(served.build_items([large()]))
        assert item.hash == hash_of(large(), "xxh3")
        assert counts()["handed"] == counts()["hashes"] == 1
        received(request)
        sglang.uninstall()
        request, (item,) = wrapped(served.build_items([large()]))
        assert item.hash is None
        received(request)


def test_uninstall_puts_it_back() -> None:
    own = mm_utils.wrap_shm_features
    installation = sglang.install()
    assert mm_utils.wrap_shm_features is tokenizer_manager.wrap_shm_features is not own
    installation.uninstall()
    assert mm_utils.wrap_shm_features is tokenizer_manager.wrap_shm_features is own


class OtherPointer(mm_utils.ShmPointerMMData):
    def __init__(self, tensor, precomputed_hash=None):
        super().__init__(tensor, precomputed_hash)
        self.event = None  # of a version to come


def _other_wrapping(obj):
    return mm_utils.wrap_shm_features(obj)


@pytest.mark.parametrize(
    ("name", "other"),
    [("ShmPointerMMData", OtherPointer), ("wrap_shm_features", _other_wrapping)],
)
def test_another_sglang_is_left_alone(monkeypatch, name, other) -> None:
    assert wrapping.is_known(mm_utils)
    monkeypatch.setattr(mm_utils, name, other)
    assert not wrapping.is_known(mm_utils)
    assert not probe.probe(probe.load()).wraps


def test_the_writing_goes_on_after_a_short_write(monkeypatch, tmp_path) -> None:
    pwrite = handover.os.pwrite
    monkeypatch.setattr(handover.os, "pwrite", lambda fd, data, at: pwrite(fd, data[:3], at))
    with (tmp_path / "segment").open("wb") as file:
        handover._write(file.fileno(), memoryview(b"0123456789"))
    assert (tmp_path / "segment").read_bytes() == b"0123456789"
