"""Plain-text tables: the first column aligned left, the others right."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10


def render(header: Sequence[str], rows: Sequence[Sequence[str]], gap: int = 3) -> str:
    """Align the cells of a table in columns, `gap` blanks apart. Rows are as long as the header.

    >>> print(render(["", "ms"], [["SHA-256", "9.02"], ["XXH3", "0.53"]]))
                ms
    SHA-256   9.02
    XXH3      0.53
    """
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append((" " * gap).join(cells).rstrip())
    return "\n".join(lines)


def significant(value: float, digits: int = 3) -> str:
    """Format a positive number with this many significant digits, and no exponent.

    >>> significant(13.0412), significant(0.5291), significant(4219.8)
    ('13.0', '0.529', '4220')
    """
    if value == 0:
        return "0"
    return f"{value:.{max(0, digits - 1 - floor(log10(abs(value))))}f}"
