"""A forked child has an empty cache of the same size, whatever the parent's threads were doing."""

from __future__ import annotations

import os

import pytest
from subprocesses import python_output

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

PRELUDE = """
import os, signal, threading, time, warnings
import numpy as np
import mmhash

warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: the point here
mmhash.cache_resize(7)

def frozen(fill):
    made = np.full(1 << 20, fill, np.uint8)
    mmhash.freeze(made)
    return made

def in_child(function):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        try:
            os._exit(0 if function() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def child():
    empty = mmhash.cache_info() == (0, 0, 0, 0, 0, 7, 0)
    right = mmhash.identity(value) == expected and mmhash.identity(value) == expected
    return empty and right and mmhash.cache_info()[:2] == (1, 1)

value = frozen(1)
expected = mmhash.identity(value, cache=False)
"""


def test_the_child_begins_with_an_empty_cache() -> None:
    code = """
mmhash.identity([value, value])
before = mmhash.cache_info()
print(in_child(child), in_child(lambda: in_child(child) == 0), mmhash.cache_info() == before)
"""
    assert python_output(PRELUDE + code) == "0 0 True"


def test_what_is_frozen_stays_frozen_in_the_child() -> None:
    code = """
value = np.full(1 << 20, 1, np.uint8)
mmhash.freeze(value)
print(in_child(child))
mmhash.forget(value)
print(in_child(child))
"""
    assert python_output(PRELUDE + code).split() == ["0", "1"]


@pytest.mark.parametrize("what", ["value", "other"])
def test_fork_while_another_thread_hashes(what: str) -> None:
    """That thread has begun an entry which the child would wait for in vain."""
    code = f"""
import torch
value = torch.full((64 << 20,), 2, dtype=torch.uint8)  # which is cached again after forget()
expected = mmhash.identity(value, cache=False)
other = torch.full((64 << 20,), 3, dtype=torch.uint8)
stop = False
rounds = 0

def hash_for_ever():
    global rounds
    while not stop:
        mmhash.forget({what})
        mmhash.identity({what})
        rounds += 1

mmhash.set_num_threads(1)
threads = [threading.Thread(target=hash_for_ever) for _ in range(2)]
[thread.start() for thread in threads]
while not rounds:
    time.sleep(0.001)
statuses = [in_child(child) for _ in range(20)]
stop = True
[thread.join() for thread in threads]
print(statuses == [0] * 20, mmhash.identity(value) == expected)
"""
    assert python_output(PRELUDE + code) == "True True"
