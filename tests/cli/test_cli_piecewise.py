"""Large values are hashed in pieces: the same identity, progress, and Ctrl-C between two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from command_line import Run
from safetensors.torch import save_file

from mmhash import _core, algorithms
from mmhash.cli import piecewise, records
from mmhash.cli.console import Console
from mmhash.cli.entries import ReadOptions

ARRAY = np.arange(6_000, dtype=np.float64).reshape(60, 100)
IN_PIECES: dict[str, Any] = {
    "bytes": memoryview(ARRAY.tobytes()),
    "array": ARRAY,
    "complex": ARRAY.view(np.complex128),
    "tensor": torch.from_numpy(ARRAY.copy()),
    "bfloat16": torch.arange(6_000).bfloat16(),
    "parameter": torch.nn.Parameter(torch.from_numpy(ARRAY.copy())),
}
WHOLE: dict[str, Any] = {
    "small": ARRAY[0],
    "big-endian": ARRAY.astype(">f8"),
    "fortran": np.asfortranarray(ARRAY),
    "transposed": torch.from_numpy(ARRAY.copy()).T,
    "conjugated": torch.from_numpy(ARRAY.view(np.complex128).copy()).conj(),
    "number": 3,
    "text": "x" * 5_000,
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piecewise, "PIECE_BYTES", 1_000)


@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["plain", "keyed"])
@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
@pytest.mark.parametrize("values", [IN_PIECES, WHOLE], ids=["in pieces", "whole"])
def test_by_other_algorithms(values: dict[str, Any], algorithm: str, key: bytes | None) -> None:
    opened = algorithms.opened(algorithm, key)
    for name, value in values.items():
        found = piecewise.identity(value, lambda _: None, opened)
        assert found == reference.identity(value, algorithm, key), name


@pytest.mark.parametrize("name", IN_PIECES)
def test_in_pieces(name: str) -> None:
    seen: list[int] = []
    value = IN_PIECES[name]
    assert piecewise.identity(value, seen.append, _core.XXH3) == reference.identity(value)
    assert seen == list(range(0, value.nbytes, 1_000))


@pytest.mark.parametrize("name", WHOLE)
def test_as_a_whole(name: str) -> None:
    seen: list[int] = []
    found = piecewise.identity(WHOLE[name], seen.append, _core.XXH3)
    assert found == reference.identity(WHOLE[name])
    assert seen == []


def test_a_dtype_without_identity_is_refused_in_the_words_of_identity() -> None:
    nameless = torch.zeros(5_000, dtype=torch.uint8).view(torch.bits8)
    with pytest.raises(TypeError, match="no identity for value"):
        piecewise.identity(nameless, lambda _: None, _core.XXH3)


def test_an_interrupt_between_two_pieces_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(ARRAY.tobytes())

    def interrupt(hashed: int) -> None:
        if hashed >= 3_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(records.hash_file(str(path), ReadOptions(), _core.XXH3, interrupt))
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(path) not in maps.read_text(), "the file is still mapped"


def test_progress_goes_from_0_to_the_size_of_the_file(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    advance = Console.advance

    def observed(console: Console, hashed: int) -> None:
        advance(console, hashed)
        seen.append(console._done)

    monkeypatch.setattr(Console, "advance", observed)
    (tmp_path / "plain").write_bytes(ARRAY.tobytes())
    save_file({"a": torch.ones(900), "b": torch.ones(900)}, tmp_path / "a.safetensors")
    assert cli("hash", tmp_path / "plain", tmp_path / "a.safetensors").status == 0
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert set(range(0, 48_000, 1_000)) < set(seen)
    assert seen[-1] == 48_000 + 2 * 3_600
