"""Real ranks: they all get the hash of the very features, by every way."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_strategies import Disagreeing

import mmhash
from mmhash.demos.baselines import sglang_0_5_23
from mmhash.demos.ranks import run, schedule, summary
from mmhash.demos.ranks.features import Features
from mmhash.demos.ranks.settings import Settings
from mmhash.demos.ranks.strategies import STRATEGIES

SHAPE = (16, 1176)
SMALL = Settings(
    strategies=tuple(STRATEGIES.values()),
    shape=SHAPE,
    ranks=2,
    images=2,
    requests=6,
    rounds=2,
    warm_up=1,
    in_flight=3,
)


def by(algorithm: str) -> Callable[[Any], int]:
    return functools.partial(mmhash.hash_feature, algorithm=algorithm)


HASHES = {
    "eager": sglang_0_5_23,
    "broadcast": sglang_0_5_23,
    "async": by("xxh3"),
    "lazy": by("xxh3"),
}


@pytest.mark.parametrize(
    "changes",
    [{}, {"copy": "write", "clone": True, "rate": 200.0}, {"transport": "pickle", "in_flight": 1}],
    ids=["shm", "shm, written, cloned", "pickle"],
)
def test_all_ranks_have_the_hashes_of_the_features(changes: dict[str, object]) -> None:
    settings = dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]
    reports = run.gather(settings)
    features = Features(SHAPE, (settings.requests + settings.warm_up) * settings.images)
    blocks = schedule.blocks(settings)
    assert set(reports) == {"sender", "rank 0", "rank 1"}
    for block in blocks:
        for number in range(block.first, block.first + block.count):
            indices = [number * settings.images + i for i in range(settings.images)]
            hash_ = HASHES.get(block.strategy)
            expected = tuple(hash_(features[i]) if hash_ else i for i in indices)
            for rank in ("rank 0", "rank 1"):
                assert reports[rank][block.index].hashes[number] == expected
    _times_are_in_order(blocks, reports)
    images = len(blocks) // 3 * (settings.requests + settings.warm_up) * settings.images
    assert summary.check_agreement(blocks, reports) == images * settings.ranks


def _times_are_in_order(blocks: list[schedule.Block], reports: summary.Reports) -> None:
    """One clock for all: features there, message there, readable."""
    for block in blocks:
        for number in range(block.first, block.first + block.count):
            sent = reports["sender"][block.index].started[number]
            received = reports["rank 0"][block.index].started[number]
            assert sent < received
            for rank in ("rank 0", "rank 1"):
                assert received < reports[rank][block.index].readable[number]
                assert reports[rank][block.index].cpu_s > 0


@pytest.mark.parametrize("algorithm", ["xxh3", "blake3", "sha256"])
def test_the_algorithm_is_the_one_that_is_asked_for(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the environment of the processes says."""
    monkeypatch.setenv("MMHASH_ALGORITHM", "sha256" if algorithm != "sha256" else "blake3")
    strategies = (STRATEGIES["async"], STRATEGIES["lazy"])
    settings = dataclasses.replace(SMALL, strategies=strategies, images=1, algorithm=algorithm)
    reports = run.gather(settings)
    features = Features(SHAPE, settings.requests + settings.warm_up)
    for block in schedule.blocks(settings):
        for number in range(block.first, block.first + block.count):
            expected = (by(algorithm)(features[number]),)
            for rank in ("rank 0", "rank 1"):
                assert reports[rank][block.index].hashes[number] == expected


def test_a_disagreement_is_found(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        SMALL, strategies=(Disagreeing(tmp_path / "moment"),), warm_up=0, images=1
    )
    with pytest.raises(summary.DisagreementError) as caught:
        run.measure(settings)
    message = str(caught.value)
    assert message.startswith("strategy disagreeing, request 3: rank 0 has the hashes ")
    assert ", rank 1 has " in message
