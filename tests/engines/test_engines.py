"""What the modules of all engines share; needs no engine."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mmhash.engines import switch
from mmhash.engines.announcing import announce
from mmhash.engines.patches import Patches


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
    announce(logger, logging.INFO, "100 % replaced")
    assert records.lines == (["100 % replaced"] if logged else [])
    printed = "" if logged else "INFO mmhash.tests.engines: 100 % replaced\n"
    assert capsys.readouterr() == ("", printed)


class Engine:
    algorithm = "sha256"

    def hash(self) -> str:
        return "theirs"


class Derived(Engine):
    pass


def test_patches_are_undone() -> None:
    patches = Patches()
    own, inherited = vars(Engine)["hash"], vars(Engine)["hash"]
    assert patches.replace(Engine, "algorithm", "xxh3") == "sha256"
    assert patches.replace(Derived, "hash", lambda self: "ours") is inherited
    patches.add(Engine, "lazy", True)
    names = [f"{__name__}.{name}" for name in ("Engine.algorithm", "Derived.hash", "Engine.lazy")]
    assert patches.names() == names
    found: Any = Derived()
    assert (found.algorithm, found.hash(), found.lazy) == ("xxh3", "ours", True)
    assert patches.undo() == []
    assert (found.algorithm, found.hash()) == ("sha256", "theirs")
    assert vars(Engine)["hash"] is own
    assert "hash" not in vars(Derived)
    assert not hasattr(Engine, "lazy")
    assert patches.undo() == patches.names() == []


def test_what_others_replaced_is_left() -> None:
    patches = Patches()
    patches.replace(Engine, "algorithm", "xxh3")
    Engine.algorithm = "md5"
    assert patches.undo() == [f"{__name__}.Engine.algorithm"]
    assert Engine.algorithm == "md5"
    Engine.algorithm = "sha256"
    with pytest.raises(AttributeError, match="missing"):
        patches.replace(Engine, "missing", 1)
    assert patches.undo() == []


@pytest.mark.parametrize(
    ("value", "enabled"), [(None, True), ("", True), ("on", True), ("OFF", False), ("off", False)]
)
def test_the_switch(monkeypatch: pytest.MonkeyPatch, value: str | None, enabled: bool) -> None:
    monkeypatch.delenv("MMHASH_ENGINES", raising=False)
    if value is not None:
        monkeypatch.setenv("MMHASH_ENGINES", value)
    assert switch.enabled() is enabled


def test_a_wrong_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMHASH_ENGINES", "0")
    with pytest.raises(ValueError, match="MMHASH_ENGINES: expected on or off, found '0'"):
        switch.enabled()
