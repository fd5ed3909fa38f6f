"""What else features come as: strided, bfloat16, NumPy's, and lists of them."""

from __future__ import annotations

import pytest
from cases import KINDS
from measured import Record
from peers import ANY_VALUE


@pytest.mark.parametrize("peer", ANY_VALUE)
@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str, peer: str, record: Record) -> None:
    record(KINDS[kind], peer)
