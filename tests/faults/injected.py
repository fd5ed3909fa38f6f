"""In a process that preload.c is preloaded into: makes its faults happen. Imported there only."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from typing import Any

FOREVER = 2**62

_library = ctypes.CDLL(None)
_library.faults_arm.argtypes = [ctypes.c_long, ctypes.c_long]
_library.faults_disarm.restype = ctypes.c_long
_library.faults_refuse_threads.argtypes = [ctypes.c_bool]
_library.faults_refuse_threads.restype = ctypes.c_long


def with_failing(first: int, last: int, call: Callable[[], Any]) -> tuple[Any, int]:
    """What `call` returned or raised, its first-th to last-th allocation failing; their number."""
    _library.faults_arm(first, last)
    try:
        outcome = call()
    except BaseException as error:
        count = _library.faults_disarm()
        outcome = error.with_traceback(None)
    else:
        count = _library.faults_disarm()
    return outcome, count


def refuse_threads(refuse: bool) -> int:
    """Whether starting a thread fails from now on. How often one did since the last time."""
    return int(_library.faults_refuse_threads(refuse))


def plain(outcome: object) -> object:
    """For comparing: of an exception its type and message."""
    if isinstance(outcome, BaseException):
        return type(outcome).__name__, str(outcome)
    return outcome


def sweep(call: Callable[[], Any], one: bool) -> Counter[str]:
    """Lets the first allocation of `call` fail, then the second, ..., until it has no more of them.

    Only that one, or all from it on. Each time it must raise MemoryError, or do what it does
    without a fault; and so must the next call. How often which.
    """
    right, _ = with_failing(1, 0, call)
    outcomes: Counter[str] = Counter()
    first = 1
    while True:
        outcome, count = with_failing(first, first if one else FOREVER, call)
        if count < first:
            return outcomes
        where = f"allocation {first} failed{'' if one else ', and all after it'}"
        if isinstance(outcome, MemoryError):
            outcomes["MemoryError"] += 1
        else:
            assert plain(outcome) == plain(right), f"{where}: {plain(outcome)}"
            outcomes["right"] += 1
        again, _ = with_failing(1, 0, call)
        assert plain(again) == plain(right), f"the call after {where}: {plain(again)}"
        first += 1
