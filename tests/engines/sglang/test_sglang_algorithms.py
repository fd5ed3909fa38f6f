"""Algorithms and keys in SGLang, and items with all the bits that they take."""

from __future__ import annotations

import copy
import pickle

import pytest

pytest.importorskip("sglang")

import served
from served import HASH, feature, pad_value, pad_value_of
from sglang.srt.managers import mm_utils

import mmhash
from mmhash.engines import sglang

KEY = bytes(range(32))
wide_only = pytest.mark.skipif(not served.HAS_IDENTITIES, reason="items have 64 bits here")


def built(value=None):
    item = served.build_item(feature() if value is None else value)
    item.set_pad_value()
    return item


@pytest.mark.parametrize("algorithm", ["xxh3", "blake3", "sha256"])
def test_the_algorithm_makes_the_hashes(algorithm) -> None:
    installation = sglang.install(algorithm=algorithm)
    try:
        item = built()
        assert item.hash == served.hash_of(feature(), algorithm)
        assert item.pad_value == pad_value(feature(), algorithm)
        bits = 256 if served.HAS_IDENTITIES and algorithm != "xxh3" else 64
        report = mmhash.info()["engines"]["sglang"]
        assert (report["algorithm"], report["identity_bits"]) == (algorithm, bits)
    finally:
        installation.uninstall()


def test_the_key_of_the_process_makes_the_hashes() -> None:
    """And its algorithm does not."""
    mmhash.configure("sha256", key=KEY)
    try:
        installation = sglang.install()
        assert built().hash == mmhash.hash_feature(feature(), algorithm="blake3", key=KEY)
        installation.uninstall()
    finally:
        mmhash.configure("xxh3")


@wide_only
def test_items_have_the_whole_identity(installed) -> None:
    item = built()
    assert item.identity == mmhash.identity(feature(), algorithm="blake3")
    assert item.hash == int.from_bytes(item.identity[:8], "big")
    expected = served.build_item(None)
    expected.set_identity(item.identity)
    assert item.pad_values == expected.pad_values
    assert item.pad_value != pad_value_of(item.hash)


@wide_only
def test_a_hash_that_was_set_stays(installed, counts) -> None:
    by_number, by_identity = served.build_item(feature()), served.build_item(feature())
    by_number.set_hash(99)
    by_identity.set_identity(KEY)
    for item in (by_number, by_identity):
        before = (item.hash, item.identity, item.pad_values)
        item.set_pad_value()
        assert (item.hash, item.identity, item.pad_values) == before
    assert by_number.identity is None
    assert counts()["hashes"] == 0


@wide_only
def test_what_another_hook_makes_of_the_hash_has_64_bits(installed, monkeypatch) -> None:
    """It is no longer the first part of the identity, whatever it is."""
    own = mm_utils.hash_feature
    monkeypatch.setattr(mm_utils, "hash_feature", lambda f: own(f) ^ 1)
    item = built()
    assert (item.hash, item.identity) == (HASH ^ 1, None)
    assert item.pad_value == pad_value_of(HASH ^ 1)


@wide_only
def test_a_hash_that_is_drawn_has_64_bits(installed, counts, monkeypatch) -> None:
    monkeypatch.setenv("SGLANG_MM_SKIP_COMPUTE_HASH", "1")
    item = built()
    assert item.identity is None
    assert item.hash != HASH
    assert counts()["hashes"] == 0


@wide_only
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_hash_by_itself_is_copied_as_a_number(installed, copied) -> None:
    found = mm_utils.hash_feature(feature())
    assert type(copied(found)) is int
    assert copied(found) == found == HASH


@wide_only
def test_an_item_travels_whole_and_is_read_without_mmhash(installed) -> None:
    text = pickle.dumps(built())
    installed.uninstall()
    assert pickle.loads(text).identity == mmhash.identity(feature(), algorithm="blake3")


def test_the_environment_names_the_algorithm(load_plugins, monkeypatch) -> None:
    monkeypatch.setenv("MMHASH_SGLANG_ALGORITHM", "sha256")
    load_plugins()
    assert built().hash == served.hash_of(feature(), "sha256")


@pytest.mark.parametrize("name", ["MMHASH_SGLANG_ALGORITHM", "MMHASH_ENGINES"])
def test_nonsense_ends_the_server(load_plugins, monkeypatch, name) -> None:
    """SGLang logs an Exception, and runs on without what its plugin was to do."""
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(SystemExit, match=f"^mmhash in SGLang: environment variable {name}: "):
        load_plugins()
    assert "sglang" not in mmhash.info()["engines"]


def test_an_algorithm_after_another(load_plugins, monkeypatch) -> None:
    """Hooks that the registry has applied for one do for the next what it needs."""
    for algorithm in ("xxh3", "blake3", "xxh3"):
        monkeypatch.setenv("MMHASH_SGLANG_ALGORITHM", algorithm)
        load_plugins()
        item = built()
        assert item.hash == served.hash_of(feature(), algorithm)
        assert item.pad_value == pad_value(feature(), algorithm)
        sglang.uninstall()
