"""What all engines share, with an engine that does not exist."""

from __future__ import annotations

import itertools
import linecache
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

import pytest
from fake_engine import FakeEngine, UnsupportedFakeError

import mmhash
from mmhash._counters import Counters
from mmhash.engines import adapter as adapters
from mmhash.engines import patches as patches_module
from mmhash.engines.adapter import Adapter, Installation, enabled, log_or_print


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def adapter(engine: FakeEngine) -> Iterator[Adapter]:
    made = Adapter(engine)
    yield made
    made.uninstall()
    assert engine.is_as_released()
    assert "fake" not in mmhash.info()["engines"]  # type: ignore[operator]


def report() -> Any:
    return mmhash.info()["engines"]["fake"]  # type: ignore[index]


def test_install_and_uninstall(engine: FakeEngine, adapter: Adapter) -> None:
    for count in (1, 2):
        installation = adapter.install()
        assert (installation.engine, installation.engine_version) == ("fake", "1.0")
        assert [name.rpartition(".")[2] for name in installation.replaced] == ["hash", "lazy"]
        assert engine.module.hash("abc") == -3
        assert report() == {
            "version": "1.0",
            "algorithm": "blake3",
            "key_id": None,
            "lazy": True,
            "hashes": 1,
            "sent": 0,
        }
        installation.uninstall()
        installation.uninstall()
        assert engine.is_as_released()
        assert engine.settled == count


def test_install_is_idempotent(engine: FakeEngine, adapter: Adapter) -> None:
    first = adapter.install()
    assert adapter.install() is adapter.install(lazy=True) is adapter.install(plugin=True) is first
    assert engine.plugin == [False]
    with pytest.raises(ValueError, match=r"lazy: expected True, .* in Fake already, found False"):
        adapter.install(lazy=False)


def test_an_old_installation_does_not_undo_a_new_one(adapter: Adapter) -> None:
    first = adapter.install()
    first.uninstall()
    second = adapter.install(lazy=False)
    first.uninstall()
    assert report()["lazy"] is False
    second.uninstall()


def test_many_threads_install_once(engine: FakeEngine, adapter: Adapter) -> None:
    together = threading.Barrier(8)
    engine.on_load = together.wait
    with ThreadPoolExecutor(8) as pool:
        found = {id(each) for each in pool.map(lambda _: adapter.install(), range(8))}
    assert len(found) == 1
    assert engine.plugin == [False]


def test_nothing_waits_while_an_engine_is_imported(engine: FakeEngine, adapter: Adapter) -> None:
    """An import runs foreign code, and another thread's may hold what it waits for."""
    inner: list[Installation] = []

    def on_load() -> None:
        engine.on_load = lambda: None
        with ThreadPoolExecutor(1) as pool:
            inner.append(pool.submit(adapter.install).result(timeout=60))

    engine.on_load = on_load
    assert [adapter.install()] == inner


def test_a_finalizer_within_install_gets_an_error(engine: FakeEngine, adapter: Adapter) -> None:
    """What interrupts its own thread cannot wait for it."""

    def finalize() -> None:
        for call in (adapter.install, adapter.uninstall):
            with pytest.raises(RuntimeError, match="Fake or uninstalled by this very thread"):
                call()

    engine.on_replace = finalize
    adapter.install()
    assert engine.module.hash("abc") == -3


def test_an_unknown_engine_is_left_alone(
    engine: FakeEngine, adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    engine.module.hash = max
    with pytest.raises(UnsupportedFakeError, match="expected len"):
        adapter.install()
    adapter.load_plugin()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "expected len" in record.getMessage()
    assert engine.module.hash is max
    engine.module.hash = len


def test_the_plugin(engine: FakeEngine, adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMHASH_ENGINES", "off")
    adapter.load_plugin()
    assert engine.is_as_released()
    monkeypatch.setenv("MMHASH_ENGINES", "on")
    adapter.load_plugin()
    assert engine.plugin == [True]
    adapter.uninstall()
    adapter.install(lazy=False, algorithm="xxh3")
    adapter.load_plugin()  # as it is
    assert (report()["lazy"], report()["algorithm"]) == (False, "xxh3")


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_one_line_in_the_log(
    engine: FakeEngine, adapter: Adapter, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    engine.module.version = version
    with caplog.at_level(logging.INFO, engine.logger.name):
        installation = adapter.install()
        adapter.install()
    untested = "" if version == "1.0" else " (not among those tested)"
    start = f"mmhash {mmhash.__version__} (blake3) in Fake {version}{untested}, lazily; replaced "
    (record,) = caplog.records
    assert record.getMessage() == start + ", ".join(installation.replaced)


def test_what_others_replaced_since_is_left(
    engine: FakeEngine, adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    adapter.install()
    engine.module.hash = max
    adapter.uninstall()
    assert engine.module.hash is max
    assert "replaced by somebody else since: " in caplog.records[-1].getMessage()
    engine.module.hash = len


class Interrupt(BaseException):
    """As KeyboardInterrupt, out of a signal handler."""


def interrupted(call: Callable[[], object], line: int) -> bool:
    """Whether the call came to its line'th line in the adapter and the patches, and was ended."""
    files = {adapters.__file__, patches_module.__file__}
    seen = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal seen
        if frame.f_code.co_filename not in files:
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


@pytest.mark.parametrize("what", ["install", "uninstall"])
def test_an_interrupt_at_any_line_loses_nothing(
    engine: FakeEngine, adapter: Adapter, what: str
) -> None:
    for line in itertools.count(1):
        if what == "uninstall":
            adapter.install()
        ended = interrupted(getattr(adapter, what), line)
        if line % 2:
            assert adapter.install().replaced
            assert engine.module.hash("abc") == -3
            assert report()["hashes"] == 1
            assert adapter._current is not None
            assert len(adapter._current.patches.names()) == 2
        adapter.uninstall()
        assert engine.is_as_released()
        if not ended:
            break
    assert line > 20


def test_counters_count_in_many_threads() -> None:
    counters = Counters(("one", "other"))
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: [counters.add("one") for _ in range(1000)], range(8)):
            pass
    assert counters.read() == counters.read() == {"one": 8000, "other": 0}


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.mark.parametrize(
    ("handled", "level", "logged"),
    [(True, logging.INFO, True), (True, logging.WARNING, False), (False, logging.INFO, False)],
)
def test_a_line_is_always_seen_once(
    capsys: pytest.CaptureFixture[str],
    handled: bool,
    level: int,
    logged: bool,
) -> None:
    """Servers load plugins when the root logger has a handler, but for warnings only."""
    logger = logging.Logger("mmhash.tests.engines")  # without parents, whose handlers are pytest's
    records = Records()
    if handled:
        logger.addHandler(records)
    logger.setLevel(level)
    log_or_print(logger, logging.INFO, "100 % replaced")
    assert records.lines == (["100 % replaced"] if logged else [])
    printed = "" if logged else "INFO mmhash.tests.engines: 100 % replaced\n"
    assert capsys.readouterr() == ("", printed)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, True), ("", True), ("on", True), ("OFF", False), ("off", False)]
)
def test_the_switch(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: bool) -> None:
    monkeypatch.delenv("MMHASH_ENGINES", raising=False)
    if value is not None:
        monkeypatch.setenv("MMHASH_ENGINES", value)
    assert enabled() is expected


def test_a_wrong_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMHASH_ENGINES", "0")
    with pytest.raises(ValueError, match="MMHASH_ENGINES: expected on or off, found '0'"):
        enabled()
