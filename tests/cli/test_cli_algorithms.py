"""`mmhash hash` by other algorithms than XXH3: what lines say, and what `--check` makes of them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from command_line import Run
from safetensors.torch import save_file

import mmhash
from mmhash import algorithms

KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(KEY))
KEY_ID, OTHER_ID = algorithms.id_of_key(KEY), algorithms.id_of_key(OTHER_KEY)
ARRAY = np.arange(12.0).reshape(3, 4)
VALUES: dict[tuple[str, str], Any] = {
    ("notes.txt", ""): b"hi\n",
    ("archive.npz", "a"): ARRAY,
    ("archive.npz", "b"): ARRAY.T,
    ("model.pt", "weight"): torch.ones(3),
    ("model.pt", "epoch"): 3,
    ("model.safetensors", "bias"): torch.zeros(5),
}
#: The options, the prefix of a line, and algorithm and key.
WAYS: dict[str, tuple[list[str], str, str, bytes | None]] = {
    "xxh3": ([], "", "xxh3", None),
    "blake3": (["--algorithm", "blake3"], "mmhash-blake3:", "blake3", None),
    "sha256": (["--algorithm", "sha256"], "mmhash-sha256:", "sha256", None),
    "blake3, keyed": (
        ["--algorithm", "blake3", "--key-file", "key"],
        f"mmhash-blake3-keyed-{KEY_ID}:",
        "blake3",
        KEY,
    ),
    "sha256, keyed": (
        ["--algorithm", "sha256", "--key-file", "key"],
        f"mmhash-sha256-keyed-{KEY_ID}:",
        "sha256",
        KEY,
    ),
}
each_way = pytest.mark.parametrize("way", WAYS)
PATHS = ["notes.txt", "archive.npz", "model.pt", "model.safetensors"]


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMHASH_KEY_FILE", raising=False)
    Path("notes.txt").write_bytes(b"hi\n")
    np.savez("archive.npz", a=ARRAY, b=ARRAY.T)
    torch.save({"weight": torch.ones(3), "epoch": 3}, "model.pt")
    save_file({"bias": torch.zeros(5)}, "model.safetensors")
    for name, key in (("key", KEY), ("other-key", OTHER_KEY)):
        Path(name).write_bytes(key)
        Path(name).chmod(0o600)


def ok(cli: Run, *options: str) -> bool:
    """Whether every line of `list` is confirmed."""
    result = cli("hash", "--check", *options, "list")
    verdicts = {line.rpartition(": ")[2] for line in result.lines}
    assert (result.status, result.err) == (0, "") if verdicts == {"OK"} else result.status == 1
    return verdicts == {"OK"}


# Lines, and back.


@each_way
def test_every_value_says_what_its_identity_is_by(cli: Run, way: str) -> None:
    options, prefix, name, key = WAYS[way]
    result = cli("hash", *options, *PATHS)
    assert (result.status, result.err) == (0, "")
    found = {}
    for line in result.lines:
        identity, _, rest = line.partition("  ")
        path, member = (*rest.split("\t"), "")[:2]
        found[path, member] = identity
    assert found == {
        place: prefix + reference.identity(value, name, key).hex()
        for place, value in VALUES.items()
    }


@each_way
def test_json_says_it_too(cli: Run, way: str) -> None:
    options, _, name, key = WAYS[way]
    for line in cli("hash", "--json", *options, *PATHS).lines:
        record = json.loads(line)
        identity = reference.identity(VALUES[record["path"], record["name"]], name, key)
        assert record["algorithm"] == name
        assert record["key_id"] == (KEY_ID if key else None)
        assert record["identity"] == identity.hex()
        assert record["hash"] == int.from_bytes(identity[:8], "big")


@each_way
def test_a_line_is_verified_by_what_it_says(cli: Run, way: str) -> None:
    """Whatever the process is configured to."""
    options, _, _, key = WAYS[way]
    Path("list").write_text(cli("hash", *options, *PATHS).out)
    given = ["--key-file", "key"] if key else []
    for configured in algorithms.NAMES:
        mmhash.configure(configured, key=None if configured == "xxh3" else OTHER_KEY)
        assert ok(cli, *given)


def test_lines_of_all_kinds_in_one_list(cli: Run) -> None:
    printed = [cli("hash", *options, *PATHS).out for options, *_ in WAYS.values()]
    Path("list").write_text("".join(printed))
    result = cli("hash", "--check", "--key-file", "key", "list")
    assert result.status == 1  # since the option asks for keyed lines alone
    assert sum(line.endswith(": OK") for line in result.lines) == 2 * len(VALUES)
    Path("list").write_text("".join(reversed(printed[:3])))
    assert ok(cli)


@each_way
def test_a_tampered_file_is_found(cli: Run, way: str) -> None:
    options, _, name, key = WAYS[way]
    Path("list").write_text(cli("hash", *options, *PATHS).out)
    Path("notes.txt").write_bytes(b"ho\n")
    np.savez("archive.npz", a=ARRAY, b=ARRAY)
    given = ["--key-file", "key"] if key else []
    result = cli("hash", "--check", *given, "list")
    now = reference.identity(b"ho\n", name, key).hex(), reference.identity(ARRAY, name, key).hex()
    assert result.lines[:3] == [
        f"notes.txt: FAILED (it is {now[0]} now)",
        "archive.npz a: OK",
        f"archive.npz b: FAILED (it is {now[1]} now)",
    ]
    assert all(line.endswith(": OK") for line in result.lines[3:])
    assert (result.status, result.err) == (1, "mmhash: 2 of 6 identities could not be confirmed\n")


@each_way
def test_a_tampered_line_is_found(cli: Run, way: str) -> None:
    options, prefix, _, key = WAYS[way]
    given = ["--key-file", "key"] if key else []
    line = cli("hash", *options, "notes.txt").out
    for at in (len(prefix), len(prefix) + 31, line.index("  ") - 1):
        digit = "0" if line[at] != "0" else "1"
        Path("list").write_text(line[:at] + digit + line[at + 1 :])
        assert not ok(cli, *given)
    # The digits of one algorithm under the name of another.
    for other in ("blake3", "sha256"):
        if f"mmhash-{other}" not in prefix and prefix:
            name = "sha256" if other == "blake3" else "blake3"
            Path("list").write_text(line.replace(name, other, 1))
            assert not ok(cli, *given)


def test_a_list_from_before_is_by_xxh3(cli: Run) -> None:
    Path("list").write_text("7ca12f469aa8914a8c8329658a9b2c93  notes.txt\n")
    mmhash.configure("sha256", key=KEY)
    assert ok(cli)


# Keys.


def test_a_keyed_line_needs_its_key(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("list").write_text(cli("hash", *WAYS["sha256, keyed"][0], "notes.txt").out)
    result = cli("hash", "--check", "list")
    asked = f"notes.txt: FAILED (made with key {KEY_ID}: name its file by --key-file)"
    assert (result.status, result.lines) == (1, [asked])
    result = cli("hash", "--check", "--key-file", "other-key", "list")
    refused = f"FAILED (made with key {KEY_ID}, the key given is {OTHER_ID})"
    assert (result.status, result.lines) == (1, [f"notes.txt: {refused}"])
    monkeypatch.setenv("MMHASH_KEY_FILE", "key")
    assert ok(cli)
    assert not ok(cli, "--key-file", "other-key")


def test_a_line_by_no_key_is_refused_where_a_key_is_named(cli: Run) -> None:
    """Or whoever can write the list has its keyed lines replaced by others."""
    Path("list").write_text(cli("hash", "--algorithm", "blake3", "notes.txt").out)
    result = cli("hash", "--check", "--key-file", "key", "list")
    refused = "FAILED (made without a key, which anybody can do; expected one)"
    assert (result.status, result.lines) == (1, [f"notes.txt: {refused}"])


def test_a_line_by_another_algorithm_is_refused_where_one_is_named(cli: Run) -> None:
    Path("list").write_text(cli("hash", "notes.txt").out)
    result = cli("hash", "--check", "--algorithm", "sha256", "list")
    refused = "notes.txt: FAILED (made by xxh3, expected sha256)"
    assert (result.status, result.lines) == (1, [refused])
    assert ok(cli, "--algorithm", "xxh3")


def test_no_line_shows_a_key(cli: Run) -> None:
    for options, _, _, key in WAYS.values():
        printed = cli("hash", *options, "notes.txt").out + cli("hash", "--json", *options, "-").out
        assert key is None or key.hex()[:16] not in printed


# The environment.


def test_the_environment_is_the_default_and_no_more(process: Run, tmp_path: Path) -> None:
    variables = {"MMHASH_ALGORITHM": "sha256", "MMHASH_KEY_FILE": str(tmp_path / "key")}

    def identity(*options: str, env: dict[str, str] = variables) -> str:
        result = process("hash", *options, "notes.txt", env=env)
        assert (result.status, result.err) == (0, "")
        return result.out.partition("  ")[0]

    def expected(way: str) -> str:
        _, prefix, name, key = WAYS[way]
        return prefix + reference.identity(b"hi\n", name, key).hex()

    assert identity() == expected("sha256, keyed")
    assert identity("--algorithm", "xxh3") == expected("xxh3")
    # Who names an algorithm takes no key from the environment, and who names a key the algorithm.
    assert identity("--algorithm", "sha256") == expected("sha256")
    only = {"MMHASH_ALGORITHM": "blake3"}
    assert identity(env=only) == expected("blake3")
    assert identity("--key-file", "key", env=only) == expected("blake3, keyed")
    # Its key verifies lines by it, and restricts none.
    for way in ("xxh3", "blake3", "sha256, keyed", "blake3, keyed"):
        (tmp_path / "list").write_text(expected(way) + "  notes.txt\n")
        result = process("hash", "--check", "list", env=variables)
        assert (result.status, result.out) == (0, "notes.txt: OK\n"), way


def test_info(cli: Run, process: Run, tmp_path: Path) -> None:
    variables = {"MMHASH_ALGORITHM": "blake3", "MMHASH_KEY_FILE": str(tmp_path / "key")}
    facts = dict(line.split(maxsplit=1) for line in process("info", env=variables).lines[:5])
    assert facts["algorithm"] == "blake3"
    assert facts["key_id"] == KEY_ID
    assert facts["algorithm_source"] == "MMHASH_ALGORITHM"
    document = json.loads(cli("info", "--json").out)
    assert (document["algorithm"], document["key_id"]) == ("xxh3", None)


# Wrong usage: one line, and status 2.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--key-file", "key"], "--key-file: expected --algorithm blake3 or sha256 with it"),
        (["--algorithm", "xxh3", "--key-file", "key"], "--key-file: expected --algorithm blake3"),
        (["--check", "--algorithm", "xxh3", "--key-file", "key"], "expected lines by blake3 or"),
        (["--algorithm", "blake3", "--key-file", "no\n"], r"no\\n: No such file or directory"),
        (["--algorithm", "blake3", "--key-file", "."], "expected a regular file|Is a directory"),
        (["--algorithm", "sha256", "--key-file", "short"], "exactly 32 bytes, found 2; make one"),
        (["--algorithm", "sha256", "--key-file", "open"], "that others cannot read, found mode"),
        (["--check", "--key-file", "short"], "exactly 32 bytes, found 2"),
    ],
)
def test_keys_that_cannot_be_used(cli: Run, options: list[str], message: str) -> None:
    Path("short").write_bytes(b"ab")
    Path("short").chmod(0o600)
    Path("open").write_bytes(KEY)
    Path("open").chmod(0o644)
    result = cli("hash", *options, "notes.txt")
    assert (result.status, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("mmhash: --key-file: ")
    assert re.search(message, line)


def test_an_algorithm_that_is_none(cli: Run) -> None:
    result = cli("hash", "--algorithm", "md5", "notes.txt")
    assert (result.status, result.out) == (2, "")
    assert "--algorithm: invalid choice: 'md5'" in result.err


def test_without_the_package(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    by_blake3 = cli("hash", "--algorithm", "blake3", "notes.txt").out
    Path("list").write_text(by_blake3 + cli("hash", "archive.npz").out)
    monkeypatch.setitem(sys.modules, "blake3", None)
    algorithms._open.cache_clear()
    result = cli("hash", "--algorithm", "blake3", "notes.txt")
    assert (result.status, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith("mmhash: algorithm 'blake3' needs the package blake3, which cannot be")
    assert line.endswith(": pip install blake3")
    checked = cli("hash", "--check", "list")
    assert checked.lines[0].startswith("notes.txt: FAILED (algorithm 'blake3' needs the package")
    assert checked.lines[1:] == ["archive.npz a: OK", "archive.npz b: OK"]
    assert checked.status == 1
