"""Replacing attributes of another package: all of them or none, and back again."""

from __future__ import annotations

from typing import Any

_MISSING = object()


class Patches:
    """Attributes of modules and classes that were replaced, and what they were.

    Not thread-safe: its owner holds a lock.
    """

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []  # owner, name, original, replacement

    def replace(self, owner: Any, name: str, replacement: Any) -> Any:
        """Set an attribute of a module or a class and return what stood there itself.

        An attribute that was only inherited is looked up, and removed again by undo(). Raises
        AttributeError if there is none.
        """
        own = vars(owner).get(name, _MISSING)
        inherited = getattr(owner, name) if own is _MISSING else own
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, own, replacement))
        return inherited

    def add(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute that may not have been there; undo() removes it then."""
        self._replaced.append((owner, name, vars(owner).get(name, _MISSING), value))
        setattr(owner, name, value)

    def undo(self) -> list[str]:
        """Put everything back, the last first, and return what was left alone.

        That is what somebody else has replaced in the meantime: putting the original back would
        undo their work.
        """
        left = []
        while self._replaced:
            owner, name, original, replacement = self._replaced.pop()
            if vars(owner).get(name, _MISSING) is not replacement:
                left.append(f"{_name(owner)}.{name}")
            elif original is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, original)
        return left

    def names(self) -> list[str]:
        """The dotted names of what was replaced, in order."""
        return [f"{_name(owner)}.{name}" for owner, name, *_ in self._replaced]


def _name(owner: Any) -> str:
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}"
    return str(owner.__name__)
