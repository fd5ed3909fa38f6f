"""Values within lists, tuples and mappings, however deep: none of these functions recurses.

What identity() refuses, lists that contain themselves or are nested too deep, is for identity() to
name. Here it is no error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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
