"""The state machine of items under several algorithms: what it does, and the model it does it by.

Eight threads make, read, copy, pickle and merge items, and hash values beside them, while all share
one cache, one pool of pickles and the executors. What must be found is known beforehand: a few
values, and of each the identity by each algorithm and key, from the reference.
"""

from __future__ import annotations

import copy
import pickle
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import reference
import torch

import mmhash

Chosen = tuple[str, bytes | None]

KEYS = (bytes(range(32)), bytes(reversed(range(32))), bytes(range(1, 33)))
KEYED: list[Chosen] = [(name, key) for name in ("blake3", "sha256") for key in KEYS]
CHOSEN: list[Chosen] = [("xxh3", None), ("blake3", None), ("sha256", None), *KEYED]

#: Cached ones among them, from 128 KiB on; `filled(n)` is what a thread's own tensor may hold.
CACHED = 32_768
FILLS = 3


def filled(number: int) -> torch.Tensor:
    return torch.full((CACHED,), float(number))


VALUES: list[Any] = [
    b"pixels",
    np.arange(24.0).reshape(4, 6),
    [torch.arange(6), b"nested"],
    torch.arange(CACHED, dtype=torch.int32),
    torch.arange(CACHED, dtype=torch.int32).view(torch.float32),
    [torch.ones(CACHED), torch.zeros(CACHED)],
    *(filled(number) for number in range(FILLS)),
]

IDENTITIES = {
    (index, by): reference.identity(value, *by)
    for index, value in enumerate(VALUES)
    for by in CHOSEN
}


class Item(mmhash.LazyHash):
    def __init__(self, feature: Any) -> None:
        self.feature, self.precomputed_embeddings = feature, None


class OfClass(Item, algorithm="blake3", key=KEYS[0]):
    pass


class OfOtherClass(OfClass, algorithm="sha256", key=KEYS[0]):
    pass


OF_CLASS: dict[type, Chosen] = {
    OfClass: ("blake3", KEYS[0]),
    OfOtherClass: ("sha256", KEYS[0]),
}


@dataclass(frozen=True)
class Hash:
    """What is known of a hash: the number, whose identity it begins, and who computed it."""

    number: int
    identity: bytes | None
    by: Chosen | None


@dataclass
class Model:
    """What an item must do, written down without threads, states or laziness."""

    kind: type
    value: int | None  # index of what it holds
    own: Chosen | None = None
    known: Hash | None = None
    carried: Hash | None = None
    forgotten: bool = False
    copied: bool = False

    def by(self, process: Chosen) -> Chosen:
        return self.own or OF_CLASS.get(self.kind) or process

    def read(self, process: Chosen, counts: Counter[str]) -> Hash | None:
        """None where there is nothing to hash."""
        if self.known is None:
            by = self.by(process)
            if self.carried is not None and (self.carried.by == by or self.value is None):
                self.known = self.carried
                counts["used" if self.carried.by == by else "kept_unchecked"] += 1
            elif self.value is not None:
                identity = IDENTITIES[self.value, by]
                self.known = Hash(reference.hash64(identity), identity, by)
                counts["recomputed"] += self.carried is not None
            self.carried = None if self.known else self.carried
        return self.known

    def assigned(
        self, process: Chosen, counts: Counter[str], value: int | None, *, same: bool
    ) -> None:
        """The feature is going to be an object of that value, or is the `same` already."""
        agreed = self.carried is not None and self.carried.by == self.by(process)
        if not self.copied and not self.forgotten and (agreed or not (same or self.value is None)):
            self.read(process, counts)
        if self.copied and value is not None and not same:
            self.known = self.carried = None
            self.forgotten, self.copied = True, False
        self.value = value

    def copies(self, process: Chosen, counts: Counter[str]) -> None:
        """Copying and pickling resolve first, unless a hash came that travels on."""
        if self.known is None and self.carried is None:
            self.read(process, counts)

    def in_a_copy(self) -> Model:
        found = self.known or self.carried
        return replace(self, copied=found is not None and found.identity is not None)

    def in_a_pickle(self) -> Model:
        return Model(
            self.kind,
            self.value,
            known=self.known if self.known and self.known.by is None else None,
            carried=self.carried or (self.known if self.known and self.known.by else None),
            forgotten=self.forgotten and self.known is None,
        )


