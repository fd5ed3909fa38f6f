"""Whether 64-bit hashes of distinct values are spread as those of a random function are.

Each quantity is compared with bounds that a random function leaves with a probability of at most
`FALSE_ALARM / COMPARISONS`, and there are fewer than `COMPARISONS` of them: a function without
fault fails the whole check with a probability below `FALSE_ALARM`. The bounds are Chernoff's and
Hoeffding's, which hold for any number of inputs, and no approximations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

FALSE_ALARM = 1e-9
COMPARISONS = 200_000

#: The logarithm of the probability that one comparison may fail with, on either side.
LOG_ALPHA = math.log(FALSE_ALARM / COMPARISONS / 2)

#: Widths in bits, and how far the hash is shifted before it is cut: the whole hash; pad values of
#: 62 bits, as wide as SGLang 0.5.23's, and of 30, which are SGLang 0.5.5's; its first 30 bits.
CUTS = {"64 bits": (64, 0), "62 bits": (62, 0), "30 bits": (30, 0), "first 30 bits": (30, 34)}

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def repeats(hashes: Hashes) -> int:
    """How many hashes stand there once more: the number of values less that of hashes."""
    ordered = np.sort(hashes)
    return int(np.count_nonzero(ordered[1:] == ordered[:-1]))


def repeats_expected(values: int, bits: int) -> tuple[int, int]:
    """The fewest and the most repeats among so many hashes of so many bits.

    The birthday problem: the hash of the i-th value meets one of the earlier with a probability of
    at most (i-1) / 2**bits, whatever these are, so that Chernoff's bound holds for the sum; and of
    at least that less `most` / 2**bits.
    """
    mean = values * (values - 1) / 2 / 2**bits
    most = most_above(mean)
    return least_below(max(mean - values * most / 2**bits, 0.0)), most


def log_tail(found: int, mean: float) -> float:
    """Chernoff's bound for a sum of that mean to reach `found`, from either side; its logarithm."""
    if mean == 0:
        return 0.0 if found == 0 else -math.inf
    return found - mean - (found * math.log(found / mean) if found else 0.0)


def most_above(mean: float) -> int:
    step = 1 << 40
    found = math.ceil(mean)
    while step:  # by halves: the tail only falls from here on
        if log_tail(found + step, mean) > LOG_ALPHA:
            found += step
        step //= 2
    return found


def least_below(mean: float) -> int:
    step = 1 << 40
    found = math.floor(mean)
    while step:
        if found >= step and log_tail(found - step, mean) > LOG_ALPHA:
            found -= step
        step //= 2
    return found


def most_from_half(trials: int) -> float:
    """How far a number of heads may be from half of the trials, by Hoeffding's inequality."""
    return math.sqrt(trials * -LOG_ALPHA / 2)


def ones(hashes: Hashes) -> Any:
    """Of arrays of hashes, along the first axis: in how many each bit is set, the lowest first."""
    total = np.zeros((*hashes.shape[1:], 64), np.int64)
    step = max(1, (1 << 16) // max(1, hashes[0].size))
    for start in range(0, len(hashes), step):
        part = np.ascontiguousarray(hashes[start : start + step, ..., None]).astype("<u8")
        total += np.unpackbits(part.view(np.uint8), axis=-1, bitorder="little").sum(0, np.int64)
    return total


def faults(hashes: Hashes) -> list[str]:
    """What a random function would not do: too many or too few repeats, a bit that leans."""
    found = []
    for name, (bits, shift) in CUTS.items():
        count = repeats(hashes >> np.uint64(shift) & np.uint64((1 << bits) - 1))
        least, most = repeats_expected(len(hashes), bits)
        if not least <= count <= most:
            found.append(f"{name}: {count} repeats, expected {least} to {most}")
    half, away = len(hashes) / 2, most_from_half(len(hashes))
    for bit, count in enumerate(ones(hashes)):
        if abs(count - half) > away:
            found.append(f"bit {bit}: set in {count}, expected {half:.0f} +- {away:.0f}")
    return found


def avalanche_faults(hashes: Hashes) -> list[str]:
    """Bits of the hash that do not change in half of the cases when a bit of the value changes.

    `hashes`: a row for each base, of its own hash and of those with each bit flipped in turn.
    """
    changed = ones(hashes[:, 1:] ^ hashes[:, :1])
    half, away = len(hashes) / 2, most_from_half(len(hashes))
    bad = np.argwhere(abs(changed - half) > away)
    found = [
        f"input bit {i} changes bit {j} in {changed[i, j]}, expected {half:.0f} +- {away:.0f}"
        for i, j in bad[:3]
    ]
    whole, whole_away = hashes[:, 1:].size / 2, most_from_half(hashes[:, 1:].size)
    for bit, count in enumerate(changed.sum(0)):
        if abs(count - whole) > whole_away:
            found.append(f"bit {bit} changes in {count}, expected {whole:.0f} +- {whole_away:.0f}")
    return found
