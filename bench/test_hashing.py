"""A contiguous float32 tensor of each size, hashed by every peer."""

from __future__ import annotations

import pytest
from cases import SIZES
from measured import Record
from peers import PEERS


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("size", SIZES)
def test_size(size: str, peer: str, record: Record) -> None:
    record(SIZES[size], peer)
