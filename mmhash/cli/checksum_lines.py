r"""The text form of an identity: one line a value, which `--check` reads back.

    IDENTITY  PATH                        a file that is hashed as bytes, as b3sum writes it
    IDENTITY  PATH \t NAME \t DTYPE \t SHAPE    a tensor; the name is empty where a file holds one

(without the blanks around the tabs). An identity is by XXH3 if it is 32 digits and no more. Any
other says what it is by, as digests of container images do, and in a name of ours, so that neither
people nor b3sum or sha256sum take it for the hash of a file's bytes:

    mmhash-blake3:DIGITS                          64 digits; or mmhash-sha256
    mmhash-blake3-keyed-0123456789abcdef:DIGITS   by a key, of which that is the id

A path or name may hold any character, a newline or a tab too.
As in b3sum, a line in which something is escaped starts with a backslash. Escaped are the
backslash, every control character (a name out of a downloaded file must not steer the terminal)
and, in a path, bytes that are not UTF-8: so all output is UTF-8, and every path can be read back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mmhash import algorithms

if TYPE_CHECKING:
    from mmhash.cli.records import Record

SHORT = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
LONG = {escaped: char for char, escaped in SHORT.items()}
TO_ESCAPE = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff]")
ESCAPED = re.compile(
    r"\\(?:(?P<short>[\\nrt])|x(?P<byte>[0-9a-f]{2})|u(?P<code>[0-9a-f]{4})|.?)", re.DOTALL
)
NAMED = tuple(name for name in algorithms.NAMES if name != "xxh3")
LINE = re.compile(
    r"(?P<mark>\\?)"
    rf"(mmhash-(?P<algorithm>{'|'.join(NAMED)})(-keyed-(?P<key_id>[0-9a-f]{{16}}))?:)?"
    r"(?P<identity>(?(algorithm)[0-9a-fA-F]{64}|[0-9a-fA-F]{32}))"
    r"  (?P<path>[^\t]+)(\t(?P<rest>.*))?"
)


class Maker(NamedTuple):
    """By what an identity is: the algorithm's name, and the key's id or None."""

    algorithm: str
    key_id: str | None

    @property
    def prefix(self) -> str:
        """What stands before the digits."""
        if self.algorithm == "xxh3":
            return ""
        keyed = "" if self.key_id is None else f"-keyed-{self.key_id}"
        return f"mmhash-{self.algorithm}{keyed}:"


def escape(text: str) -> str:
    r"""Make text of printable characters only.

    >>> escape("a\nb"), escape("caf\xe9"), escape("caf\udce9")  # the last: a byte that is no UTF-8
    ('a\\nb', 'café', 'caf\\xe9')
    """
    return TO_ESCAPE.sub(_escape_one, text)


def _escape_one(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if char in SHORT:
        return SHORT[char]
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # how Python spells a byte of a path that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"


def printable(text: str) -> str:
    """Escape control characters only: for messages, which nothing reads back."""
    return "\\".join(map(escape, text.split("\\")))


def unescape(text: str) -> str:
    r"""Undo `escape`. ValueError: an escape that it never writes.

    >>> unescape("a\\nb")
    'a\nb'
    >>> unescape("a\\qb")
    Traceback (most recent call last):
        ...
    ValueError: expected one of \\ \n \r \t \xNN \uNNNN, got '\\q'
    """
    return ESCAPED.sub(_unescape_one, text)


def _unescape_one(match: re.Match[str]) -> str:
    if match["short"]:
        return LONG[match.group()]
    if match["byte"]:
        byte = int(match["byte"], 16)
        return chr(byte if byte < 0x80 else 0xDC00 + byte)
    if match["code"]:
        return chr(int(match["code"], 16))
    raise ValueError(rf"expected one of \\ \n \r \t \xNN \uNNNN, got {match.group()!r}")


def format_record(record: Record) -> str:
    """The line of one identity, without its newline."""
    fields = [record.path]
    if record.kind != "bytes" or record.name:
        fields += [record.name, record.dtype or record.kind, _shape(record)]
    while not fields[-1]:
        fields.pop()
    plain = "\t".join(fields)
    escaped = "\t".join(map(escape, fields))
    mark = "" if escaped == plain else "\\"
    return f"{mark}{record.maker.prefix}{record.identity.hex()}  {escaped}"


def _shape(record: Record) -> str:
    if record.shape is None:
        return ""
    if record.kind == "image":
        return "x".join(map(str, record.shape))
    return "[" + ",".join(map(str, record.shape)) + "]"


@dataclass(frozen=True)
class Expected:
    """What a line says: this value of this file has this identity, by this maker."""

    path: str
    name: str
    maker: Maker
    identity: str


def parse_line(line: str) -> Expected:
    """Read a line that `format_record` wrote. ValueError: it is none, and why."""
    match = LINE.fullmatch(line)
    if match is None:
        shown = line if len(line) <= 60 else line[:60] + "..."
        forms = "".join(f", or mmhash-{name}: and 64" for name in NAMED)
        raise ValueError(f"expected 32 hex digits{forms}, two spaces and a path, got {shown!r}")
    path, name = match["path"], (match["rest"] or "").partition("\t")[0]
    if match["mark"]:
        path, name = unescape(path), unescape(name)
    maker = Maker(match["algorithm"] or "xxh3", match["key_id"])
    return Expected(path, name, maker, match["identity"].lower())
