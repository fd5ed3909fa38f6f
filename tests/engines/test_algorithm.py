"""Which algorithm and key an engine hashes with: said, not said, contradictory, not to be had."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_engine import FakeEngine
from subprocesses import run_python

import mmhash
from mmhash import _core, algorithms
from mmhash.engines.adapter import Adapter
from mmhash.engines.algorithm import chosen
from mmhash.engines.vllm.engine import key_of

VARIABLE = "MMHASH_FAKE_ALGORITHM"
KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(KEY))


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("MMHASH_ENGINES", raising=False)
    yield
    mmhash.configure("xxh3")


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def adapter(engine: FakeEngine) -> Iterator[Adapter]:
    made = Adapter(engine)
    yield made
    made.uninstall()


@pytest.fixture
def without_blake3(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where the package is not installed."""
    algorithms._open.cache_clear()
    monkeypatch.setitem(sys.modules, "blake3", None)
    yield
    algorithms._open.cache_clear()


@pytest.mark.parametrize(
    ("variable", "argument", "expected"),
    [
        (None, None, "blake3"),
        ("", None, "blake3"),
        ("sha256", None, "sha256"),
        ("xxh3", None, "xxh3"),
        ("xxh3", "sha256", "sha256"),
        ("md5", "blake3", "blake3"),
    ],
)
def test_the_algorithm(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, argument: str | None, expected: str
) -> None:
    """That of the argument, of the variable, or BLAKE3. The process's own is not asked."""
    mmhash.configure("sha256")
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    found = chosen(VARIABLE, argument)
    assert (found.name, found.key_id, found.warning) == (expected, None, "")
    assert found.algorithm is algorithms.opened(expected)


def test_the_key() -> None:
    """That of the argument or the process, whatever algorithm that has."""
    mmhash.configure("sha256", key=KEY)
    assert chosen(VARIABLE).algorithm is algorithms.opened("blake3", KEY)
    assert chosen(VARIABLE, "sha256").algorithm is algorithms.opened("sha256", KEY)
    assert chosen(VARIABLE, key=OTHER_KEY).algorithm is algorithms.opened("blake3", OTHER_KEY)
    mmhash.configure("sha256")
    assert chosen(VARIABLE).key_id is None


def test_a_wrong_key_is_not_laid_to_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sha256")
    with pytest.raises(ValueError, match=r"^key: expected 32 bytes, found 5"):
        chosen(VARIABLE, key=b"short")


def test_a_key_of_the_process_is_copied() -> None:
    key = bytearray(KEY)
    mmhash.configure("blake3", key=key)  # type: ignore[arg-type]
    key[0] = 7
    assert chosen(VARIABLE).key_id == algorithms.id_of_key(KEY)


