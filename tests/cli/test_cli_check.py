"""`mmhash hash --check`, and the line format that it reads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from command_line import Run
from hypothesis import given
from hypothesis import strategies as st

from mmhash.cli.checksum_lines import Expected, Maker, escape, format_record, parse_line, unescape
from mmhash.cli.records import Record

IDENTITY = "00112233445566778899aabbccddeeff"
LONG = IDENTITY * 2
KEY_ID = "0123456789abcdef"
#: By what an identity can be, and how it stands in a line.
SPELLED = {
    Maker("xxh3", None): IDENTITY,
    Maker("blake3", None): f"mmhash-blake3:{LONG}",
    Maker("blake3", KEY_ID): f"mmhash-blake3-keyed-{KEY_ID}:{LONG}",
    Maker("sha256", None): f"mmhash-sha256:{LONG}",
    Maker("sha256", KEY_ID): f"mmhash-sha256-keyed-{KEY_ID}:{LONG}",
}

# Any text that a path or a name can be: lone surrogates too, as paths that are not UTF-8 have them.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=()), min_size=1)


@given(texts)
def test_escaping_is_reversible_and_printable(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in escaped)
    escaped.encode()  # no surrogate is left


@given(texts, texts | st.just(""), st.booleans(), st.sampled_from([*SPELLED.items()]))
def test_a_line_is_read_back(
    path: str, name: str, tensor: bool, spelled: tuple[Maker, str]
) -> None:
    maker, identity = spelled
    digits = identity.rpartition(":")[2]
    record = Record(
        path=path,
        name=name if tensor else "",
        kind="tensor" if tensor else "bytes",
        dtype="float32" if tensor else None,
        shape=(2, 3) if tensor else None,
        nbytes=24,
        maker=maker,
        identity=bytes.fromhex(digits),
    )
    line = format_record(record)
    assert "\n" not in line
    assert line.startswith("\\") == any(escape(text) != text for text in (path, record.name))
    parsed = parse_line(line)
    assert parsed == Expected(path, record.name, maker, digits)
    assert line.removeprefix("\\").partition("  ")[0] == identity


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", r"expected 32 hex digits, .*two spaces and a path, got ''"),
        ("0" * 31 + "  a", r"expected 32 hex digits, .*two spaces and a path, got '0+  a'"),
        ("0" * 32 + " a", r"expected 32 hex digits, .*two spaces and a path"),
        ("0" * 32 + "  ", r"expected 32 hex digits, .*two spaces and a path"),
        (LONG + "  a", "or mmhash-blake3: and 64, or mmhash-sha256: and 64, two spaces"),
        (f"mmhash-blake3:{IDENTITY}  a", "expected 32 hex digits"),
        (f"mmhash-blake3:{LONG}0  a", "expected 32 hex digits"),
        (f"mmhash-xxh3:{IDENTITY}  a", "expected 32 hex digits"),
        (f"mmhash-md5:{IDENTITY}  a", "expected 32 hex digits"),
        (f"blake3:{LONG}  a", "expected 32 hex digits"),
        (f"mmhash-sha256-keyed-:{LONG}  a", "expected 32 hex digits"),
        (f"mmhash-sha256-keyed-{KEY_ID}0:{LONG}  a", "expected 32 hex digits"),
        (f"mmhash-xxh3-keyed-{KEY_ID}:{IDENTITY}  a", "expected 32 hex digits"),
        ("0" * 1000, r"got '0{60}\.\.\.'"),
        ("\\" + "0" * 32 + r"  a\q", r"expected one of \\\\ .* got '\\\\q'"),
        ("\\" + "0" * 32 + "  a\\", r"expected one of \\\\ .* got '\\\\'"),
    ],
)
def test_lines_that_are_none(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_line(line)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    monkeypatch.chdir(tmp_path)
    Path("plain").write_bytes(b"1")
    Path("new\nline").write_bytes(b"2")
    Path(os.fsdecode(b"not utf-8 \xff")).write_bytes(b"3")
    np.savez("arrays.npz", **{"a": np.ones(2), "tab\there": np.zeros(3)})
    return ["plain", "new\nline", b"not utf-8 \xff", "arrays.npz"]


def test_what_was_printed_is_confirmed(cli: Run, files: list[object]) -> None:
    Path("list").write_text(cli("hash", *files).out)
    result = cli("hash", "--check", "list")
    assert result.lines == [
        "plain: OK",
        r"new\nline: OK",
        r"not utf-8 \xff: OK",
        "arrays.npz a: OK",
        r"arrays.npz tab\there: OK",
    ]
    assert (result.status, result.err) == (0, "")


def test_every_change_is_found(cli: Run, files: list[object]) -> None:
    Path("list").write_text(cli("hash", *files).out)
    changed = {"a": np.ones(2, dtype=np.float32)}
    np.savez("arrays.npz", **changed)
    Path("plain").unlink()
    Path("new\nline").write_bytes(b"3")
    result = cli("hash", "--check", "list")
    third = cli("hash", b"not utf-8 \xff").out[1:33]
    now = cli("hash", "arrays.npz").out[:32]
    assert result.lines == [
        "plain: FAILED (No such file or directory)",
        rf"new\nline: FAILED (it is {third} now)",
        r"not utf-8 \xff: OK",
        f"arrays.npz a: FAILED (it is {now} now)",
        r"arrays.npz tab\there: FAILED (the file holds no value of this name)",
    ]
    assert result.err == "mmhash: 4 of 5 identities could not be confirmed\n"
    assert result.status == 1


def test_a_broken_member_fails_alone(cli: Run, files: list[object]) -> None:
    Path("list").write_text(cli("hash", *files).out)
    archive = Path("arrays.npz")
    content = bytearray(archive.read_bytes())
    content[content.index(np.ones(2).tobytes())] ^= 1
    archive.write_bytes(content)
    result = cli("hash", "--check", "list")
    assert result.lines[3].startswith("arrays.npz a: FAILED (expected an array in the .npy format")
    assert "Bad CRC-32" in result.lines[3]
    assert result.lines[4] == r"arrays.npz tab\there: OK"
    assert result.status == 1


def test_lines_that_cannot_be_used(cli: Run, files: list[object]) -> None:
    good = cli("hash", "plain").out
    Path("list").write_bytes(good.upper().replace("PLAIN", "plain").encode() + b"zzz\n\n\xff\r\n")
    Path("dos").write_bytes(good.replace("\n", "\r\n").encode() + f"{IDENTITY}  -\n".encode())
    result = cli("hash", "--check", "list", "missing", "dos")
    assert result.lines == [
        "plain: OK",
        "plain: OK",
        "-: FAILED (the standard input cannot be read once more)",
    ]
    messages = result.err.splitlines()
    assert messages[0].startswith("mmhash: list:2: expected 32 hex digits, or mmhash-blake3: ")
    assert messages[1].startswith("mmhash: list:4: 'utf-8' codec can't decode byte 0xff")
    assert messages[2] == "mmhash: missing: No such file or directory"
    assert messages[3] == "mmhash: 1 of 3 identities could not be confirmed"
    assert result.status == 1


def test_a_malformed_line_alone_fails(cli: Run, files: list[object]) -> None:
    Path("list").write_text(cli("hash", "plain").out + "zzz\n")
    result = cli("hash", "--check", "list")
    assert result.lines == ["plain: OK"]
    assert result.status == 1


def test_an_empty_list_confirms_nothing(cli: Run, files: list[object]) -> None:
    Path("list").touch()
    result = cli("hash", "--check", "list")
    assert (result.status, result.out) == (1, "")
    assert result.err == "mmhash: nothing was checked: no line held an identity and a path\n"


def test_the_list_from_the_standard_input(process: Run, cli: Run, files: list[object]) -> None:
    result = process("hash", "--check", "-", input=cli("hash", "plain").out.encode())
    assert (result.status, result.out, result.err) == (0, "plain: OK\n", "")
