"""Functions of SGLang that are replaced: by assignment, or through SGLang's registry of hooks."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

from mmhash.engines.patches import Patches
from mmhash.engines.sglang.sender import Tokenize
from mmhash.engines.sglang.shape import Shape

HashFeature = Callable[[Any], int]
WrapTokenize = Callable[[Tokenize], Tokenize]


class Functions(Protocol):
    """How hash_feature() and _tokenize_one_request() get replaced. Its caller holds a lock."""

    def replace(self, shape: Shape, hash_feature: HashFeature, wrap: WrapTokenize) -> list[str]:
        """Puts the functions into force. Returns the dotted names of what they replace."""

    def restore(self) -> list[str]:
        """SGLang's own are in force again. Returns the names of what others replaced since."""


class Assigned:
    """Replaces the attributes, wherever modules of SGLang hold them."""

    def __init__(self) -> None:
        self._patches = Patches()
        self._original: Any = None
        self._replacement: Any = None

    def replace(self, shape: Shape, hash_feature: HashFeature, wrap: WrapTokenize) -> list[str]:
        """See Functions."""
        mm_utils, manager = shape.mm_utils, shape.tokenizer_manager
        self._original, self._replacement = mm_utils.hash_feature, hash_feature
        self._patches.replace(mm_utils, "hash_feature", hash_feature)
        for module, name in _bindings(self._original):
            self._patches.replace(module, name, hash_feature)
        name = "_tokenize_one_request"
        self._patches.replace(manager, name, wrap(getattr(manager, name)))
        return self._patches.names()

    def restore(self) -> list[str]:
        """See Functions. Names that were imported since are SGLang's own again, too."""
        left = self._patches.undo()
        if self._replacement is not None:
            for module, name in _bindings(self._replacement):
                setattr(module, name, self._original)
        return left


class Registered:
    """Registers hooks with SGLang's HookRegistry, which applies them when all plugins are loaded.

    The registry says in the log whose hooks it applies, warns where two plugins replace the same
    function, and puts hooks around a function after those that replace it. It cannot take a hook
    back: restored, these do what SGLang's own functions do. So there is one of these in a process.

    A target to which the registry has applied hooks already gets no more of them. Then, if this
    comes too late, the attributes are assigned.
    """

    def __init__(self) -> None:
        self._targets: list[str] = []  # once they are registered
        self._assigned: Assigned | None = None
        self._hash_feature: HashFeature | None = None
        self._wrap: WrapTokenize | None = None

    def replace(self, shape: Shape, hash_feature: HashFeature, wrap: WrapTokenize) -> list[str]:
        """See Functions."""
        if not self._targets:
            hooks: Any = importlib.import_module("sglang.srt.plugins.hook_registry")
            targets = self._hooks(shape, hooks.HookType)
            if not targets.keys().isdisjoint(hooks.HookRegistry._patched):
                self._assigned = Assigned()
                return self._assigned.replace(shape, hash_feature, wrap)
            self._targets = list(targets)
            for target, (hook, kind) in targets.items():
                hooks.HookRegistry.register(target, hook, kind)
        self._hash_feature, self._wrap = hash_feature, wrap
        return list(self._targets)

    def restore(self) -> list[str]:
        """See Functions."""
        assigned, self._assigned = self._assigned, None
        self._hash_feature = self._wrap = None
        return [] if assigned is None else assigned.restore()

    def _hooks(self, shape: Shape, kinds: Any) -> dict[str, tuple[Callable[..., Any], Any]]:
        """By their targets: hooks that look up what is in force when they are called."""
        own = shape.mm_utils.hash_feature

        def hash_feature(f: Any) -> int:
            return (self._hash_feature or own)(f)

        async def tokenize(original: Tokenize, manager: Any, obj: Any) -> Any:
            wrap = self._wrap
            return await (original if wrap is None else wrap(original))(manager, obj)

        manager = shape.tokenizer_manager
        method = f"{manager.__module__}.{manager.__qualname__}._tokenize_one_request"
        return {
            f"{shape.mm_utils.__name__}.hash_feature": (hash_feature, kinds.REPLACE),
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
