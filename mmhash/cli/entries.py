"""What a reader finds in a file: values to hash, what it does not read, and what is worth saying.

A reader takes a path and yields these. A value comes as a function that loads it, because one bad
member of an archive must not keep the others from being hashed. Whatever a file holds is either
yielded as a value or spoken of: nothing is passed over in silence.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from mmhash.cli.errors import UnusableFileError, reason

CLI_EXTRA = "multimodal-hash[cli]"

#: How torch begins the message of a failed assertion in C++.
TORCH_ASSERTION = re.compile(r"\[enforce fail at [^\]]*\] \. ")

#: Where Pillow refuses by default: twice its MAX_IMAGE_PIXELS, 512 MB as RGB.
MAX_IMAGE_PIXELS = 178_956_970


class Entry(NamedTuple):
    """One value of a file. The name is empty where the file holds just the one."""

    name: str
    load: Callable[[], object]

    @classmethod
    def of(cls, name: str, value: object) -> Entry:
        """An entry whose value is there already."""
        return cls(name, lambda: value)


class Unread(NamedTuple):
    """Content that has no identity here, under this name or (empty) of the file: a failure."""

    name: str
    reason: str


class Notice(NamedTuple):
    """What the identity leaves out by definition, such as the further frames: no failure."""

    text: str


@dataclass(frozen=True)
class ReadOptions:
    """What the command line says about reading. max_image_pixels: 0 for any number."""

    max_image_pixels: int = MAX_IMAGE_PIXELS


Reader = Callable[[str, ReadOptions], Iterator["Entry | Unread | Notice"]]


@contextlib.contextmanager
def parsing(path: str, what: str) -> Iterator[None]:
    """Turn any failure of a parser into one line that says what was expected.

    Any, because parsers of other people's formats fail in their own ways when a file is damaged:
    `torch.load` raises `KeyError: 101` on the text "hello".
    """
    try:
        yield
    except UnusableFileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the file could not be read at all, whatever it holds
        text = TORCH_ASSERTION.sub("", reason(error))
        first_sentence = text.partition(". ")[0].rstrip(".")
        raise UnusableFileError(
            f"expected {what}, but it does not parse ({first_sentence}); {bytes_instead(path)}"
        ) from error


def bytes_instead(path: str) -> str:
    """The remedy that every file has."""
    return f"to hash its bytes: mmhash hash - < {shlex.quote(path)}"
