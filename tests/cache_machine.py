"""The state machine of the cache's tests, as far as it makes values and checks them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections import Counter
from typing import Any

import numpy as np
import reference
import torch
from cache_operations import LEAST, VIEWS, Item, Memory
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import mmhash

LIVE = 8

DTYPES = (torch.uint8, torch.float32, torch.bfloat16, torch.complex64, torch.int64)
#: Few sizes, so that memory which is freed is soon given out again.
sizes = st.sampled_from((LEAST, 2 * LEAST))
dtypes = st.sampled_from(DTYPES)
picks = st.integers(0, 1 << 16)

#: How often each rule did what it is named for, over all machines.
done: Counter[str] = Counter()


class Values(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        mmhash.cache_clear()
        mmhash.cache_resize(4096)
        self.items: list[Item] = []
        self.serial = 0

    # What exists.

    def fresh(self, dtype: torch.dtype, size: int) -> torch.Tensor:
        """Of version 0, and unlike the one before."""
        self.serial += 1
        return torch.full((size // dtype.itemsize,), self.serial % 100, dtype=dtype)

    def add(self, value: Any, memory: Memory | None = None) -> None:
        if len(self.items) == LIVE:
            self.items.pop(0)
        self.items.append(Item(value, memory or Memory()))

    def tensor(self, pick: int) -> Item | None:
        found = [item for item in self.items if isinstance(item.value, torch.Tensor)]
        return found[pick % len(found)] if found else None

    def array(self, pick: int) -> Item | None:
        found = [item for item in self.items if isinstance(item.value, np.ndarray)]
        return found[pick % len(found)] if found else None

    @rule(dtype=dtypes, size=sizes)
    def create(self, dtype: torch.dtype, size: int) -> None:
        self.add(self.fresh(dtype, size))
        done["create"] += 1

    @rule(dtype=dtypes, size=sizes)
    def create_in_inference_mode(self, dtype: torch.dtype, size: int) -> None:
        with torch.inference_mode():
            self.add(self.fresh(dtype, size))
        done["inference"] += 1

    @rule(size=sizes)
    def create_from_numpy(self, size: int) -> None:
        array = self.fresh(torch.uint8, size).numpy().copy()
        memory = Memory()
        self.add(array, memory)
        self.add(torch.from_numpy(array), memory)
        done["from_numpy"] += 1

    @rule(size=sizes, dtype=st.sampled_from((np.uint8, np.float32)))
    def create_read_only_array(self, size: int, dtype: type) -> None:
        array = self.fresh(torch.uint8, size).numpy().copy().view(dtype)
        array = array.copy() if dtype is np.uint8 else array  # one that owns, one with a base
        for link in (array, array.base):
            if link is not None:
                link.flags.writeable = False
        self.add(array)
        done["read_only"] += 1

    @rule(pick=picks, name=st.sampled_from(sorted(VIEWS)))
    def view(self, pick: int, name: str) -> None:
        item = self.tensor(pick)
        if item is not None and item.value.numel() > 2 and item.value.ndim > 0:
            with contextlib.suppress(RuntimeError):  # no such view of this dtype or these strides
                view = VIEWS[name](item.value)
                # Of another dtype: a counter that writes in inference mode do not count in.
                if item.value.is_inference() and not view.is_inference():
                    item.memory.aliased = True
                self.add(view, item.memory)
                done[f"view {name}"] += 1

    @rule(pick=picks, name=st.sampled_from(("data", "set_")))
    def alias_with_a_counter_of_its_own(self, pick: int, name: str) -> None:
        item = self.tensor(pick)
        if item is not None and not item.value.is_inference():
            plain = item.plain
            with contextlib.suppress(RuntimeError):  # set_() takes no lazily conjugated tensor
                empty = torch.empty(0, dtype=plain.dtype)
                alias = plain.data if name == "data" else empty.set_(plain)
                item.memory.aliased = True
                self.add(alias, item.memory)
                done[f"alias {name}"] += 1

    @rule(pick=picks)
    def view_array(self, pick: int) -> None:
        if item := self.array(pick):
            self.add(item.value.T[::2] if pick % 2 else item.value[1:], item.memory)
            done["view array"] += 1

    @rule(pick=picks, again=st.booleans())
    @precondition(lambda self: self.items)
    def delete(self, pick: int, again: bool) -> None:
        value = self.items.pop(pick % len(self.items)).value
        if again and isinstance(value, torch.Tensor):
            dtype, shape = value.dtype, value.shape
            del value  # its address is free now
            self.serial += 1
            self.add(torch.full(shape, self.serial % 100, dtype=dtype))
            done["delete and create"] += 1

    # What must hold.

    def check(self) -> None:
        for item in self.items:
            cached = mmhash.identity(item.value)
            assert cached == mmhash.identity(item.value, cache=False), describe(item.value)
            assert cached == mmhash.identity(item.value), describe(item.value)

    @rule(count=st.integers(1, 3))
    def hash_in_other_threads(self, count: int) -> None:
        failures: list[BaseException] = []

        def run() -> None:
            try:
                self.check()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        done["threads"] += 1

    @rule(pick=picks)
    @precondition(lambda self: hasattr(os, "fork"))
    def fork(self, pick: int) -> None:
        if pick % 4:  # it takes as long as ten others
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
            child = os.fork()
        if child == 0:
            signal.alarm(30)
            status = 1
            try:
                empty = mmhash.cache_info().currsize == 0
                self.check()
                status = 0 if empty else 2
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        done["fork"] += 1

    @invariant()
    def identities_are_right(self) -> None:
        done["steps"] += 1
        self.check()
        if self.items and done["steps"] % 4 == 0:
            value = self.items[done["steps"] // 4 % len(self.items)].value
            assert mmhash.identity(value) == reference.identity(value), describe(value)


def describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} writable={value.flags.writeable}"
    counted = "inference" if value.is_inference() else f"version {value._version}"
    return f"{type(value).__name__} {value.dtype} {tuple(value.shape)} {value.stride()} {counted}"
