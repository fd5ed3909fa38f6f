"""`mmhash compare`: real runs, and what it says where an identity is wrong."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import Run
from PIL import Image

import mmhash
from mmhash.cli.table import render, significant
from mmhash.demos import baselines
from mmhash.demos.compare import comparison
from mmhash.demos.compare.timing import Timed, measure
from mmhash.demos.qwen_features import qwen_features

SAME = [
    "a transposed view of the same values",
    "a NumPy copy",
    "a torch tensor",
    "with one thread",
    "a second process",
]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.effect_noise((300, 200), 50).convert("RGB").save(path)
    return path


def test_the_photograph_of_the_demo(process: Run) -> None:
    """The whole of it, as a new user runs it."""
    result = process("compare", "--repeat", "3")
    assert (result.status, result.err) == (0, "")
    assert max(map(len, result.lines)) <= 80
    assert result.lines[0].startswith("image     grace_hopper.jpg, 512x")
    table = {line[:34].strip(): line[34:].split() for line in result.lines}
    assert "SGLang 0.5.5, SHA-256" in table
    assert table["SGLang 0.5.23, SHA-256"][-1] == "1.00x"
    assert float(table["mmhash, 1 thread"][-1].removesuffix("x")) > 1
    answers = {line.rsplit(maxsplit=2)[0]: line.split()[-2:] for line in result.lines if line}
    assert [answers[name][0] for name in SAME] == ["yes"] * len(SAME)
    assert answers["the same bytes as int32"] == ["yes", "NO"]


def test_json(cli: Run, photo: Path) -> None:
    result = cli("compare", photo, "--json", "--repeat", "4")
    assert (result.status, result.err) == (0, "")
    document = json.loads(result.out)
    with Image.open(photo) as image:
        features, _ = qwen_features(image)
    assert document["shape"] == list(features.shape)
    assert document["bytes"] == features.nbytes
    assert document["identity"] == mmhash.identity(features).hex()
    assert [check["name"] for check in document["checks"] if check["must_be_equal"]] == SAME
    assert all(check["mmhash"] for check in document["checks"])
    *reading, idle = document["rows"]
    for row in reading:
        assert row["repeats"] == 4
        assert row["gb_per_s"] == pytest.approx(features.nbytes / row["median_s"] / 1e9)
    assert (idle["name"], idle["gb_per_s"]) == ("a call that does nothing", None)
    assert idle["median_s"] < min(row["median_s"] for row in reading)


def test_what_is_configured_changes_no_claim(
    cli: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMHASH_ALGORITHM", "sha256")  # of the second process
    mmhash.configure("sha256")
    result = cli("compare", photo, "--json", "--repeat", "3")
    assert (result.status, result.err) == (0, "")
    document = json.loads(result.out)
    with Image.open(photo) as image:
        features, _ = qwen_features(image)
    assert document["identity"] == mmhash.identity(features, algorithm="xxh3").hex()
    names = [row["name"] for row in document["rows"]]
    assert {"mmhash, 1 thread", "mmhash by BLAKE3, 1 thread"} < {*names}


def test_a_blake3_that_disagrees_is_not_timed(
    cli: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "blake3_256", lambda feature: bytes(32))
    result = cli("compare", photo, "--repeat", "3")
    assert (result.status, result.out) == (1, "")
    assert f"mmhash: {photo}: expected the package's BLAKE3 " in result.err


def test_without_torch(cli: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    result = cli("compare", photo, "--repeat", "3")
    assert (result.status, result.err) == (0, "")
    assert "held in   a NumPy array (torch is not installed)" in result.lines
    assert "a torch tensor" not in result.out


def test_another_identity_in_the_second_process(
    cli: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "second_process", lambda path: "00" * 16)
    result = cli("compare", photo, "--repeat", "3")
    assert result.status == 1
    (line,) = (line for line in result.lines if line.startswith("a second process"))
    assert line.split()[-2:] == ["NO", "-"]


def test_the_second_process_computes(photo: Path) -> None:
    with Image.open(photo) as image:
        features, _ = qwen_features(image)
    assert comparison.second_process(str(photo)) == mmhash.identity(features).hex()
    with pytest.raises(OSError, match="second process: exit status 1, FileNotFoundError"):
        comparison.second_process(str(photo) + ".missing")


def test_the_second_process_is_of_the_same_package(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of one that lies in the current folder, as the sources do in a clone."""
    (tmp_path / "mmhash").mkdir()
    (tmp_path / "mmhash" / "__init__.py").write_text("raise ImportError('not this one')")
    monkeypatch.chdir(tmp_path)
    with Image.open(photo) as image:
        expected = mmhash.identity(qwen_features(image)[0]).hex()
    assert comparison.second_process(str(photo)) == expected


