"""Whatever is done to tensors, in whatever order: a cached identity is the identity.

After every step each live value is hashed through the cache and without it: a wrong hit is a
difference. `MMHASH_TEST_MACHINES` sets how many sequences of steps there are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import hypothesis
import torch
from cache_machine import Values, done, picks, sizes
from cache_operations import IN_PLACE, LEAST, THROUGH_NUMPY, UNCOUNTED, VIEWS, Item, Memory
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

import mmhash

MACHINES = int(os.environ.get("MMHASH_TEST_MACHINES", "440"))
STEPS = 52


class CacheMachine(Values):
    def thaw(self, memory: Memory) -> None:
        """What is frozen may be written only after forget()."""
        if memory.frozen:
            mmhash.forget([item.value for item in self.items if item.memory is memory])
            memory.frozen = False

    def write(self, name: str, item: Item, change: Callable[[], object], *, counted: bool) -> None:
        self.thaw(item.memory)
        inference = isinstance(item.value, torch.Tensor) and item.value.is_inference()
        # torch refuses some: views that overlap themselves, and dtypes that an operation lacks.
        with contextlib.suppress(RuntimeError, TypeError, IndexError):
            with torch.inference_mode() if inference else torch.no_grad():
                change()
            done[name] += 1
        if item.memory.aliased or not counted:
            mmhash.forget(item.value)

    # Writes.

    @rule(pick=picks, name=st.sampled_from(sorted(IN_PLACE)), n=picks)
    def change_in_place(self, pick: int, name: str, n: int) -> None:
        item = self.tensor(pick)
        if item is not None and item.value.numel() > 0:
            self.write(name, item, lambda: IN_PLACE[name](item.value, n), counted=True)

    @rule(pick=picks, name=st.sampled_from(sorted(THROUGH_NUMPY)), n=picks)
    def change_through_numpy(self, pick: int, name: str, n: int) -> None:
        if item := self.tensor(pick):
            plain = item.plain
            self.write(name, item, lambda: THROUGH_NUMPY[name](plain, n), counted=True)

    @rule(pick=picks, name=st.sampled_from(sorted(UNCOUNTED)), n=picks)
    def change_uncounted(self, pick: int, name: str, n: int) -> None:
        if item := self.tensor(pick):
            self.write(name, item, lambda: UNCOUNTED[name](item.plain, n), counted=False)

    @rule(pick=picks, n=picks)
    def change_array(self, pick: int, n: int) -> None:
        """Also a read-only one, made writable for it: no array is cached unfrozen."""
        if item := self.array(pick):
            owner = item.value if item.value.base is None else item.value.base
            writable = owner.flags.writeable

            def change() -> None:
                owner.flags.writeable = True
                owner.reshape(-1)[n % owner.size] = n % 100
                owner.flags.writeable = writable

            self.write("array", item, change, counted=True)  # hashed each time: no forget() is owed

    @rule(pick=picks, way=st.sampled_from(("SGD", "foreach", "fused", "Adam", "accumulate")))
    def train(self, pick: int, way: str) -> None:
        item = self.tensor(pick)
        if item is None or item.value.dtype != torch.float32 or item.value.is_inference():
            return
        if way == "fused" and not item.value.is_contiguous():
            return  # torch's kernel takes it for contiguous, and writes where it should not
        if way == "accumulate":
            parameter = torch.nn.Parameter(torch.ones_like(item.plain))

            def change() -> None:
                parameter.grad = item.plain
                with torch.enable_grad():
                    (parameter * 2).sum().backward()

        else:
            parameter = torch.nn.Parameter(item.plain)
            parameter.grad = torch.ones_like(parameter)
            optimizer = {
                "SGD": lambda: torch.optim.SGD([parameter], lr=0.5, foreach=False),
                "foreach": lambda: torch.optim.SGD([parameter], lr=0.5, foreach=True),
                "fused": lambda: torch.optim.SGD([parameter], lr=0.5, fused=True),
                "Adam": lambda: torch.optim.Adam([parameter], lr=0.5),
            }[way]()
            change = optimizer.step
        self.write(way, item, change, counted=way != "fused")

    # Other memory beneath the same tensor.

    @rule(pick=picks, size=sizes, name=st.sampled_from(("set_", ".data", "swap_tensors")))
    def replace_memory(self, pick: int, size: int, name: str) -> None:
        item = self.tensor(pick)
        if item is None or item.value.is_inference() or item.value.requires_grad:
            return
        with contextlib.suppress(RuntimeError):  # views and detach() allow less
            if name == "set_":
                item.value.set_(self.fresh(item.value.dtype, size))
            elif name == ".data":
                item.value.data = self.fresh(item.value.dtype, size)
            else:
                torch.utils.swap_tensors(item.value, self.fresh(item.value.dtype, size))
            item.memory = Memory()
            done[name] += 1

    @rule(pick=picks, factor=st.sampled_from((1, 2)))
    def resize(self, pick: int, factor: int) -> None:
        if item := self.tensor(pick):
            count = factor * LEAST // item.value.itemsize
            if item.value.is_shared() or not item.value.untyped_storage().resizable():
                return  # torch crashes, or is left with a tensor larger than its storage
            self.write("resize_", item, lambda: item.value.resize_(count), counted=True)

    @rule(pick=picks)
    def share_memory(self, pick: int) -> None:
        item = self.tensor(pick)
        if item is not None and not item.value.is_inference():
            self.thaw(item.memory)
            item.plain.share_memory_()
            done["share_memory_"] += 1

    @rule(first=picks, second=picks)
    def swap(self, first: int, second: int) -> None:
        one, other = self.tensor(first), self.tensor(second)
        if one is not None and other is not None and one is not other:
            with contextlib.suppress(RuntimeError):  # a view keeps its base from being swapped
                torch.utils.swap_tensors(one.value, other.value)
                one.memory, other.memory = other.memory, one.memory
                done["swap"] += 1

    # The cache itself.

    @rule(maxsize=st.sampled_from((0, 1, 2, 3, 4096, 4096, 4096)))
    def resize_cache(self, maxsize: int) -> None:
        mmhash.cache_resize(maxsize)

    @rule()
    def clear_cache(self) -> None:
        mmhash.cache_clear()

    @rule(pick=picks)
    @precondition(lambda self: self.items)
    def freeze(self, pick: int) -> None:
        item = self.items[pick % len(self.items)]
        mmhash.freeze(item.value)
        item.memory.frozen = True
        done["freeze"] += 1

    @rule(pick=picks)
    @precondition(lambda self: self.items)
    def forget(self, pick: int) -> None:
        mmhash.forget(self.items[pick % len(self.items)].value)
        done["forget"] += 1


def test_no_step_makes_a_hit_wrong() -> None:
    done.clear()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a forked child would wait for the others, which it does not have
    settings = hypothesis.settings(max_examples=MACHINES, stateful_step_count=STEPS, deadline=None)
    hits = 0

    class Counting(CacheMachine):
        def teardown(self) -> None:
            nonlocal hits
            hits += mmhash.cache_info().hits

    try:
        run_state_machine_as_test(Counting, settings=settings)  # type: ignore[no-untyped-call]
    finally:
        torch.set_num_threads(threads)
    # A sequence may end early, and the first has one step: 20,240 at least, where nothing is set.
    assert done["steps"] >= 46 * MACHINES
    assert hits > done["steps"], "hardly anything was cached"
    kinds = [*IN_PLACE, *THROUGH_NUMPY, *UNCOUNTED, *(f"view {name}" for name in VIEWS)]
    kinds += [
        "SGD",
        "foreach",
        "fused",
        "Adam",
        "accumulate",
        "set_",
        ".data",
        "swap_tensors",
        "swap",
    ]
    kinds += ["alias data", "alias set_", "array", "read_only", "from_numpy", "inference", "fork"]
    kinds += ["threads", "freeze", "forget", "resize_", "share_memory_", "delete and create"]
    never = [kind for kind in kinds if done[kind] == 0]  # chance leaves out one now and then
    assert len(never) <= 4 * 440 // MACHINES, f"never done: {never}"