def test_xxh3_beside_a_key_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has configured a key relies on it: it is not left out in silence."""
    mmhash.configure("blake3", key=KEY)
    with pytest.raises(ValueError, match="a key is configured for the process"):
        chosen(VARIABLE, "xxh3")
    monkeypatch.setenv(VARIABLE, "xxh3")
    with pytest.raises(ValueError, match=f"{VARIABLE}: algorithm: expected 'blake3' or 'sha256'"):
        chosen(VARIABLE)
    with pytest.raises(ValueError, match="key: expected None with algorithm 'xxh3'"):
        chosen(VARIABLE, "xxh3", KEY)


def test_without_its_package_the_default_is_sha256_with_a_warning(
    without_blake3: None, adapter: Adapter, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, engine.logger.name):
        adapter.load_plugin()
        adapter.load_plugin()
    assert engine.algorithm is algorithms.opened("sha256")
    (warning,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert "pip install blake3" in warning.getMessage()
    assert f"{VARIABLE}=sha256" in warning.getMessage()
    assert sum("(sha256) in Fake" in each.getMessage() for each in caplog.records) == 1


def test_without_its_package_the_default_keeps_the_key(without_blake3: None) -> None:
    mmhash.configure("sha256", key=KEY)
    found = chosen(VARIABLE)
    assert (found.name, found.key_id) == ("sha256", algorithms.id_of_key(KEY))


def test_without_its_package_a_named_algorithm_is_an_error(
    without_blake3: None, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImportError, match="pip install blake3"):
        adapter.install(algorithm="blake3")
    monkeypatch.setenv(VARIABLE, "blake3")
    with pytest.raises(SystemExit, match=f"{VARIABLE}: .*pip install blake3"):
        adapter.load_plugin()
    monkeypatch.setenv(VARIABLE, "sha256")
    adapter.load_plugin()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (VARIABLE, "md5", f"in Fake: environment variable {VARIABLE}: algorithm: expected one of"),
        ("MMHASH_ENGINES", "0", "in Fake: environment variable MMHASH_ENGINES: expected on or off"),
    ],
)
def test_nonsense_ends_the_process_with_one_line(
    adapter: Adapter,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    message: str,
) -> None:
    """Not by an Exception, which SGLang logs, to run on without mmhash."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=message) as raised:
        adapter.load_plugin()
    assert "\n" not in str(raised.value)
    assert engine.is_as_released()


def test_nothing_is_asked_of_the_rest_where_it_is_off(
    adapter: Adapter, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMHASH_ENGINES", "off")
    monkeypatch.setenv(VARIABLE, "md5")
    adapter.load_plugin()
    assert engine.is_as_released()


def test_installed_already_with_another(adapter: Adapter) -> None:
    first = adapter.install(key=KEY)
    assert (first.algorithm, first.key_id) == ("blake3", algorithms.id_of_key(KEY))
    assert adapter.install() is adapter.install(algorithm="blake3", key=KEY) is first
    with pytest.raises(
        ValueError, match=r"algorithm: expected 'blake3, key \w{16}', with .*'xxh3'"
    ):
        adapter.install(algorithm="xxh3")
    with pytest.raises(ValueError, match="uninstall\\(\\) first"):
        adapter.install(key=OTHER_KEY)


def test_the_line_and_the_report_say_algorithm_and_key(
    adapter: Adapter, engine: FakeEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, engine.logger.name):
        adapter.install(algorithm="sha256", key=KEY)
    key_id = algorithms.id_of_key(KEY)
    assert f"(sha256, key {key_id}) in Fake 1.0" in caplog.text
    report = mmhash.info()["engines"]["fake"]  # type: ignore[index]
    assert (report["algorithm"], report["key_id"]) == ("sha256", key_id)
    assert KEY.hex() not in caplog.text


def test_a_key_file_reaches_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(0o600)
    code = "from mmhash.engines.algorithm import chosen; print(chosen('MMHASH_FAKE_ALGORITHM'))"
    done = run_python(code, MMHASH_ALGORITHM="sha256", MMHASH_KEY_FILE=str(path))
    assert done.stdout == f"blake3, key {algorithms.id_of_key(KEY)}\n"


@pytest.mark.parametrize(
    "algorithm",
    [algorithms.opened("blake3"), algorithms.opened("sha256", KEY)],
    ids=lambda a: a.name,
)
def test_a_key_of_vllm_is_the_identity(algorithm: _core.Algorithm) -> None:
    assert key_of(algorithm)(b"pixels") == mmhash.identity(b"pixels", algorithm=algorithm).hex()


def test_a_key_of_vllm_by_xxh3_is_the_identity_and_its_own() -> None:
    """As long as the others, and plainly no stronger: the second half is of the first alone."""
    first = mmhash.identity(b"pixels", algorithm="xxh3")
    found = key_of(_core.XXH3)(b"pixels")
    assert found == first.hex() + mmhash.identity(first, algorithm="xxh3").hex()
    assert len(found) == 64
    mmhash.configure("blake3")  # which is not the engine's
    assert key_of(_core.XXH3)(b"pixels") == found