def test_hashes_that_disagree_are_not_timed(
    cli: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "sglang_0_5_5", lambda feature: 0)
    result = cli("compare", photo, "--repeat", "3")
    assert (result.status, result.out) == (1, "")
    assert (
        f"mmhash: {photo}: expected both SGLang hashes to agree, got 0000000000000000" in result.err
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing.png", "No such file or directory"), ("garbage.png", "cannot identify image file")],
)
def test_images_that_cannot_be_used(cli: Run, tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "garbage.png").write_bytes(b"hello")
    result = cli("compare", tmp_path / name)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"mmhash: {tmp_path / name}: {reason}")


def test_an_image_too_long(cli: Run, tmp_path: Path) -> None:
    Image.new("L", (3000, 10)).save(tmp_path / "strip.png")
    result = cli("compare", tmp_path / "strip.png")
    assert (result.status, result.out) == (1, "")
    assert "expected an image at most 200 times as long as wide, got 3000x10 pixels" in result.err


@pytest.mark.parametrize("module", ["numpy", "PIL.Image", "xxhash", "blake3", "matplotlib"])
def test_a_missing_package(cli: Run, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    result = cli("compare")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"mmhash: {module.partition('.')[0]} is needed ")
    assert result.err.endswith('pip install "multimodal-hash[demo]"\n')


def test_threads_are_left_as_they_were(cli: Run, photo: Path) -> None:
    before = mmhash.get_num_threads()
    mmhash.set_num_threads(3)
    try:
        for repeat in range(3, 7):  # so that not always the same row is timed last
            result = cli("compare", photo, "--repeat", repeat)
            assert mmhash.get_num_threads() == 3
            assert "mmhash, 3 threads" in result.out
    finally:
        mmhash.set_num_threads(before)


# The engines' hashes.


def first_64_bits(data: bytes) -> int:
    return int(hashlib.sha256(data).hexdigest()[:16], 16)


ARRAY = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize("engine", [baselines.sglang_0_5_5, baselines.sglang_0_5_23])
@pytest.mark.parametrize("value", [ARRAY, ARRAY.T, ARRAY.reshape(6, 4), ARRAY.view(np.int32)])
def test_engines_hash_the_elements_alone(engine: Any, value: np.ndarray[Any, Any]) -> None:
    expected = first_64_bits(value.tobytes())
    assert engine(value) == expected
    assert engine(torch.from_numpy(value)) == expected


def test_only_0_5_5_widens_bfloat16() -> None:
    tensor = torch.arange(6.0).bfloat16()
    assert baselines.sglang_0_5_5(tensor) == first_64_bits(tensor.float().numpy().tobytes())
    narrow = tensor.view(torch.int16).numpy().tobytes()
    assert baselines.sglang_0_5_23(tensor) == first_64_bits(narrow)


def test_ceiling_and_floor() -> None:
    words = np.array([[3, 1 << 24], [0xC8 << 8, 2]], dtype=np.uint32)
    assert baselines.read_limit(words) == 0xC8
    assert baselines.read_limit(torch.from_numpy(words.view(np.float32))) == 0xC8
    assert baselines.nothing(words) is None


# Timings and tables.


def test_measure_interleaves_and_prepares() -> None:
    events: list[str] = []
    timed = {
        "a": Timed(lambda: events.append("a"), lambda: events.append("before a")),
        "b": Timed(lambda: events.append("b")),
    }
    timings = measure(timed, repeat=5, budget_s=60)
    assert {name: timing.repeats for name, timing in timings.items()} == {"a": 5, "b": 5}
    assert len(events) == 3 * (5 + 1)
    for index, event in enumerate(events):
        if event == "a":
            assert events[index - 1] == "before a"
    rounds = [tuple(events[i : i + 3]) for i in range(0, len(events), 3)]
    assert all(sorted(turn) == ["a", "b", "before a"] for turn in rounds)
    assert len(set(rounds)) == 2, "the order never changes"


def test_measure_keeps_to_its_budget() -> None:
    assert measure({"a": Timed(lambda: None)}, repeat=10**9, budget_s=0)["a"].repeats == 3


def test_tables() -> None:
    assert render(["", "ms"], [["SHA-256", "9"], ["x", "10.5"]]) == (
        "            ms\nSHA-256      9\nx         10.5"
    )
    with pytest.raises(ValueError, match="zip"):
        render(["", "ms"], [["too short"]])
    shown = {
        13.0412: "13.0",
        0.52914: "0.529",
        4219.8: "4220",
        0: "0",
        1: "1.00",
        0.00012: "0.000120",
    }
    assert {value: significant(value) for value in shown} == shown
