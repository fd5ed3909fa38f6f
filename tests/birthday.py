"""The numbers of docs/threat-model.md: accidents by the birthday problem, and work on purpose."""

from __future__ import annotations

import math

#: The widths that engines key with: SGLang 0.5.5's pad values, those of 0.5.23, the hash of either,
#: an identity by XXH3, one by BLAKE3 or SHA-256.
WIDTHS = (30, 62, 64, 128, 256)
ITEMS = (10**6, 10**9, 10**12)
RATES = (10**9, 10**15)

UNITS = (("years", 31_557_600.0), ("hours", 3600.0), ("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


def collision(items: int, bits: int) -> float:
    """The probability that two of so many items share a hash of so many random bits."""
    return -math.expm1(-items * (items - 1) / 2 / 2**bits)


def even_odds(bits: int) -> float:
    """How many items share one with probability 1/2: 1.18 times the root of 2**bits."""
    return math.sqrt(2 * math.log(2)) * 2 ** (bits / 2)


def number(value: float) -> str:
    """Two digits, as a power of ten where it is large or small."""
    if 0.01 <= value < 10_000:
        return f"{value:.2g}" if value < 100 else f"{value:.0f}"
    digits, exponent = f"{value:.1e}".split("e")
    power = f"10<sup>{int(exponent)}</sup>"
    return power if digits == "1.0" else f"{digits}·{power}"


def probability(value: float) -> str:
    if value > 0.999:
        return "certain"
    return f"{100 * value:.2g} %" if value > 0.001 else number(value)


def duration(seconds: float) -> str:
    for unit, length in UNITS:
        if seconds >= length:
            return f"{number(seconds / length)} {unit}"
    return "under 1 µs"


def accidents() -> str:
    lines = [
        "| bits | " + " | ".join(f"{number(n)} items" for n in ITEMS) + " | even odds at |",
        "| ---: |" + " ---: |" * (len(ITEMS) + 1),
    ]
    for bits in WIDTHS:
        cells = [probability(collision(items, bits)) for items in ITEMS]
        lines.append(f"| {bits} | {' | '.join(cells)} | {number(even_odds(bits))} items |")
    return "\n".join(lines)


def work() -> str:
    lines = [
        "| bits | hashes for any two | "
        + " | ".join(f"at {number(rate)} a second" for rate in RATES)
        + " | hashes for a given one | "
        + " | ".join(f"at {number(rate)} a second" for rate in RATES)
        + " |",
        "| ---: |" + " ---: |" * 6,
    ]
    for bits in WIDTHS:
        cells = []
        for power in (bits // 2, bits):
            cells.append(f"2<sup>{power}</sup>")
            cells += [duration(2.0**power / rate) for rate in RATES]
        lines.append(f"| {bits} | {' | '.join(cells)} |")
    return "\n".join(lines)


TABLES = {"accidents": accidents, "work": work}
