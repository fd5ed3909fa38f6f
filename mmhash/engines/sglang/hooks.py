"""Functions of SGLang that are replaced: monkey patches, or hooks in SGLang's own registry."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from mmhash.engines.patches import Patches
from mmhash.engines.sglang.probe import Probe
from mmhash.engines.sglang.sender import Tokenize

HashFeature = Callable[[Any], int]
WrapTokenize = Callable[[Tokenize], Tokenize]


def assign(probe: Probe, patches: Patches, hash_feature: HashFeature, wrap: WrapTokenize) -> None:
    """Replaces hash_feature() and _tokenize_one_request() wherever modules of SGLang hold them."""
    mm_utils, manager = probe.mm_utils, probe.tokenizer_manager
    original = mm_utils.hash_feature

    def restore_late_imports() -> None:
        for module, name in _bindings(hash_feature):
            setattr(module, name, original)

    patches.on_undo(restore_late_imports)
    patches.replace(mm_utils, "hash_feature", hash_feature)
    for module, name in _bindings(original):
        patches.replace(module, name, hash_feature)
    name = "_tokenize_one_request"
    patches.replace(manager, name, wrap(getattr(manager, name)))


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
        self._hash_feature: HashFeature | None = None
        self._wrap: WrapTokenize | None = None

    def replace(
        self, probe: Probe, patches: Patches, hash_feature: HashFeature, wrap: WrapTokenize
    ) -> None:
        """See assign()."""
        hooks: Any = importlib.import_module("sglang.srt.plugins.hook_registry")
        targets = self._hooks(probe, hooks.HookType)
        missing = targets.keys() - self._targets
        if not missing.isdisjoint(hooks.HookRegistry._patched):
            assign(probe, patches, hash_feature, wrap)
            return
        patches.on_undo(self._undo, list(targets))
        for target, (hook, kind) in targets.items():
            if target in missing:
                # Interrupted here, it is registered again: twice is as once.
                hooks.HookRegistry.register(target, hook, kind)
                self._targets.append(target)
        self._hash_feature, self._wrap = hash_feature, wrap

    def _undo(self) -> None:
        self._hash_feature = self._wrap = None

    def _hooks(self, probe: Probe, kinds: Any) -> dict[str, tuple[Callable[..., Any], Any]]:
        """By their targets: hooks that look up what is in force when they are called."""
        own = probe.mm_utils.hash_feature

        def hash_feature(f: Any) -> int:
            return (self._hash_feature or own)(f)

        async def tokenize(original: Tokenize, manager: Any, obj: Any) -> Any:
            wrap = self._wrap
            return await (original if wrap is None else wrap(original))(manager, obj)

        manager = probe.tokenizer_manager
        method = f"{manager.__module__}.{manager.__qualname__}._tokenize_one_request"
        return {
            f"{probe.mm_utils.__name__}.hash_feature": (hash_feature, kinds.REPLACE),
            method: (tokenize, kinds.AROUND),
        }


def _bindings(function: Any) -> list[tuple[Any, str]]:
    """Where modules of SGLang hold a function under a name of theirs: `from mm_utils import`."""
    return [
        (module, name)
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("sglang.") and module is not None
        for name, value in list(vars(module).items())
        if value is function
    ]
