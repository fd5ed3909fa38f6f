"""Installing, uninstalling, refusing, and the switches."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import types
from importlib.metadata import entry_points

import pytest

pytest.importorskip("sglang")

import served
import torch
from sglang.srt.managers import mm_utils, schedule_batch, tokenizer_manager

import mmhash
from mmhash.engines import sglang
from mmhash.engines.sglang import plugin, probe

ITEM = served.MultimodalDataItem
CLASSES = (ITEM, tokenizer_manager.TokenizerManager)


def state() -> list:
    """Everything that could have been replaced."""
    found = [dict(vars(owner)) for owner in CLASSES]
    for name, module in sorted(sys.modules.items()):
        if name.startswith("sglang.srt.m"):
            found.append(
                {k: v for k, v in vars(module).items() if isinstance(v, types.FunctionType)}
            )
    return found


def test_it_can_be_taken_out_again() -> None:
    before = state()
    installation = sglang.install()
    assert state() != before
    assert mmhash.info()["engines"]["sglang"]["version"] == installation.engine_version
    installation.uninstall()
    assert state() == before
    assert mmhash.info()["engines"] == {}


def test_twice_is_once() -> None:
    before = state()
    first = sglang.install()
    during = state()
    assert sglang.install() is first
    assert state() == during
    first.uninstall()
    first.uninstall()
    sglang.uninstall()
    assert state() == before


def test_an_old_installation_does_not_undo_a_new_one() -> None:
    first = sglang.install()
    first.uninstall()
    second = sglang.install()
    first.uninstall()
    assert "sglang" in mmhash.info()["engines"]
    second.uninstall()


def test_from_many_threads() -> None:
    before, found = state(), []
    threads = [threading.Thread(target=lambda: found.append(sglang.install())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    found[0].uninstall()
    assert state() == before


def test_names_imported_from_mm_utils_are_replaced_too(monkeypatch) -> None:
    early, late = types.ModuleType("sglang.early"), types.ModuleType("sglang.late")
    original = early.renamed = mm_utils.hash_feature
    monkeypatch.setitem(sys.modules, "sglang.early", early)
    installation = sglang.install()
    monkeypatch.setitem(sys.modules, "sglang.late", late)
    late.hash_feature = mm_utils.hash_feature  # imported while mmhash was installed
    assert early.renamed is late.hash_feature is not original
    installation.uninstall()
    assert early.renamed is late.hash_feature is original


def test_what_others_replaced_since_stays(monkeypatch, capsys) -> None:
    original = mm_utils.hash_feature
    installation = sglang.install()
    theirs = lambda f: 1  # noqa: E731
    monkeypatch.setattr(mm_utils, "hash_feature", theirs)
    installation.uninstall()
    assert mm_utils.hash_feature is theirs
    monkeypatch.undo()
    mm_utils.hash_feature = original


def test_one_line_says_what_was_replaced(caplog) -> None:
    with caplog.at_level(logging.INFO, "mmhash.engines.sglang"):
        installation = sglang.install()
        sglang.install()
    installation.uninstall()
    (record,) = caplog.records
    for expected in (mmhash.__version__, installation.engine_version, "mm_utils.hash_feature"):
        assert expected in record.getMessage()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"algorithm": "md5"}, ValueError, "algorithm: expected one of .*, found 'md5'"),
        ({"algorithm": b"xxh3"}, TypeError, "found a bytes"),
        ({"key": b"short"}, ValueError, "key: expected 32 bytes, found 5"),
        ({"algorithm": "xxh3", "key": bytes(32)}, ValueError, "key: expected None"),
    ],
)
def test_unknown_algorithms_and_keys_are_refused(wrong, error, message) -> None:
    before = state()
    with pytest.raises(error, match=message):
        sglang.install(**wrong)
    assert state() == before


def test_installed_with_another_lazy(installed) -> None:
    with pytest.raises(ValueError, match="lazy: expected True"):
        sglang.install(lazy=False)


async def _other_parameters(self, obj, more):
    pass


def _no_coroutine(self, obj):
    pass


UNKNOWN = {
    "no hash_feature": (mm_utils, "hash_feature", None, "mm_utils.hash_feature"),
    "hash_feature(f, g)": (mm_utils, "hash_feature", lambda f, g: 0, r"found \(f, g\)"),
    "no items": (schedule_batch, "MultimodalDataItem", None, "expected a dataclass"),
    "other items": (schedule_batch, "MultimodalDataItem", dict, "expected a dataclass"),
    "set_pad_value hashes itself": (ITEM, "set_pad_value", lambda self: None, "look up"),
    "no proxies": (mm_utils, "CudaIpcTensorTransportProxy", None, "reconstruct_on"),
    "other tokenizing": (CLASSES[1], "_tokenize_one_request", _other_parameters, "found .*more"),
    "blocking tokenizing": (CLASSES[1], "_tokenize_one_request", _no_coroutine, "coroutine"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_sglang_is_refused_and_nothing_replaced(monkeypatch, name) -> None:
    owner, attribute, value, message = UNKNOWN[name]
    monkeypatch.setattr(owner, attribute, value)
    before = state()
    with pytest.raises(sglang.UnsupportedSGLangError, match=message) as caught:
        sglang.install()
    assert "replaced nothing" in str(caught.value)
    assert probe.version("sglang") in str(caught.value)
    assert state() == before


@pytest.mark.parametrize("version", ["0.5.4", "0.4.10.post2", "0.1"])
def test_old_versions_are_refused_by_name(monkeypatch, version) -> None:
    before = state()
    monkeypatch.setattr(probe, "version", lambda _: version)
    with pytest.raises(sglang.UnsupportedSGLangError, match=f"SGLang {version}: expected 0.5.5"):
        sglang.install()
    assert state() == before


def test_a_failure_halfway_is_taken_back(monkeypatch) -> None:
    before = state()
    monkeypatch.setattr("mmhash.engines.sglang.engine.Sender", None)
    with pytest.raises(TypeError):
        sglang.install()
    assert state() == before
    assert mmhash.info()["engines"] == {}


def test_the_plugin_is_an_entry_point() -> None:
    (found,) = entry_points(group="sglang.srt.plugins", name="mmhash")
    assert found.load() is plugin.load


@pytest.mark.parametrize(
    ("allowed", "expected"), [("another", False), ("mmhash,another", True), ("", True)]
)
def test_sglang_loads_the_plugin(monkeypatch, load_plugins, allowed, expected) -> None:
    monkeypatch.setenv("SGLANG_PLUGINS", allowed)
    load_plugins()
    assert ("sglang" in mmhash.info()["engines"]) is expected


@pytest.mark.parametrize(("value", "expected"), [("off", False), ("OFF", False), ("on", True)])
def test_mmhash_engines_turns_the_plugin_off(monkeypatch, load_plugins, value, expected) -> None:
    monkeypatch.setenv("MMHASH_ENGINES", value)
    load_plugins()
    assert ("sglang" in mmhash.info()["engines"]) is expected


def test_the_plugin_leaves_what_a_program_has_installed(load_plugins, caplog) -> None:
    installation = sglang.install(lazy=False)
    before = state()
    load_plugins()
    assert state() == before
    assert sglang.install(lazy=False) is installation
    assert "Failed to execute" not in caplog.text


def check_in_force(value: torch.Tensor) -> None:
    assert mm_utils.hash_feature(value) == served.hash_of(value)
    (item,) = served.tokenize_now(served.build_items([value])).mm_inputs.mm_items
    assert (item.hash, item.pad_value) == (served.hash_of(value), served.pad_value(value))
    assert mmhash.info()["engines"]["sglang"]["sent"] == 1


def test_the_plugin_registers_hooks_that_can_be_taken_out(load_plugins) -> None:
    registry = sys.modules["sglang.srt.plugins.hook_registry"].HookRegistry
    value = torch.arange(6.0)
    released = mm_utils.hash_feature(value)
    for _ in range(2):  # also a second time, though the registry forgets no hook
        load_plugins()
        targets = ["mm_utils.hash_feature", "TokenizerManager._tokenize_one_request"]
        targets += ["MultimodalDataItem.set_hash"] if served.HAS_IDENTITIES else []
        for target in targets:
            (found,) = (each for name, each in registry._hooks.items() if name.endswith(target))
            assert [source.plugin_name for _, _, source in found] == ["mmhash"]
        check_in_force(value)
        sglang.uninstall()
        assert mm_utils.hash_feature(value) == released
        (item,) = served.tokenize_now(served.build_items([value])).mm_inputs.mm_items
        assert item.hash is None


def test_a_program_may_install_what_the_plugin_has_left(load_plugins) -> None:
    value = torch.arange(6.0)
    released = mm_utils.hash_feature(value)
    for install in (load_plugins, sglang.install, load_plugins):
        install()
        check_in_force(value)
        sglang.uninstall()
        assert mm_utils.hash_feature(value) == released


ANOTHER_PLUGIN = """
import torch
from sglang.srt.managers import mm_utils
from sglang.srt.plugins import hook_registry, load_plugins

