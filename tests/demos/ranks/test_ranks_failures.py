"""A process that ends early ends the run, soon, with its traceback, and nothing is left."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from faulty_strategies import Exiting, Faulty, Killed, Raising, RaisingSender

from mmhash.demos.ranks import run
from mmhash.demos.ranks.processes import ProcessDiedError
from mmhash.demos.ranks.settings import Settings

WITHIN_S = 10.0


@pytest.mark.parametrize(
    ("kind", "transport", "message"),
    [
        (Raising, "shm", r"rank 1 failed:\nTraceback .*\nLookupError: the feature has no price"),
        (Killed, "shm", "rank 1 was killed by SIGKILL"),
        (Exiting, "pickle", "rank 1 ended early with exit status 0, without a traceback"),
        (
            RaisingSender,
            "pickle",
            r"sender failed:\nTraceback .*\nLookupError: the feature has no sender",
        ),
    ],
    ids=["raises", "killed", "exits", "sender raises"],
)
def test_a_process_that_ends_early(
    kind: type[Faulty], transport: str, message: str, tmp_path: Path
) -> None:
    moment = tmp_path / "moment"
    settings = Settings(
        (kind(moment),), (16, 1176), ranks=2, transport=transport, requests=50, rounds=1, warm_up=0
    )
    with pytest.raises(ProcessDiedError) as caught:
        run.gather(settings)
    assert time.monotonic() - float(moment.read_text()) < WITHIN_S
    assert re.fullmatch(message, str(caught.value), re.DOTALL)
