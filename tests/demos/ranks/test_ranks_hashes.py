"""Real ranks: they all get the hash of the very features, by every way."""

from __future__ import annotations

import dataclasses
from pathlib import Path

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
HASHES = {
    "eager": sglang_0_5_23,
    "broadcast": sglang_0_5_23,
    "async": mmhash.hash_feature,
    "lazy": mmhash.hash_feature,
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


def test_a_disagreement_is_found(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        SMALL, strategies=(Disagreeing(tmp_path / "moment"),), warm_up=0, images=1
    )
    with pytest.raises(summary.DisagreementError) as caught:
        run.measure(settings)
    message = str(caught.value)
    assert message.startswith("strategy disagreeing, request 3: rank 0 has the hashes ")
    assert ", rank 1 has " in message
