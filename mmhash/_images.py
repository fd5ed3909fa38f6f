"""PIL images that are not read yet, and therefore not to be handed to another thread.

Image.open() reads the pixels when they are first asked for, and Pillow's load() is not safe when
two threads ask at once. Who hands an image to a thread of ours may go on using it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from mmhash._nested import leaves


def load_images(values: Iterable[Any]) -> None:
    """Reads the pixels of every PIL image in nested values, in this thread; others are left alone.

    Raises what Pillow raises for an image that is damaged.
    """
    pillow = sys.modules.get("PIL.Image")
    if pillow is None:
        return  # nobody can have made one
    for value in values:
        for leaf in leaves(value):
            if isinstance(leaf, pillow.Image):
                leaf.load()
