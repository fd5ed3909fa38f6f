"""Inputs other than contiguous float32: strided, bfloat16, NumPy's, and lists of tensors."""

from __future__ import annotations

import pytest
from cases import OTHER_INPUTS
from measured import Record
from peers import ANY_VALUE


@pytest.mark.parametrize("peer", ANY_VALUE)
@pytest.mark.parametrize("name", OTHER_INPUTS)
def test_input(name: str, peer: str, record: Record) -> None:
    record(OTHER_INPUTS[name], peer)
