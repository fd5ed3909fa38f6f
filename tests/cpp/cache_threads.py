"""Eight threads that hash, write their own, freeze, forget and resize: run under ThreadSanitizer.

No test of pytest's: `.ci/sanitized_tests.sh` builds the module with MMHASH_SANITIZE=thread and
starts Python with the sanitizer's library preloaded, which ends the process with status 66 after a
race.
"""

from __future__ import annotations

import random
import sys
import threading

import numpy as np
import torch

import mmhash

THREADS = 8
ROUNDS = 150
BYTES = 1 << 18


def tensor(fill: int) -> torch.Tensor:
    return torch.full((BYTES,), fill, dtype=torch.uint8)


def check(x: torch.Tensor) -> None:
    assert mmhash.identity(x) == mmhash.identity(x, cache=False), "a wrong hit"


def work(seed: int, shared: list[torch.Tensor], identities: list[bytes]) -> None:
    random_ = random.Random(seed)
    own = tensor(seed)
    for i in range(ROUNDS):
        pick = random_.randrange(len(shared))
        assert mmhash.identity(shared[pick]) == identities[pick], "a wrong hit"
        own.add_(1)
        check(own)
        if i % 5 == 0:
            with mmhash.freeze(np.full(BYTES, i, np.uint8)) as array:
                assert mmhash.identity(array) == mmhash.identity(array)
        if i % 7 == 0:
            mmhash.forget(shared[pick])
        if i % 11 == 0:
            mmhash.cache_resize(random_.choice((0, 1, 3, 4096)))
        if i % 13 == 0:
            mmhash.cache_clear()
        if i % 17 == 0:
            own = tensor(seed)  # the old one's entries end with it


def main() -> int:
    sys.setswitchinterval(1e-5)
    torch.set_num_threads(1)
    shared = [tensor(fill) for fill in range(4)]
    identities = [mmhash.identity(x, cache=False) for x in shared]
    failures: list[BaseException] = []

    def run(seed: int) -> None:
        try:
            work(seed, shared, identities)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*failures, mmhash.cache_info(), sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
