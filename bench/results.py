"""The committed results: pytest-benchmark's JSON for each machine, and that of other commands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
MAIN = "cpu-zen3"  # what a table or plot shows that names no result
MAIN_GPU = "cuda-h100"  # and one of a GPU
MAIN_RANKS = "ranks-zen3"  # and one of ranks
GOALS = "goals"  # the group of the rows that repeat another one to say whether it meets a goal


@dataclass(frozen=True)
class Row:
    """Seconds a call, and how many times as long as `mmhash.identity` takes on one thread."""

    nbytes: int
    median: float
    q1: float
    q3: float
    ratio: float


@dataclass(frozen=True)
class Result:
    """One run: its rows by case and peer, in the order in which they ran."""

    name: str
    machine: dict[str, Any]
    rows: dict[str, dict[str, Row]]
    rounds: tuple[int, int]  # the fewest and the most of any row
    goals: list[dict[str, Any]]


def load_all() -> dict[str, Result]:
    return {path.stem: load(path) for path in sorted(FOLDER.glob("cpu-*.json"))}


def load_json(kind: str) -> dict[str, dict[str, Any]]:
    """What another command wrote.

    `mmhash ranks --json` (ranks), gpu.py (cuda), or what is in engines/*/: calls.py
    (sglang, vllm) and server.py (server-sglang, server-vllm).
    """
    return {
        path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob(f"{kind}-*.json"))
    }


def load(path: Path) -> Result:
    content = json.loads(path.read_text())
    rows: dict[str, dict[str, Row]] = {}
    goals, rounds = [], set()
    for benchmark in content["benchmarks"]:
        about, stats = benchmark["extra_info"], benchmark["stats"]
        if benchmark["group"] == GOALS:
            goals.append(about["goal"])
            continue
        rounds.add(stats["rounds"])
        rows.setdefault(about["case"], {})[about["peer"]] = Row(
            about["bytes"], stats["median"], stats["q1"], stats["q3"], about["ratio"]["median"]
        )
    return Result(path.stem, content["machine_info"], rows, (min(rounds), max(rounds)), goals)
