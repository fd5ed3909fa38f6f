"""Monkey patches of another package, with an undo log: all of them or none, and back again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

_MISSING = object()


class _Change(Protocol):
    """What was replaced, by its dotted names, and how it is put back: any number of times."""

    @property
    def names(self) -> Sequence[str]: ...

    def undo(self) -> list[str]:
        """Returns the names of what somebody else has replaced since, and was left alone."""


class Patches:
    """An undo log of attributes of modules and classes that were replaced.

    Write-ahead: an entry is written before its attribute is replaced and goes after that is put
    back, and undoing it twice is undoing it once. So an exception at any line loses nothing: undo()
    again. Not thread-safe: its owner holds a lock.
    """

    def __init__(self) -> None:
        self._changes: list[_Change] = []

    def replace(self, owner: Any, name: str, replacement: Any) -> Any:
        """Set an attribute of a module or a class and return what stood there itself.

        An attribute that was only inherited is looked up, and removed again by undo(). Raises
        AttributeError if there is none.
        """
        original = vars(owner)[name] if name in vars(owner) else getattr(owner, name)
        self.add(owner, name, replacement)
        return original

    def add(self, owner: Any, name: str, value: Any) -> None:
        """Set an attribute that may not have been there; undo() removes it then."""
        self._changes.append(_Attribute(owner, name, value))
        setattr(owner, name, value)

    def on_undo(self, undo: Callable[[], None], names: Sequence[str] = ()) -> None:
        """For what is about to be replaced in another way: how it is put back, perhaps twice."""
        self._changes.append(_Other(undo, names))

    def undo(self) -> list[str]:
        """Put everything back, the last first, and return what was left alone.

        That is what somebody else has replaced in the meantime: putting the original back would
        undo their work.
        """
        left = []
        while self._changes:
            left += self._changes[-1].undo()
            self._changes.pop()
        return left

    def names(self) -> list[str]:
        """The dotted names of what was replaced, in order."""
        return [name for change in self._changes for name in change.names]


class _Attribute:
    def __init__(self, owner: Any, name: str, replacement: Any) -> None:
        self._owner, self._name, self._replacement = owner, name, replacement
        self._original = vars(owner).get(name, _MISSING)
        self.names = (f"{_name(owner)}.{name}",)

    def undo(self) -> list[str]:
        now = vars(self._owner).get(self._name, _MISSING)
        if now is self._original:
            return []
        if now is not self._replacement:
            return [*self.names]
        if self._original is _MISSING:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._original)
        return []


class _Other:
    def __init__(self, undo: Callable[[], None], names: Sequence[str]) -> None:
        self._undo, self.names = undo, names

    def undo(self) -> list[str]:
        self._undo()
        return []


def _name(owner: Any) -> str:
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}"
    return str(owner.__name__)
