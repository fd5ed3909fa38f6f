"""The table of reported faults: each row leads to a test, and each of their tests has a row."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from reported_faults import FAULTS

HERE = Path(__file__).parent


@cache
def names_in(path: Path) -> frozenset[str]:
    """The names of the test functions in a file, which is not run: it may need what is not here."""
    tree = ast.parse(path.read_bytes())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.name.startswith("test_")
    )


@pytest.mark.parametrize("test", [fault.test for fault in FAULTS])
def test_the_test_exists(test: str) -> None:
    file, _, name = test.partition("::")
    path = HERE / file
    assert path.is_file(), f"{test}: expected a node id relative to tests/, found no such file"
    assert name in names_in(path), f"{test}: the file has no such test"


def test_every_test_of_a_report_is_in_the_table() -> None:
    written = {
        f"{path.name}::{name}"
        for path in HERE.glob("test_reported_*.py")
        if path != Path(__file__)
        for name in names_in(path)
    }
    assert written - {fault.test for fault in FAULTS} == set()


def test_reports_are_named_once_and_alike() -> None:
    named = Counter(report for fault in FAULTS for report in fault.reports)
    assert [report for report, count in named.items() if count > 1] == []
    bad = [report for report in named if not re.fullmatch(r"[\w.-]+(/[\w.-]+)? \d+", report)]
    assert bad == [], "expected a repository and a number, such as 'pytorch 77972'"
    assert all(fault.situation for fault in FAULTS)
