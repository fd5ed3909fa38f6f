"""The examples in the docstrings of the command and its demonstrations."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["cli.checksum_lines", "cli.errors", "cli.key_paths", "cli.table", "demos.qwen_features"]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module = importlib.import_module(f"mmhash.{name}")
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
