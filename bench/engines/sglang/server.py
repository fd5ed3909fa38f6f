"""A real SGLang server on the CPU, with each way to hash in turns.

    bench/engines/sglang/setup.sh VERSION VENV WHEEL
    VENV/bin/python bench/engines/sglang/server.py --out bench/results/server-sglang-VERSION.json

The server, its processes and its transports are SGLang's own; the model is tiny (model.py) and what
needs a GPU is stood in for (cpu_only.py). The ways to hash take turns within the running server
(switch.py): requests of one image each, never sent before, one at a time and many at once. Another
server is started with mmhash as its users do.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import machine
from engines import client, model, switch
from engines.running import lines_with, server
from engines.sglang.modes import MMHASH, MODES
from engines.turns import Turns, hashes

import mmhash

PORT = 8523
# As in any server, and in those that are measured here.
ALGORITHM = os.environ.get("MMHASH_SGLANG_ALGORITHM") or "blake3"
# What a process says that has mmhash.
LINE = f"mmhash {mmhash.__version__} ({ALGORITHM}) in SGLang "
SIZE = (1120, 700)
HERE = Path(__file__).resolve().parent
ORDER = [switch.RELEASED, *MODES]
ENVIRONMENT = {
    "MMHASH_SGLANG_ALGORITHM": ALGORITHM,
    "SGLANG_USE_CPU_ENGINE": "1",
    "PYTHONPATH": str(HERE / "site"),
}
ARGUMENTS = [
    *("--host", "127.0.0.1"),
    *("--device", "cpu"),
    *("--load-format", "dummy"),
    *("--dtype", "float32"),
    "--skip-server-warmup",
    *("--attention-backend", "torch_native"),
    *("--sampling-backend", "pytorch"),
    *("--grammar-backend", "none"),
    "--disable-overlap-schedule",
    "--disable-cuda-graph",
    "--enable-cache-report",
    *("--mem-fraction-static", "0.5"),
    *("--max-total-tokens", "65536"),
    *("--context-length", "16384"),
    *("--max-running-requests", "16"),
    *("--chunked-prefill-size", "16384"),
    *("--max-prefill-tokens", "16384"),
]


def command(folder: Path, ranks: int, module: str = "sglang.launch_server") -> list[str]:
    named = ["--model-path", str(folder), "--served-model-name", model.NAME, "--port", str(PORT)]
    return [
        *(sys.executable, "-m", module, *named, *ARGUMENTS),
        *("--tp", str(ranks)),
    ]


def cores(ranks: int) -> dict[str, str]:
    """One for each rank, if there is more than one."""
    each = "|".join(map(str, range(ranks)))
    return {"SGLANG_CPU_OMP_THREADS_BIND": each} if ranks > 1 else {}


def new_images(seed: int) -> Callable[[], bytes]:
    """Requests of one image that was never sent before."""
    pictures = client.Photographs(*SIZE, seed=seed)
    return lambda: client.body([client.image(pictures.file("JPEG"), "JPEG")])


def measured(ranks: int, rounds: int, blocks: int, requests: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.write(folder / "model")
        switch.choose(folder, switch.RELEASED)
        environment = {**ENVIRONMENT, **cores(ranks), **switch.environment(folder)}
        request = new_images(ranks)
        turns = Turns(folder, PORT, ranks)
        with server(command(folder / "model", ranks), environment, PORT, folder / "log"):
            first = turns.one_at_a_time(ORDER, rounds, request)
            events = switch.events(folder)
            together = turns.many_at_once(ORDER, blocks, requests, request)
            turns.enter(MMHASH)
            cached = cached_tokens(request)
    return {
        "ranks": ranks,
        "first_s": {mode: [each.first_s for each in answers] for mode, answers in first.items()},
        "requests": requests,
        "together_s": together,
        "hashes": {mode: hashes(events, mode, rounds + 1) for mode in ORDER},
        "cached_tokens": cached,
    }


def as_installed(ranks: int) -> dict[str, Any]:
    """By the plugin, or by mmhash's module where there are none: in how many processes it is."""
    has_plugins = importlib.util.find_spec("sglang.srt.plugins") is not None
    module = "sglang.launch_server" if has_plugins else "mmhash.engines.sglang"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.write(folder / "model")
        environment = {**ENVIRONMENT, **cores(ranks)}
        log = folder / "log"
        with server(command(folder / "model", ranks, module), environment, PORT, log):
            cached = cached_tokens(new_images(ranks))
        lines = lines_with(LINE, log)
    return {
        "ranks": ranks,
        "command": f"python -m {module}",
        "line": lines[0][lines[0].index("mmhash ") :],
        "processes": len(lines),
        "cached_tokens": cached,
    }


def cached_tokens(request: Callable[[], bytes]) -> dict[str, list[int]]:
    """Tokens that the prefix cache had of one image sent again, and of others."""
    same = request()
    return {
        "all": [client.send(PORT, same).prompt_tokens],
        "repeated": [client.send(PORT, same).cached_tokens for _ in range(3)],
        "different": [client.send(PORT, request()).cached_tokens for _ in range(3)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30, help="of each way, one at a time")
    parser.add_argument("--blocks", type=int, default=20, help="of each way, many at once")
    parser.add_argument("--requests", type=int, default=16, help="in a block")
    given = parser.parse_args()
    document = {
        "sglang": version("sglang"),
        "algorithm": ALGORITHM,
        "image": SIZE,
        "feature_bytes": model.feature_bytes(*SIZE),
        "machine": machine.describe(),
        "as_installed": as_installed(ranks=2),
        "servers": [
            measured(ranks, given.rounds, given.blocks, given.requests) for ranks in given.ranks
        ],
    }
    given.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
