"""A result as Markdown tables. Medians; times also with their quartiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import environment
from cases import OTHER_INPUTS, SIZES
from peers import ANY_VALUE, FLOOR, IDENTITY, PEERS, READ_LIMIT
from results import Result, Row

MEANT_AS_LIMIT = 100_000  # bytes
UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def hashing(result: Result) -> str:
    """How many times as long as mmhash every peer takes, over the sizes."""
    return "\n\n".join([ratios(result, SIZES, PEERS), caption(result)])


def kinds(result: Result) -> str:
    """The same for what is no contiguous float32 tensor."""
    return "\n\n".join([ratios(result, OTHER_INPUTS, ANY_VALUE), caption(result)])


def times(result: Result) -> str:
    """The time of a call, with quartiles, and the speed it amounts to."""
    parts = []
    for group, peers in ((SIZES, PEERS), (OTHER_INPUTS, ANY_VALUE)):
        for case in group:
            rows = result.rows[case]
            lines = [[f"**{case}**", "time of a call", "quartiles", "GB/s"]]
            lines += [[peer, *time_and_speed(peer, rows[peer])] for peer in peers]
            parts.append(markdown(lines))
    return "\n\n".join([*parts, caption(result)])


def goals(result: Result) -> str:
    """What was promised and what was found."""
    lines = [["goal", "at least", "found", "quartiles", ""]]
    for goal in result.goals:
        found, unit = goal["found"], goal["unit"]
        sign = "at most " if goal["at_most"] else ""
        lines.append(
            [
                goal["claim"],
                f"{sign}{goal['limit']} {unit}",
                f"{significant(found['median'])} {unit}",
                f"{significant(found['q1'])} to {significant(found['q3'])}",
                "met" if goal["met"] else "**missed**",
            ]
        )
    return "\n\n".join([markdown(lines), caption(result)])


#: What a marker `<!-- table:NAME RESULT -->` can ask for.
TABLES: dict[str, Callable[[Result], str]] = {
    "goals": goals,
    "hashing": hashing,
    "kinds": kinds,
    "times": times,
}


def ratios(result: Result, cases: Iterable[str], peers: Iterable[str]) -> str:
    cases = list(cases)
    lines = [["time, as a multiple of mmhash's", *cases]]
    for peer in peers:
        cells = [ratio_cell(peer, result.rows[case][peer]) for case in cases]
        lines.append([bold(peer) if peer == IDENTITY else peer, *cells])
    return markdown(lines)


def ratio_cell(peer: str, row: Row) -> str:
    if peer == IDENTITY:
        return bold(f"1 = {duration(row.median)}")
    ratio = f"{significant(row.ratio)}x" if row.ratio >= 0.005 else "<0.01x"
    # For so little, NumPy's call takes longer than the reading that it stands for.
    return f"({ratio})" if peer == READ_LIMIT and row.nbytes < MEANT_AS_LIMIT else ratio


def time_and_speed(peer: str, row: Row) -> list[str]:
    speed = "" if peer == FLOOR else significant(row.nbytes / row.median / 1e9)
    return [duration(row.median), f"{duration(row.q1)} to {duration(row.q3)}", speed]


def caption(result: Result) -> str:
    fewest, most = result.rounds
    return (
        f"Medians of {fewest} to {most} rounds, all rows in turns; one thread where a row does not "
        f"say two. `{result.name}`: {environment.line(result.machine)}."
    )


def duration(seconds: float) -> str:
    for unit, size in UNITS:
        if seconds >= 0.9995 * size:
            return f"{significant(seconds / size)} {unit}"
    return f"{significant(seconds / 1e-9)} ns"


def significant(value: float) -> str:
    """Three digits, as many decimals as that leaves.

    >>> significant(0.9712), significant(26.31), significant(1402.0)
    ('0.97', '26.3', '1402')
    """
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def bold(text: str) -> str:
    return f"**{text}**"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    header, *body = lines
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *body))
