"""Choices from bytes, as a fuzzer gives them, taken one after the other from the front.

Bytes that have run out give zeros, so every input, the empty one too, is a case; and what an input
means does not depend on any package's version, as long as it stands in `seeds/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from reference import payload

T = TypeVar("T")


class Draw:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def bytes(self, n: int) -> bytes:
        taken = self.data[self.position : self.position + n]
        self.position += n
        return taken.ljust(n, b"\0")

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        size = max((n - 1).bit_length() + 7, 8) // 8
        return int.from_bytes(self.bytes(size), "little") % n

    def choice(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def one_in(self, n: int) -> bool:
        return self.below(n) == n - 1

    def content(self, n: int) -> bytes:
        """`n` bytes: a few of the input's own, the rest a pattern that never repeats."""
        own = self.bytes(min(n, self.below(24)))
        return own + payload(self.below(256), n)[len(own) :]

    def size(self) -> int:
        """A length, small as a rule, or next to one at which something changes inside."""
        if not self.one_in(6):
            return self.below(40)
        edge = self.choice((64, 128, 240, 1024, 4096, 8192, 16384, 65536, 131072, 262144))
        return edge - 2 + self.below(5)
