"""Memory that runs out while the native module is imported."""

from __future__ import annotations

import json
from collections.abc import Callable

# A child for each allocation, since a module is initialized once a process. The library is loaded
# before, so that preload.c knows where it lies.
IMPORT = """
import ctypes, json, os, sys
from collections import Counter
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
import injected

folder = find_spec("mmhash").submodule_search_locations[0]
paths = [os.path.join(folder, "_core" + suffix) for suffix in EXTENSION_SUFFIXES]
native = next(path for path in paths if os.path.exists(path))
ctypes.CDLL(native)

def load():
    import mmhash._core
    return "imported"

def outcome(first, last):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        found, count = injected.with_failing(first, last, load)
        with os.fdopen(writer, "w") as pipe:
            json.dump([found if found == "imported" else type(found).__name__, count], pipe)
            if found != "imported":
                try:
                    load()
                except ImportError:
                    pass
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    _, status = os.wait()
    found, count = json.loads(text) if text else ["nothing", 0]
    return (found if status == 0 else f"{found}, status {status}"), count

_, total = outcome(1, 0)
share = int(sys.argv[1])
found = {n: outcome(n, n)[0] for n in range(1, total + 1, share)}
print(json.dumps([total, Counter(found.values())]))
"""


def test_importing_raises(faulty: Callable[..., str]) -> None:
    """But for a few places where pybind11 3.1 does not look at what CPython returns, and crashes.

    An import that ends the process serves no wrong hash; it is counted so that it stays rare.
    """
    total, kinds = json.loads(faulty(IMPORT, 7))
    assert total > 100
    good = sum(kinds.pop(kind, 0) for kind in ("imported", "ImportError", "MemoryError"))
    assert good > 0.8 * total / 7, kinds
    assert all(kind.startswith("nothing, status ") for kind in kinds), kinds
