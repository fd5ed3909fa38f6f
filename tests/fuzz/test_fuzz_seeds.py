"""The committed seeds are what their script makes; those of Python values pass without a fuzzer."""

from __future__ import annotations

from pathlib import Path

import pytest
import seeds
import values

VALUES = sorted((seeds.SEEDS / "values").iterdir())


def test_the_script_makes_the_committed_seeds() -> None:
    committed = {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in seeds.SEEDS.glob("*/*")
        if not path.name.startswith("found-")
    }
    assert committed == seeds.made()


@pytest.mark.parametrize("seed", VALUES, ids=lambda path: path.name)
@pytest.mark.filterwarnings("ignore")
def test_value(seed: Path) -> None:
    values.check(seed.read_bytes())
