"""A real vLLM on the CPU, with each way to make cache keys in turns.

    bench/engines/vllm/setup.sh VENV WHEEL
    VENV/bin/python bench/engines/vllm/server.py --out bench/results/server-vllm-0.32.0.json

Three parts: a server whose ways to hash take turns (switch.py); vLLM's offline class likewise
(offline.py); and a server with two ranks that was started as a user does it, by the plugin.
The model is tiny (model.py), everything else is vLLM's own.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import machine
import torch
from engines import client, model, switch
from engines.running import environment_of, lines_with, metric, server
from engines.turns import Turns, hashes
from engines.vllm.modes import MMHASH, MODES

import mmhash

PORT = 8532
# As in any server, and in those that are measured here.
ALGORITHM = os.environ.get("MMHASH_VLLM_ALGORITHM") or "blake3"
# What a process says that has mmhash.
LINE = f"mmhash {mmhash.__version__} ({ALGORITHM}) in vLLM "
SIZE = (1120, 700)
HERE = Path(__file__).resolve().parent
ENVIRONMENT = {
    "MMHASH_VLLM_ALGORITHM": ALGORITHM,
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "PYTHONPATH": str(HERE / "site"),
}
ARGUMENTS = [
    *("--host", "127.0.0.1"),
    *("--load-format", "dummy"),
    *("--dtype", "float32"),
    "--enforce-eager",
    "--enable-mm-embeds",
    "--enable-prompt-tokens-details",
    *("--max-model-len", "16384"),
    *("--max-num-batched-tokens", "16384"),
    *("--max-num-seqs", "8"),
    *("--limit-mm-per-prompt", '{"image": 8, "video": 0}'),
]

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# What vLLM puts before a process's lines: in the API server, not until after it loads plugins.
SPEAKER = re.compile(r"\((.*?) pid=\d+\)")


def command(folder: Path, ranks: int) -> list[str]:
    return [
        *(sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", str(folder)),
        *("--served-model-name", model.NAME, "--port", str(PORT), "-tp", str(ranks)),
        *ARGUMENTS,
    ]


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**ENVIRONMENT, **more, "VLLM_CACHE_ROOT": str(folder / "cache")}


class Requests:
    """What is sent, never twice but for `the same`."""

    def __init__(self) -> None:
        self._pictures = client.Photographs(*SIZE, seed=1)
        self._same = self.file("PNG")

    def file(self, kind: str) -> bytes:
        return client.body([client.image(self._pictures.file(kind), kind)])

    def same(self) -> bytes:
        return self._same

    def embeddings(self) -> bytes:
        """Those of a picture of SIZE, as its vision tower would give them."""
        columns, rows = (length // model.PATCH for length in SIZE)
        tokens = columns * rows // model.MERGE**2
        tensors = {
            "image_embeds": torch.rand(tokens, model.HIDDEN),
            "image_grid_thw": torch.tensor([1, rows, columns]),
        }
        sent = {name: _saved(tensor) for name, tensor in tensors.items()}
        return client.body([{"type": "image_embeds", "image_embeds": sent}])


def _saved(tensor: torch.Tensor) -> str:
    file = io.BytesIO()
    torch.save(tensor, file)
    return base64.b64encode(file.getvalue()).decode()


def served(rounds: int) -> dict[str, Any]:
    """What a key and a first token take of each kind of request, in each mode."""
    requests = Requests()
    everything = [switch.RELEASED, *MODES]
    cases: dict[str, tuple[list[str], Callable[[], bytes]]] = {
        "a new PNG": (everything, lambda: requests.file("PNG")),
        "a new JPEG": (everything, lambda: requests.file("JPEG")),
        "the same PNG again": ([switch.RELEASED, MMHASH], requests.same),
        "new embeddings": (everything, requests.embeddings),
    }
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = _prepared(Path(name))
        switched = environment(folder, **switch.environment(folder))
        with server(command(folder / "model", 1), switched, PORT, folder / "log"):
            turns = Turns(folder, PORT, seed=1)
            for case, (modes, request) in cases.items():
                since = time.time()
                answers = turns.one_at_a_time(modes, rounds, request)
                events = switch.events(folder, since)
                found[case] = {
                    "first_s": {m: [each.first_s for each in answers[m]] for m in modes},
                    "cached_tokens": {m: _cached(answers[m]) for m in modes},
                    "prompt_tokens": answers[MMHASH][0].prompt_tokens,
                    "hashes": {m: hashes(events, m, rounds + 1) for m in modes},
                }
    return found


def _cached(answers: Iterable[client.Answer]) -> tuple[int, int]:
    """The fewest and the most tokens that the prefix cache had."""
    found = [answer.cached_tokens for answer in answers]
    return min(found), max(found)


def offline(rounds: int) -> dict[str, Any]:
    """The same of vLLM's offline class, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = _prepared(Path(name))
        switched = environment(folder, **switch.environment(folder))
        subprocess.run(
            [sys.executable, str(HERE / "offline.py"), str(folder), str(rounds)],
            env=environment_of(switched),
            check=True,
        )
        found: dict[str, Any] = json.loads((folder / "offline.json").read_text())
        return found


def by_plugin(ranks: int) -> dict[str, Any]:
    """Which processes say that the plugin is in them, and what the caches find with it."""
    requests = Requests()
    with tempfile.TemporaryDirectory() as name:
        folder = _prepared(Path(name))
        log = folder / "log"
        with server(command(folder / "model", ranks), environment(folder), PORT, log):
            sent = [requests.same(), *(requests.file("PNG") for _ in range(3))]
            new = [client.send(PORT, each) for each in sent]
            before = metric(PORT, "vllm:mm_cache_hits_total")
            again = [client.send(PORT, requests.same()) for _ in range(3)]
            hits = metric(PORT, "vllm:mm_cache_hits_total") - before
        said = [COLOUR.sub("", line) for line in lines_with(LINE, log)]
    return {
        "ranks": ranks,
        "processes": sorted(speaker(line) for line in said),
        "line": said[0][said[0].index(LINE) :],
        "prompt_tokens": new[0].prompt_tokens,
        "cached_tokens": {
            "new": _cached(new),
            "again": _cached(again),
        },
        "processor_cache_hits": {"again": hits, "of": len(again)},
    }


def speaker(line: str) -> str:
    """Which process has written a line of the log."""
    found = SPEAKER.match(line)
    return found[1] if found else "API server"


def _prepared(folder: Path) -> Path:
    model.write(folder / "model")
    switch.choose(folder, switch.RELEASED)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    document = {
        "vllm": version("vllm-cpu"),
        "algorithm": ALGORITHM,
        "image": SIZE,
        "machine": machine.describe(),
        "by_plugin": by_plugin(ranks=2),
        "served": served(given.rounds),
        "offline": offline(given.rounds),
    }
    given.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
