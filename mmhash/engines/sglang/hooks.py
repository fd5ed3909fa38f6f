"""Functions of SGLang that are replaced: monkey patches, or hooks in SGLang's own registry."""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable
from typing import Any

from mmhash.engines.patches import Patches
from mmhash.engines.sglang.identities import SetHash
from mmhash.engines.sglang.probe import Probe
from mmhash.engines.sglang.sender import Tokenize

HashFeature = Callable[[Any], int]


@dataclasses.dataclass(frozen=True)
class Functions:
    """What an installation has for SGLang's functions."""

    hash_feature: HashFeature
    wrap_tokenize: Callable[[Tokenize], Tokenize]
    wrap_set_hash: Callable[[SetHash], SetHash] | None  # None where items have 64 bits


def assign(probe: Probe, patches: Patches, functions: Functions) -> None:
    """Replaces SGLang's functions, wherever modules of it hold them, and methods."""
    mm_utils, manager = probe.mm_utils, probe.tokenizer_manager
    original, hash_feature = mm_utils.hash_feature, functions.hash_feature

    def restore_late_imports() -> None:
        for module, name in _bindings(hash_feature):
            setattr(module, name, original)

    patches.on_undo(restore_late_imports)
    patches.replace(mm_utils, "hash_feature", hash_feature)
    for module, name in _bindings(original):
        patches.replace(module, name, hash_feature)
    name = "_tokenize_one_request"
    patches.replace(manager, name, functions.wrap_tokenize(getattr(manager, name)))
    if functions.wrap_set_hash is not None:
        wrapped = functions.wrap_set_hash(probe.item_class.set_hash)
        patches.replace(probe.item_class, "set_hash", wrapped)


class Registered:
    """Registers hooks with SGLang's HookRegistry, which applies them when all plugins are loaded.

    The registry says in the log whose hooks it applies, warns where two plugins replace the same
    function, and puts hooks around a function after those that replace it. It cannot take a hook
    back: undone, these do what SGLang's own functions do. So there is one of these in a process.

    A target to which the registry has applied hooks already gets no more of them. Then, if this
    comes too late, the attributes are assigned.
    """

    def __init__(self) -> None:
        self._targets: list[str] = []  # once they are registered
        self._functions: Functions | None = None

    def replace(self, probe: Probe, patches: Patches, functions: Functions) -> None:
        """See assign()."""
        hooks: Any = importlib.import_module("sglang.srt.plugins.hook_registry")
        targets = self._hooks(probe, hooks.HookType)
        if functions.wrap_set_hash is None:
            del targets[_target(probe.item_class, "set_hash")]
        missing = targets.keys() - self._targets
        if not missing.isdisjoint(hooks.HookRegistry._patched):
            assign(probe, patches, functions)
            return
        patches.on_undo(self._undo, list(targets))
        for target, (hook, kind) in targets.items():
            if target in missing:
                # Interrupted here, it is registered again: twice is as once.
                hooks.HookRegistry.register(target, hook, kind)
                self._targets.append(target)
        self._functions = functions

    def _undo(self) -> None:
        self._functions = None

    def _hooks(self, probe: Probe, kinds: Any) -> dict[str, tuple[Callable[..., Any], Any]]:
        """By their targets: hooks that look up what is in force when they are called."""
        own = probe.mm_utils.hash_feature

        def hash_feature(f: Any) -> int:
            now = self._functions
            return own(f) if now is None else now.hash_feature(f)

        async def tokenize(original: Tokenize, manager: Any, obj: Any) -> Any:
            now = self._functions
            wrapped = original if now is None else now.wrap_tokenize(original)
            return await wrapped(manager, obj)

        def set_hash(original: SetHash, item: Any, hash_value: int) -> None:
            now = self._functions
            wrap = None if now is None else now.wrap_set_hash
            (original if wrap is None else wrap(original))(item, hash_value)

        manager = probe.tokenizer_manager
        return {
            f"{probe.mm_utils.__name__}.hash_feature": (hash_feature, kinds.REPLACE),
            _target(manager, "_tokenize_one_request"): (tokenize, kinds.AROUND),
            _target(probe.item_class, "set_hash"): (set_hash, kinds.AROUND),
        }


def _target(owner: Any, method: str) -> str:
    return f"{owner.__module__}.{owner.__qualname__}.{method}"


def _bindings(function: Any) -> list[tuple[Any, str]]:
    """Where modules of SGLang hold a function under a name of theirs: `from mm_utils import`."""
    return [
        (module, name)
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("sglang.") and module is not None
        for name, value in list(vars(module).items())
        if value is function
    ]
