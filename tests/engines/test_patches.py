"""Monkey patches of another package and their undo log."""

from __future__ import annotations

from typing import Any

import pytest

from mmhash.engines.patches import Patches


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


def test_what_is_replaced_in_another_way_is_undone_in_its_turn() -> None:
    patches, seen = Patches(), []
    patches.on_undo(lambda: seen.append(Engine.algorithm), ["registry.hash"])
    patches.replace(Engine, "algorithm", "xxh3")
    patches.on_undo(lambda: seen.append(Engine.algorithm))
    assert patches.names() == ["registry.hash", f"{__name__}.Engine.algorithm"]
    assert patches.undo() == []
    assert seen == ["xxh3", "sha256"]
