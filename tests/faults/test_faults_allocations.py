"""Memory that runs out in native code: each allocation of mmhash's fails in turn.

What is asked raises MemoryError or succeeds, and the next call is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

SWEEP = """
import json, sys
import allocating, injected

group, one = sys.argv[1], sys.argv[2] == "one"
# A thread's first C++ exception: glibc ends the process where there is no room for its state.
injected.with_failing(1, 0, lambda: allocating.mmhash.identity(object()))
for name, call in getattr(allocating, group)().items():
    print(name, flush=True)  # whose process ends is seen
    outcomes = injected.sweep(call, one)
    print(json.dumps(outcomes))
"""


@pytest.mark.parametrize(
    ("group", "how"),
    [
        *(
            (group, how)
            for group in ("plain", "packages", "arrays", "tensors")
            for how in ("one", "all")
        ),
        ("images", "one"),
    ],
)
def test_each_allocation_fails(faulty: Callable[..., str], group: str, how: str) -> None:
    lines = faulty(SWEEP, group, how).splitlines()
    for name, outcomes in zip(lines[::2], map(json.loads, lines[1::2]), strict=True):
        assert outcomes.get("MemoryError", 0) > 0 or name in NEVER_SHORT, (
            f"{name}: none was counted"
        )


NEVER_SHORT = {"cache_info", "set_num_threads"}  # of small ints, which CPython keeps
