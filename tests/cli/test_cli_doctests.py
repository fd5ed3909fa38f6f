"""The examples in the docstrings of the command's modules."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["errors", "lines", "nested", "qwen_features", "table"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"mmhash.cli.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
