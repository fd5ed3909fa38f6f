"""An import hook: functions that run after a module was imported, in whatever process that is."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

AfterImport = Mapping[str, Callable[[ModuleType], None]]


def run(after: AfterImport) -> None:
    """Have each function called with its module, named by the key, once that is imported."""
    sys.meta_path.insert(0, _Finder(dict(after)))


class _Finder(MetaPathFinder):
    def __init__(self, after: dict[str, Callable[[ModuleType], None]]) -> None:
        self._after = after

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._after:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        own = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            own(module)
            self._after.pop(name)(module)  # not before: some only ask whether a module is there

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
