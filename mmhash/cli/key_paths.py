"""Key paths: names for what lies in nested containers, such as a checkpoint holds.

A key of the outermost mapping that is a plain word stands as it is (`model.layers.0.weight`), all
else in brackets (`["two words"]`, `images[3]["mask"]`): so no two values have one name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

WORD = re.compile(r"[A-Za-z_][\w.:/-]*")
MAX_DEPTH = 1000


def flatten(value: object) -> Iterator[tuple[str, object]]:
    """Yield (name, value) of everything in nested mappings, lists and tuples, in their order.

    An empty container is yielded as a value: it has an identity too, and nothing is passed over.
    What is no container has an empty name. ValueError: a container contains itself, or more than
    1,000 stand one within the other. (The walk keeps its own stack, so neither exhausts Python's.)

    >>> dict(flatten({"w": 1, "images": [2, {"two words": 3}]}))
    {'w': 1, 'images[0]': 2, 'images[1]["two words"]': 3}
    """
    containers: list[object] = [None]  # those that are open, the outermost first
    members: list[Iterator[tuple[str, object]]] = [iter([("", value)])]  # of each, those to come
    while members:
        for name, child in members[-1]:
            if isinstance(child, (Mapping, list, tuple)) and child:
                if any(child is container for container in containers):
                    raise ValueError(f"expected a tree of containers, but {name} contains itself")
                if len(containers) > MAX_DEPTH:
                    raise ValueError(
                        f"expected at most {MAX_DEPTH:,} containers one within the other, found "
                        f"more at {name[:40]}..."
                    )
                containers.append(child)
                members.append(_children(name, child))
                break
            yield name, child
        else:
            containers.pop()
            members.pop()


def _children(
    name: str, container: Mapping[object, object] | list[object] | tuple[object, ...]
) -> Iterator[tuple[str, object]]:
    if isinstance(container, Mapping):
        for key, child in container.items():
            yield _member(name, key), child
    else:
        for index, child in enumerate(container):
            yield f"{name}[{index}]", child


def _member(name: str, key: object) -> str:
    if not isinstance(key, str):
        return f"{name}[{key!r}]"
    if not name and WORD.fullmatch(key):
        return key
    return f"{name}[{json.dumps(key, ensure_ascii=False)}]"
