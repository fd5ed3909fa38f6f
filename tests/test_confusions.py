"""Known confusions, under every algorithm: each pair is told apart, or is one, or is refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest
from confusions import DISTINCT, REFUSED, Confusion
from confusions.careless import WAYS
from confusions.table import ROWS
from hashings import Hashing, each_hashing


def of_verdict(matches: Callable[[str], bool]) -> pytest.MarkDecorator:
    rows = [row for row in ROWS if matches(row.verdict)]
    return pytest.mark.parametrize("row", rows, ids=[row.what for row in rows])


@each_hashing
@of_verdict(lambda verdict: verdict != REFUSED)
def test_pair(hashing: Hashing, row: Confusion) -> None:
    """And what engines key with, the first 64 bits, tells them apart alike."""
    values = row.one(), row.other()
    identities = [hashing.identity(value) for value in values]
    assert identities == [hashing.reference(value) for value in values]
    hashes = [hashing.hash_feature(value) for value in values]
    assert len({*identities}) == len({*hashes}) == (2 if row.verdict == DISTINCT else 1)


@each_hashing
@of_verdict(lambda verdict: verdict == REFUSED)
def test_what_has_no_identity(hashing: Hashing, row: Confusion) -> None:
    for value in (row.one(), row.other()):
        for hashed in (hashing.identity, hashing.hash_feature):
            with pytest.raises(TypeError, match=r"no identity for value\[0\]: a"):
                hashed([value])


@of_verdict(lambda verdict: verdict != REFUSED)
def test_the_careless_way_confuses_the_pair(row: Confusion) -> None:
    """A pair that nobody could take for one, or for two, would show nothing above."""
    one, other = row.one(), row.other()
    in_its_eyes = WAYS[row.careless](one), WAYS[row.careless](other)
    assert bool(in_its_eyes[0] == in_its_eyes[1]) == (row.verdict == DISTINCT)


def test_rows_are_written_alike() -> None:
    named = Counter(row.what for row in ROWS)
    assert [what for what, count in named.items() if count > 1] == []
    assert {row.careless for row in ROWS} == {*WAYS}
    reports = [report for row in ROWS for report in row.reports]
    assert [report for report in reports if not re.fullmatch(r"[\w.-]+ \d+", report)] == []
