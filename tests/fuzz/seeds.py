"""Makes the seeds, the same each time: `PYTHONPATH=tests python tests/fuzz/seeds.py`.

Inputs that once made a target fail are kept beside them under names that begin with `found-`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import reference
from PIL import Image

SEEDS = Path(__file__).parent / "seeds"

#: Inputs of random bytes for each target that draws what it tests from them.
DRAWN = {"kernels": 12, "folds": 24, "frames": 12, "values": 24}


def drawn() -> Iterator[tuple[str, bytes]]:
    for target, count in DRAWN.items():
        for i in range(count):
            source = random.Random(f"{target} {i}")
            yield f"{target}/drawn-{i:02}", source.randbytes(source.choice((48, 160, 400)))


def values() -> dict[str, object]:
    """One of each kind whose frame the encoder test does not draw itself, and of each length."""
    image = Image.new("P", (3, 2))
    image.info["transparency"] = 1
    return {
        "none": None,
        "bool": True,
        "int": -129,
        "int-long": -(2**127),
        "float": -0.0,
        "complex": complex(1, float("nan")),
        "text": "é\ud800\U0001f600",
        "text-long": "x" * 8193,
        "bytes": b"bytes",
        "bytes-8192": bytes(8192),
        "bytes-8193": bytes(8193),
        "bytes-levels": bytes(513 * 8192),
        "list": [1, 2],
        "mapping": {"a": 1, "b": [2]},
        "bool-array": np.array([[True], [False]]),
        "array": np.zeros((2, 0, 3), np.complex64),
        "scalar": np.float32(1),
        "image": image,
    }


def frames() -> Iterator[tuple[str, bytes]]:
    """Frames as they are hashed; the byte behind them tells the target the size of digests."""
    for kind, value in values().items():
        narrow = reference.frame_of(value)
        yield f"frames/xxh3-{kind}", narrow + b"\0"
        wide = reference.frame_of(value, reference.algorithm("blake3"))
        if wide != narrow:
            yield f"frames/blake3-{kind}", wide + b"\1"


def made() -> dict[str, bytes]:
    return {**dict(drawn()), **dict(frames())}


if __name__ == "__main__":
    for name, content in made().items():
        path = SEEDS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
