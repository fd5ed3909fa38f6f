"""What probes of engines share: reading functions without calling them, and refusing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any


def parameters(function: Any) -> list[str]:
    """The parameters' names, with their stars: ["cls", "algorithm", "**kwargs"]."""
    found = inspect.signature(function).parameters.values()
    return [str(each.replace(annotation=each.empty, default=each.empty)) for each in found]


def names_in(function: Any) -> set[str]:
    """What a function refers to by name, with the functions that are defined in it."""
    return {*_names(inspect.unwrap(function).__code__)}


def refusal(title: str, version: str, tested: Sequence[str], wrong: Sequence[str]) -> str:
    """The text of an UnsupportedEngineError, with what was expected and found, a line each."""
    return (
        f"{title} {version} is not as mmhash knows it (tested: {', '.join(tested)}); mmhash "
        "replaced nothing:\n  " + "\n  ".join(wrong)
    )


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
