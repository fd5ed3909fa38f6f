"""Into vLLM and out of it again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

import pytest

vllm_hasher = pytest.importorskip("vllm.multimodal.hasher")

import mmhash  # noqa: E402
import mmhash.engines.vllm as engine  # noqa: E402
from mmhash.engines.vllm import probe  # noqa: E402

Hasher = vllm_hasher.MultiModalHasher
ORIGINAL = vars(Hasher)["hash_kwargs"]
REPLACED = "vllm.multimodal.hasher.MultiModalHasher.hash_kwargs"


@pytest.fixture(autouse=True)
def as_released() -> Iterator[None]:
    assert vars(Hasher)["hash_kwargs"] is ORIGINAL
    yield
    engine.uninstall()
    assert vars(Hasher)["hash_kwargs"] is ORIGINAL


RELEASED = Hasher.hash_kwargs("blake3", x=1)


def is_ours() -> bool:
    return bool(Hasher.hash_kwargs("blake3", x=1) != RELEASED)


@pytest.mark.parametrize("algorithm", ["xxh3", "blake3", "sha256"])
def test_install_and_uninstall(algorithm: str) -> None:
    for _ in range(2):
        installation = engine.install(algorithm=algorithm)
        assert (installation.engine, installation.algorithm) == ("vllm", algorithm)
        assert installation.replaced == (REPLACED,)
        assert engine.install(algorithm=algorithm) is installation
        assert engine.install() is installation, "it asks for nothing else"
        assert is_ours()
        found: Any = mmhash.info()["engines"]
        assert (found["vllm"]["algorithm"], found["vllm"]["hashes"]) == (algorithm, 1)
        installation.uninstall()
        installation.uninstall()
        assert not is_ours()


def test_an_old_installation_does_not_undo_a_new_one() -> None:
    first = engine.install(algorithm="xxh3")
    first.uninstall()
    engine.install(algorithm="xxh3")
    first.uninstall()
    assert is_ours()


def test_the_default_is_blake3() -> None:
    installation = engine.install()
    assert (installation.algorithm, installation.key_id) == ("blake3", None)
    with pytest.raises(
        ValueError, match="algorithm: expected 'blake3', with which mmhash is installed in vLLM"
    ):
        engine.install(algorithm="xxh3")


def test_a_key_makes_other_keys() -> None:
    found = []
    for key in (None, bytes(32), bytes(range(32))):
        installation = engine.install(key=key)
        found.append(Hasher.hash_kwargs("blake3", x=1))
        installation.uninstall()
    assert len({*found, RELEASED}) == 4


def test_other_algorithms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"algorithm: expected one of .*, found 'md5'"):
        engine.install(algorithm="md5")
    assert not is_ours()


def test_what_others_replace_stays(caplog: pytest.LogCaptureFixture) -> None:
    engine.install(algorithm="xxh3")
    other = classmethod(lambda cls, algorithm, /, **kwargs: "other")
    Hasher.hash_kwargs = other
    engine.uninstall()
    assert vars(Hasher)["hash_kwargs"] is other
    Hasher.hash_kwargs = ORIGINAL


def test_threads() -> None:
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(engine.install(algorithm="xxh3")))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len({id(installation) for installation in found}) == 1


def module(**replaced: Any) -> Any:
    """The hasher's module with some of its names replaced."""
    made = types.ModuleType(vllm_hasher.__name__)
    vars(made).update(vars(vllm_hasher) | replaced)
    return made


class Renamed(Hasher):  # type: ignore[misc, valid-type]
    @classmethod
    def hash_kwargs(cls, algorithm: str, seed: int, /, **kwargs: object) -> str:
        return ""


class Newer(Hasher):  # type: ignore[misc, valid-type]
    hash_kwargs = ORIGINAL


def new_kind(cls: Any, obj: Any) -> Any:
    return obj.audio_with_bytes


new_kind.__module__ = vllm_hasher.__name__
Newer.serialize_item = classmethod(new_kind)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"MultiModalHasher": None}, "hash_kwargs: expected a classmethod, found None"),
        ({"MultiModalHasher": Renamed}, r"found \(cls, algorithm, seed, \*\*kwargs\)"),
        ({"MultiModalHasher": Newer}, "found that it uses audio_with_bytes"),
        ({"MediaWithBytes": object}, "MediaWithBytes.original_bytes: expected a field"),
    ],
)
def test_an_unknown_vllm_is_refused(replaced: dict[str, Any], message: str) -> None:
    with pytest.raises(engine.UnsupportedVLLMError, match=message) as raised:
        probe.probe(probe.Modules("9.9", module(**replaced)))
    assert "mmhash replaced nothing" in str(raised.value)


def test_nothing_is_replaced_where_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_hasher, "MediaWithBytes", object)
    with pytest.raises(engine.UnsupportedVLLMError):
        engine.install(algorithm="xxh3")
    assert vars(Hasher)["hash_kwargs"] is ORIGINAL
    monkeypatch.setenv("MMHASH_VLLM_ALGORITHM", "xxh3")
    engine.plugin()
    assert vars(Hasher)["hash_kwargs"] is ORIGINAL


PLUGIN = """
from vllm.plugins import load_general_plugins
load_general_plugins()
from vllm.multimodal.hasher import MultiModalHasher
import mmhash
print(mmhash.info()["engines"].get("vllm", {}).get("algorithm"))
print(MultiModalHasher.hash_kwargs("blake3", x=1))
"""


def plugged(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PLUGIN],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=600,  # an import of vLLM takes ten seconds: this only ends what hangs
    )


def test_the_entry_point() -> None:
    found = entry_points(group="vllm.general_plugins", name="mmhash")
    assert [point.value for point in found] == ["mmhash.engines.vllm:plugin"]


@pytest.mark.parametrize(
    ("environment", "algorithm"),
    [
        ({}, "blake3"),
        ({"MMHASH_VLLM_ALGORITHM": "xxh3"}, "xxh3"),
        ({"MMHASH_ENGINES": "off"}, "None"),
        ({"VLLM_PLUGINS": "other"}, "None"),
    ],
)
def test_vllm_loads_the_plugin(environment: dict[str, str], algorithm: str) -> None:
    result = plugged(**environment)
    *_, said, key = result.stdout.splitlines()
    assert said == algorithm, result.stderr
    assert len(key) == 64
    assert (key == RELEASED) is (algorithm == "None")
    lines = [line for line in (result.stdout + result.stderr).splitlines() if "in vLLM" in line]
    assert sum(f"({algorithm})" in line and REPLACED in line for line in lines) == len(lines)
    assert len(lines) == (algorithm != "None")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MMHASH_VLLM_ALGORITHM", "algorithm: expected one of 'xxh3', 'blake3', 'sha256'"),
        ("MMHASH_ENGINES", "expected on or off, found 'nonsense'"),
    ],
)
def test_a_typo_ends_the_server_with_one_line(name: str, message: str) -> None:
    result = plugged(**{name: "nonsense"})
    assert result.returncode == 1
    line = result.stderr.splitlines()[-1]
    assert line.startswith(f"mmhash in vLLM: environment variable {name}: {message}")
    assert "Traceback" not in result.stderr
