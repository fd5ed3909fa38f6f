"""Items, carried hashes and one cache under two algorithms and three keys, in eight threads.

`MMHASH_TEST_SEED` repeats what each thread does; `MMHASH_TEST_STEPS` sets how many steps there are.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from item_machine import CHOSEN, KEYED, STEPS, Walker, World, walk

import mmhash

THREADS = 8
STEPS_IN_ALL = int(os.environ.get("MMHASH_TEST_STEPS", "100000"))
ROUNDS = 25  # the process is configured otherwise in each


def test_no_hash_is_taken_for_another() -> None:
    mmhash.cache_resize(60)  # fewer than values and algorithms make: they come and go
    seed = os.environ["MMHASH_TEST_SEED"]
    before: Any = mmhash.info()["carried"]
    mmhash.cache_clear()
    world = World()
    world.executors = {
        by: mmhash.HashExecutor(algorithm=by[0], key=by[1]) for by in (("xxh3", None), *KEYED[:4])
    }
    walkers = [Walker(world, f"{seed} {number}") for number in range(THREADS)]
    steps = -(-STEPS_IN_ALL // (THREADS * ROUNDS))
    for number in range(ROUNDS):
        world.process = CHOSEN[(number * 2) % len(CHOSEN)]
        mmhash.configure(world.process[0], key=world.process[1])
        walk(walkers, steps)
        if world.failures:
            raise world.failures[0]
    for executor in world.executors.values():
        executor.shutdown()
    after: Any = mmhash.info()["carried"]
    counts = sum((walker.counts for walker in walkers), Counter())
    assert {name: after[name] - before[name] for name in after} == {
        name: counts[name] for name in after
    }
    done = sum((walker.done for walker in walkers), Counter())
    assert sum(done.values()) == steps * THREADS * ROUNDS >= STEPS_IN_ALL
    if STEPS_IN_ALL >= 10_000:
        assert min(counts[name] for name in after) > STEPS_IN_ALL / 1000, counts
        assert set(done) == {step.__name__ for step in STEPS}
        hits = mmhash.cache_info().hits + sum(walker.hits for walker in walkers)
        assert hits > STEPS_IN_ALL / 20, "hardly anything was cached"