@dataclass
class World:
    """What the threads share."""

    process: Chosen = CHOSEN[0]
    mail: list[tuple[bytes, Model]] = field(default_factory=list)
    executors: dict[Chosen, mmhash.HashExecutor] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[BaseException] = field(default_factory=list)


class Walker:
    """One thread's steps, in an order of its own."""

    LIVE = 6

    def __init__(self, world: World, seed: str) -> None:
        self.world, self.random = world, random.Random(seed)
        self.items: list[tuple[Any, Model]] = []
        self.counts: Counter[str] = Counter()  # of what came, by the model
        self.done: Counter[str] = Counter()
        self.mine, self.fill = filled(0), 0
        self.submitted = self.hits = 0

    def run(self, steps: int) -> None:
        try:
            for _ in range(steps):
                step = self.random.choice(STEPS)
                step(self)
                self.done[step.__name__] += 1
        except BaseException as error:
            self.world.failures.append(error)

    def pick(self) -> tuple[Any, Model]:
        if not self.items:
            self.make()
        return self.random.choice(self.items)

    def add(self, item: Any, model: Model) -> None:
        if len(self.items) == self.LIVE:
            self.items.pop(self.random.randrange(self.LIVE))
        self.items.append((item, model))

    # Items.

    def make(self) -> None:
        value = self.random.randrange(len(VALUES))
        kind = self.random.choice((Item, OfClass, OfOtherClass, mmhash.MultimodalDataItem))
        own = None
        if kind is mmhash.MultimodalDataItem:
            own = self.random.choice((None, *CHOSEN))
            name, key = own or (None, None)
            fields = {"modality": "IMAGE", "feature": VALUES[value]}
            item = kind.from_dict(fields, algorithm=name, key=key)
        else:
            item = kind(VALUES[value])
        self.add(item, Model(kind, value, own))

    def read(self) -> None:
        item, model = self.pick()
        expected = model.read(self.world.process, self.counts)
        if expected is None:
            with pytest.raises(ValueError, match="nothing to hash"):
                item.resolve()
        else:
            assert item.hash == expected.number, model
            assert item.is_resolved
            if expected.identity is not None and self.random.random() < 0.5:
                assert item.identity == expected.identity, model

    def move(self) -> None:
        """The hash stays that of the old feature; but a copy gets that of the new one."""
        self.assign_feature(self.random.randrange(len(VALUES)))

    def release(self) -> None:
        self.assign_feature(None)

    def assign_feature(self, value: int | None) -> None:
        item, model = self.pick()
        feature = None if value is None else VALUES[value]
        same = item.feature is feature
        model.assigned(self.world.process, self.counts, value, same=same)
        item.feature = feature

    def assign(self) -> None:
        item, model = self.pick()
        number = self.random.choice((None, self.random.getrandbits(64)))
        item.hash = number
        model.known = None if number is None else Hash(number, None, None)
        model.carried, model.forgotten, model.copied = None, number is None, False

    def merge(self) -> None:
        (item, model), (other, its) = self.pick(), self.pick()
        data_items = model.kind is its.kind is mmhash.MultimodalDataItem
        if item is other or not data_items or None in (model.value, its.value):
            return
        pair = [each.read(self.world.process, self.counts) for each in (model, its)]
        by = model.by(self.world.process)
        if any(known.by not in (None, by) for known in pair):
            with pytest.raises(ValueError, match="merge: expected two items hashed by"):
                item.merge(other)
            return
        item.merge(other)
        number = reference.hash64(reference.identity([known.number for known in pair], *by))
        item.feature = VALUES[model.value]  # a value that the model knows
        assigned = any(known.by is None for known in pair)
        model.known = Hash(number, None, None if assigned else by)
        model.forgotten = model.copied = False
        assert item.hash == number

    # Copies and pickles.

    def copy(self) -> None:
        item, model = self.pick()
        model.copies(self.world.process, self.counts)
        way = self.random.choice((copy.copy, copy.deepcopy))
        self.add(way(item), model.in_a_copy())

    def send(self) -> None:
        item, model = self.pick()
        model.copies(self.world.process, self.counts)
        mail = self.world.mail
        data = pickle.dumps(item, self.random.randrange(2, pickle.HIGHEST_PROTOCOL + 1))
        assert not any(key in data for key in KEYS)
        letter = (data, model.in_a_pickle())
        if len(mail) < 64:
            mail.append(letter)
        else:
            mail[self.random.randrange(64)] = letter

    def receive(self) -> None:
        """From any thread, and from when the process was configured otherwise."""
        if self.world.mail:
            data, model = self.random.choice(self.world.mail)
            self.add(pickle.loads(data), replace(model))

    # What stands beside the items.

    def hash_plain(self) -> None:
        value, by = self.random.randrange(len(VALUES)), self.random.choice((None, *CHOSEN))
        expected = IDENTITIES[value, by or self.world.process]
        name, key = by or (None, None)
        if self.random.random() < 0.3:
            found = mmhash.hash_feature(VALUES[value], algorithm=name, key=key)
            assert found == reference.hash64(expected), (value, by)
        else:
            found = mmhash.identity(VALUES[value], algorithm=name, key=key)
            assert found == expected, (value, by)

    def write(self) -> None:
        """To a tensor of the thread's own, which all algorithms have in the cache."""
        self.fill = (self.fill + 1) % FILLS
        self.mine.fill_(float(self.fill))
        for by in self.random.sample(CHOSEN, 2):
            expected = IDENTITIES[len(VALUES) - FILLS + self.fill, by]
            assert mmhash.identity(self.mine, algorithm=by[0], key=by[1]) == expected, by

    def submit(self) -> None:
        item, model = self.pick()
        by, executor = self.random.choice([*self.world.executors.items()])
        if model.known is not None or model.value is None or model.carried is not None:
            return  # what an executor refuses has its own test
        if model.own is None and model.kind not in OF_CLASS:
            model.own = by
        expected = model.read(self.world.process, self.counts)
        assert expected is not None
        self.submitted += 1
        future = executor.submit((id(self), self.submitted), item)
        assert future.result(60) == [expected.number], model
        assert executor.get_result((id(self), self.submitted)) == [expected.number]

    def change_cache(self) -> None:
        """Seldom, or it would hold nothing; a small one drops what others are about to find."""
        chance = self.random.random()
        if chance < 0.02:
            self.hits += mmhash.cache_info().hits  # which it sets to 0
            mmhash.cache_clear()
        elif chance < 0.1:
            mmhash.cache_resize(self.random.choice((24, 60, 4096)))
        elif chance < 0.3:
            mmhash.forget(self.random.choice(VALUES))


STEPS: list[Callable[[Walker], None]] = [
    *[Walker.make] * 3,
    *[Walker.read] * 6,
    Walker.move,
    Walker.release,
    Walker.assign,
    Walker.merge,
    *[Walker.copy] * 2,
    *[Walker.send] * 2,
    *[Walker.receive] * 4,
    *[Walker.hash_plain] * 4,
    *[Walker.write] * 2,
    Walker.submit,
    Walker.change_cache,
]


def walk(walkers: list[Walker], steps: int) -> None:
    """All at once, each so many steps."""
    threads = [threading.Thread(target=walker.run, args=(steps,)) for walker in walkers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
