"""An engine that does not exist, for tests of what all engines share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from mmhash import _core
from mmhash._counters import Counters
from mmhash.engines.engine import Engine, Replaced, UnsupportedEngineError
from mmhash.engines.patches import Patches


class UnsupportedFakeError(UnsupportedEngineError):
    pass


class FakeEngine(Engine):
    name = "fake"
    title = "Fake"
    tested = ("1.0",)
    counters = ("hashes", "sent")
    options: ClassVar[Mapping[str, object]] = {"lazy": True}
    logger = logging.getLogger("mmhash.tests.engines")

    def __init__(self) -> None:
        self.module: Any = type("module", (), {"version": "1.0", "hash": len, "pad": len})
        self.plugin: list[bool] = []
        self.settled = 0
        self.on_load: Callable[[], object] = lambda: None
        self.on_replace: Callable[[], object] = lambda: None

    def load(self) -> Any:
        self.on_load()
        return self.module

    def probe(self, loaded: Any) -> Any:
        if loaded.hash is not len:
            raise UnsupportedFakeError(f"hash: expected len, found {loaded.hash}")
        return loaded

    def replace(
        self,
        probe: Any,
        patches: Patches,
        counters: Counters,
        algorithm: _core.Algorithm,
        options: Mapping[str, Any],
        *,
        plugin: bool,
    ) -> Replaced:
        self.plugin.append(plugin)
        self.algorithm = algorithm

        def hash_(value: Any) -> int:
            counters.add("hashes")
            return -len(value)

        patches.replace(probe, "hash", hash_)
        self.on_replace()
        patches.add(probe, "lazy", options["lazy"])
        return Replaced(note=", lazily", report={"lazy": options["lazy"]}, settle=self.settle)

    def settle(self) -> None:
        self.settled += 1

    def is_as_released(self) -> bool:
        return self.module.hash is len and not hasattr(self.module, "lazy")
