"""A child forked after the pool was used, or while it was in use, hashes like its parent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from subprocesses import python_output

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

# Each script runs in a process of its own, because only one without other libraries' threads forks
# safely. `forked` calls a function in a child and returns what it returned; a child that hangs is
# killed, and fails the test.
PRELUDE = """
import os, pickle, select, signal, sys, threading, time, warnings
import mmhash

warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: the point here
LARGE = bytes(range(256)) * (1 << 16)
VALUE = {"images": [LARGE, memoryview(LARGE)[::-1], b"small"], "n": 3}

def forked(function):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(write, pickle.dumps(function()))
            os._exit(0)
        except BaseException as error:
            os.write(write, pickle.dumps(repr(error)))
            os._exit(1)
    ready, _, _ = select.select([read], [], [], 30)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    result = pickle.loads(os.read(read, 1 << 16)) if ready else None
    os.close(read), os.close(write)
    assert status == 0, (status, result)
    return result

def running():
    return len(os.listdir("/proc/self/task"))

def expected_identity():
    mmhash.set_num_threads(1)
    digest = mmhash.identity(VALUE)
    mmhash.set_num_threads(4)
    return digest

expected = expected_identity()
"""


def run(code: str) -> str:
    return python_output(PRELUDE + code)


def test_fork_before_the_pool_was_used() -> None:
    assert run("print(forked(lambda: mmhash.identity(VALUE)) == expected)") == "True"


def test_fork_after_the_pool_was_used() -> None:
    code = """
assert mmhash.identity(VALUE) == expected
print(all(forked(lambda: mmhash.identity(VALUE)) == expected for _ in range(20)))
assert mmhash.identity(VALUE) == expected
"""
    assert run(code) == "True"


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_the_child_has_a_pool_of_its_own() -> None:
    """No thread survives a fork: the child starts new ones, and as many as are asked for."""
    code = """
mmhash.identity(VALUE)
before = running()

def child():
    counts = [running(), mmhash.get_num_threads()]
    mmhash.identity(VALUE)
    counts.append(running())
    return counts

print(before, forked(child), running())
"""
    assert run(code) == "4 [1, 4, 4] 4"


def test_children_of_children() -> None:
    code = """
def family(generations):
    assert mmhash.identity(VALUE) == expected
    return generations == 0 or forked(lambda: family(generations - 1))

print(family(4))
"""
    assert run(code) == "True"


@pytest.mark.parametrize("threads", [1, 4])
def test_fork_while_another_thread_hashes(threads: int) -> None:
    """The pool is taken at that moment by a thread that the child does not have."""
    code = f"""
stop = False
rounds = 0

def hash_for_ever():
    global rounds
    while not stop:
        assert mmhash.identity(VALUE) == expected
        rounds += 1

mmhash.set_num_threads({threads})
hashing = [threading.Thread(target=hash_for_ever) for _ in range(2)]
[thread.start() for thread in hashing]
while not rounds:
    time.sleep(0.001)

def child():
    mmhash.set_num_threads(4)
    return mmhash.identity(VALUE)

same = [forked(child) == expected for _ in range(30)]
stop = True
[thread.join() for thread in hashing]
print(all(same), len(same))
"""
    assert run(code) == "True 30"


def test_fork_while_the_pool_changes_its_size() -> None:
    code = """
stop = False

def change():
    count = 1
    while not stop:
        count = count % 16 + 1
        mmhash.set_num_threads(count)
        mmhash.identity(LARGE)

thread = threading.Thread(target=change)
thread.start()
same = [forked(lambda: mmhash.identity(VALUE)) == expected for _ in range(30)]
stop = True
thread.join()
print(all(same))
"""
    assert run(code) == "True"


PICKLED = """
import multiprocessing

if __name__ == "__main__":
    value = {"images": [LARGE, b"small"], "n": 3, "nested": {"b": 1, "a": {"y": 2, "x": 3}}}
    expected = mmhash.identity(value)
    with multiprocessing.get_context("%s").Pool(2) as pool:
        digests = pool.map(mmhash.identity, [value] * 8)
    print(set(digests) == {expected})
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str) -> None:
    """No state of a process enters a digest, such as the seed of Python's own hash."""
    assert run(PICKLED % method) == "True"


def test_ending_a_child_ends_no_thread_of_the_parent() -> None:
    code = """
mmhash.identity(VALUE)
child = os.fork()
if child == 0:
    sys.exit(0)  # with all of the interpreter's and the libraries' destructors
_, status = os.waitpid(child, 0)
print(status, mmhash.identity(VALUE) == expected, running())
"""
    assert run(code) == "0 True 4"