hook_registry.HookRegistry.register(
    "sglang.srt.managers.mm_utils.hash_feature",
    lambda original, f: original(f) ^ 1,
    hook_registry.HookType.AROUND,
)
{before}
load_plugins()
import mmhash
value = torch.arange(6.0)
assert mmhash.info()["engines"]["sglang"]
expected = mmhash.hash_feature(value, algorithm="blake3") ^ {expected}
assert mm_utils.hash_feature(value) == expected
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        pytest.param("", 1, id="around ours"),
        pytest.param("hook_registry.HookRegistry.apply_hooks()", 0, id="applied before ours"),
    ],
)
def test_hooks_of_other_plugins(before, expected) -> None:
    pytest.importorskip("sglang.srt.plugins")
    code = ANOTHER_PLUGIN.format(before=before, expected=expected)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_plugin_leaves_an_unknown_sglang_alone_with_one_warning(monkeypatch, caplog) -> None:
    monkeypatch.setattr(mm_utils, "hash_feature", None)
    before = state()
    plugin.load()
    assert state() == before
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "replaced nothing" in record.getMessage()


def test_reversal_while_an_items_hash_is_put_off() -> None:
    installation = sglang.install()
    item = served.build_item(torch.arange(6.0))
    item.set_pad_value()
    installation.uninstall()
    assert item.hash == served.hash_of(torch.arange(6.0))
    assert item.pad_value is not None
