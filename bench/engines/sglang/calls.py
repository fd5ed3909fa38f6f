"""Microbenchmark: building multimodal inputs inside the real SGLang, with mmhash and without.

    python bench/engines/sglang/calls.py --out FILE.json        # in an environment that has SGLang

Rows are calls of the installed SGLang's own `MultimodalInputs.from_dict` (0.5.5) or
`from_processor_output` (later), each followed by the read of `pad_value` that its scheduler does
next, on one image item of 18.8 MB. mmhash hashes with the algorithm that MMHASH_SGLANG_ALGORITHM
names, as in a server. *unset*: the item has no hash, as from a sender that computes
none. *carried*: the item came with what its sender computed. As released and with mmhash take
turns within each round (bench/interleave.py); mmhash's cache of identities is off. *reading*: the
largest number of the feature, by NumPy, which is as soon as the memory gives it to one thread.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import interleave
import machine
import numpy as np
import torch
from sglang.srt.managers import mm_utils, schedule_batch
from sglang.srt.managers.schedule_batch import Modality, MultimodalDataItem, MultimodalInputs

import mmhash
from mmhash.demos.compare.timing import quartiles
from mmhash.engines import sglang

ALGORITHM = os.environ.get("MMHASH_SGLANG_ALGORITHM") or "blake3"
SHAPE = (4000, 1176)  # of Qwen2.5-VL's pixel_values for 1120x700 pixels, float32
ProcessorOutput = getattr(schedule_batch, "MultimodalProcessorOutput", None)
BUILDER = "from_dict" if ProcessorOutput is None else "from_processor_output"


def item(feature: torch.Tensor) -> MultimodalDataItem:
    return MultimodalDataItem(modality=Modality.IMAGE, feature=feature)


def built(items: list[MultimodalDataItem]) -> int:
    """As a scheduler does, up to the pad value that it reads next."""
    if ProcessorOutput is None:
        inputs = MultimodalInputs.from_dict({"mm_items": items})
    else:
        inputs = MultimodalInputs.from_processor_output(ProcessorOutput(mm_items=items))
    pad_value: int = inputs.mm_items[0].pad_value
    return pad_value


class Case:
    """One row's call: as released with 0 threads, else with mmhash."""

    def __init__(self, feature: torch.Tensor, threads: int, *, carried: bool) -> None:
        self.feature, self.threads, self.carried = feature, threads, carried
        self.items: list[MultimodalDataItem] = []

    def prepare(self) -> None:
        """Installs mmhash or takes it out, and forgets what the last call left behind."""
        if self.threads:
            sglang.install(algorithm=ALGORITHM)
            mmhash.set_num_threads(self.threads)
        else:
            sglang.uninstall()
        self.items = [item(self.feature)]
        if self.carried:
            built(self.items)
        self.warm()

    def warm(self) -> None:
        """Reads the feature, as before every other bench's calls."""
        for _ in range(interleave.WARMING_READS):
            np.max(self.feature.numpy())

    def call(self, _: Any) -> int:
        """Batches repeat it: an unset item is made anew each time, which takes a microsecond."""
        if not self.carried:
            self.items = [item(self.feature)]
        return built(self.items)


def check(feature: torch.Tensor) -> None:
    """That both kinds of rows do what they say, before anything is timed."""
    sglang.install(algorithm=ALGORITHM)
    items = [item(feature)]
    built(items)
    if items[0].hash != mmhash.hash_feature(feature, algorithm=ALGORITHM):
        raise SystemExit("with mmhash: the item has another hash than mmhash.hash_feature's")
    before = mmhash.info()["engines"]["sglang"]["hashes"]
    built(items)
    if mmhash.info()["engines"]["sglang"]["hashes"] != before:
        raise SystemExit("carried: the item was hashed again")
    sglang.uninstall()
    items = [item(feature)]
    built(items)
    if items[0].hash != mm_utils.hash_feature(feature):
        raise SystemExit("as released: the item has another hash than SGLang's")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=15.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    mmhash.cache_resize(0)
    logging.getLogger().addHandler(logging.NullHandler())  # a line at each install
    feature = torch.rand(SHAPE)
    check(feature)
    cases = {
        "released, unset": Case(feature, 0, carried=False),
        "released, carried": Case(feature, 0, carried=True),
        "mmhash, unset": Case(feature, 1, carried=False),
        "mmhash, unset, 2 threads": Case(feature, 2, carried=False),
        "mmhash, carried": Case(feature, 1, carried=True),
    }
    jobs = {name: interleave.Job(case.call, None, case.prepare) for name, case in cases.items()}
    jobs["reading the feature"] = interleave.Job(
        np.max, feature.numpy(), cases["mmhash, unset"].warm
    )
    rounds = interleave.measure(jobs, arguments.seconds)
    sglang.uninstall()
    document = {
        "kind": "sglang",
        "sglang": version("sglang"),
        "algorithm": ALGORITHM,
        "call": f"MultimodalInputs.{BUILDER}",
        "bytes": feature.nbytes,
        "machine": machine.describe(),
        "rows": {
            name: {"batch": each.batch, "seconds": each.seconds} for name, each in rounds.items()
        },
    }
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    for name, each in rounds.items():
        low, median, high = quartiles(each.seconds)
        print(f"{name:25} {median * 1e6:10.1f} us ({low * 1e6:.1f} to {high * 1e6:.1f})")


if __name__ == "__main__":
    main()
