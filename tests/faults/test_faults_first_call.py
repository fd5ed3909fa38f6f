"""Memory runs out in the first call of a process, which looks up what all others use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

# A child for each allocation. A grandchild shows that the handlers for forks stand.
FIRST_CALL = """
import json, os, sys
from collections import Counter
import injected
import mmhash

mmhash.cache_resize(10)
exec(sys.argv[1])

def hash_first():
    return mmhash.identity(value())

def check(first, last):
    os.dup2(os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    found, count = injected.with_failing(first, last, hash_first)
    if "PIL" in sys.argv[1] and isinstance(found, (RuntimeError, SystemError)):
        found = MemoryError()  # "can't allocate lock" and the like, in imports of Pillow's plugins
    assert isinstance(found, (bytes, MemoryError)), repr(found)
    again = hash_first()
    assert found == again or isinstance(found, MemoryError), "another hash"
    child = os.fork()
    if child == 0:
        assert mmhash.cache_info().currsize == 0, "the child has the cache of its parent"
        assert hash_first() == again
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "the grandchild failed"
    return type(found).__name__, count, again.hex()

def outcome(first, last):
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            result = check(first, last)
        except BaseException as error:
            result = repr(error), 0, ""
        with os.fdopen(writer, "w") as pipe:
            json.dump(result, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.wait()
    return json.loads(text) if text else (f"ended with status {status}", 0, "")

_, total, right = outcome(1, 0)
kinds = Counter()
most = int(sys.argv[3])
for n in range(1, total + 1, max(1, total // most)):
    kind, _, again = outcome(n, n)
    assert kind in ("bytes", "MemoryError"), f"allocation {n} of {total}: {kind}"
    assert again == right, f"allocation {n} of {total}: another hash"
    kinds[kind] += 1
print(json.dumps(kinds))
"""

# Of so many allocations, evenly spread, if there are more: Pillow's plugins make 22,000.
MOST = 400

VALUES = {
    "mapping": "import types\nvalue = lambda: [types.MappingProxyType({'a': 2**99}), '\\ud800']",
    "array": "import numpy\narray = numpy.ones(99)\nvalue = lambda: array",
    "tensor": "import torch\ntensor = torch.ones(1 << 18)\nvalue = lambda: tensor",
    "image": "from PIL import Image\nimage = Image.new('P', (9, 9))\nvalue = lambda: [image]",
}


@pytest.mark.parametrize("kind", VALUES)
def test_each_allocation_of_the_first_call_fails(
    faulty: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    kinds = json.loads(faulty(FIRST_CALL, VALUES[kind], tmp_path / "errors", MOST))
    assert kinds["MemoryError"] > 1
