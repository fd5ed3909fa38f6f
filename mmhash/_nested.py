"""Values within lists, tuples and mappings, however deep: none of these functions recurses.

What identity() refuses, lists that contain themselves or are nested too deep, is for identity() to
name. Here it is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

#: An item of a list or dict: the container and its index or key.
Place = tuple[Any, Any]


def leaves(value: Any) -> Iterator[Any]:
    """The values in it that are no list, tuple or mapping. A list held twice counts once."""
    pending = [value]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if not isinstance(part, (list, tuple, Mapping)):
            yield part
        elif id(part) not in seen:
            seen.add(id(part))  # alive as long as the value is
            pending.extend(part.values() if isinstance(part, Mapping) else part)


def replaced(value: Any, replace: Callable[[Any], tuple[Any, Iterable[Place]]]) -> Any:
    """The value with `replace` applied to it and, from the outside in, to what it is made of.

    `replace(part)` returns what stands for the part, and the places in that whose items are to be
    replaced in turn. A container that is held twice is replaced once, so that what stands for a
    list that contains itself does so too.
    """
    result = [value]
    pending: list[Place] = [(result, 0)]
    known: dict[int, tuple[Any, Any]] = {}  # by id, with the part, so that no id is used again
    while pending:
        container, key = pending.pop()
        part = container[key]
        if id(part) not in known:
            made, places = replace(part)
            known[id(part)] = part, made
            pending.extend(places)
        container[key] = known[id(part)][1]
    return result[0]


def is_empty(value: Any) -> bool:
    """Whether there is nothing in it: None, or nested lists of nothing but None.

    A list that contains itself is not: whoever hashes it is told so.
    """
    if value is None:
        return True
    if not isinstance(value, (list, tuple)):
        return False
    seen, around = {id(value)}, {id(value)}  # ids of lists; those of `path`
    path = [(id(value), iter(value))]  # from the outermost list to the one that is walked
    while path:
        for part in path[-1][1]:
            if part is None:
                continue
            if not isinstance(part, (list, tuple)) or id(part) in around:
                return False
            if id(part) not in seen:
                seen.add(id(part))
                around.add(id(part))
                path.append((id(part), iter(part)))
                break
        else:
            around.discard(path.pop()[0])
    return True
