"""Runs something of ours, and something else at one of its lines: a finalizer, or an exception.

Python lets signal handlers, finalizers and weakref callbacks run between any two lines. Here they
run at each in turn, and not when chance would have it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mmhash

OURS = str(Path(mmhash.__file__).parent / "_")[:-1]


class Interrupted(BaseException):
    """As KeyboardInterrupt: nothing of ours may catch it and go on."""


def interrupt() -> None:
    """As a signal handler that raises."""
    raise Interrupted


def run_at_line(number: int, then: Callable[[], object], action: Callable[[], object]) -> bool:
    """Calls `action()`, and `then()` before the line of mmhash that it comes to as that number.

    False if it does not come to so many. An Interrupted of `then` ends here, as do other errors of
    `action`.
    """
    left = number

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            left -= 1
            if left == 0:
                then()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except Interrupted:
        pass
    finally:
        sys.settrace(before)
    return left <= 0


def every_line(
    make: Callable[[], tuple[Callable[[], object], Callable[[], object]]],
) -> Iterator[int]:
    """Runs a fresh (then, action) at each line in turn, yielding its number after each."""
    number = 0
    while True:
        number += 1
        then, action = make()
        if not run_at_line(number, then, action):
            assert number > 3, "nothing of ours was traced"
            return
        yield number
