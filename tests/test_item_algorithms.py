"""Which algorithm hashes an item, and what becomes of its hash where another would have."""

from __future__ import annotations

import copy
import dataclasses
import logging
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from subprocesses import python_output

import mmhash
from mmhash import MultimodalDataItem, MultimodalInputs, _carried, _core

KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(KEY))
PIXELS = np.arange(24, dtype=np.float32).reshape(4, 6)
ALGORITHMS: list[tuple[str, bytes | None]] = [
    ("xxh3", None),
    ("blake3", None),
    ("blake3", KEY),
    ("sha256", None),
    ("sha256", OTHER_KEY),
]
Chosen = tuple[str, bytes | None]


class Plain(mmhash.LazyHash):
    def __init__(self, feature: Any = None, precomputed_embeddings: Any = None) -> None:
        self.feature, self.precomputed_embeddings = feature, precomputed_embeddings


class Keyed(Plain, algorithm="sha256", key=KEY):
    pass


class OwnSetstate(Plain):
    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)


@dataclasses.dataclass(slots=True)
class Slotted(mmhash.LazyHash, algorithm="blake3"):
    feature: Any = None
    precomputed_embeddings: Any = None


@pytest.fixture(autouse=True)
def no_warning_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_carried, "_warned", {})


def item(feature: Any = PIXELS, *, by: Chosen = ("blake3", None), **fields: Any) -> Any:
    return MultimodalDataItem("IMAGE", feature=feature, algorithm=by[0], key=by[1], **fields)


def right(value: Any, by: Chosen) -> tuple[bytes, int]:
    identity = reference.identity(value, *by)
    return identity, reference.hash64(identity)


def read(each: Any) -> tuple[bytes, int]:
    return each.identity, each.hash


def sent(each: Any) -> Any:
    return pickle.loads(pickle.dumps(each))


def counted(action: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """What it returned, and what it added to the counters."""
    before: Any = mmhash.info()["carried"]
    result = action()
    after: Any = mmhash.info()["carried"]
    return result, {
        name: after[name] - before[name] for name in after if after[name] > before[name]
    }


# Whose algorithm it is.


@pytest.mark.parametrize("by", ALGORITHMS)
def test_own_then_class_then_process(by: Chosen) -> None:
    class Item(MultimodalDataItem, algorithm=by[0], key=by[1]):
        pass

    class Child(Item):
        pass

    mmhash.configure("sha256")
    assert read(item(by=by)) == right(PIXELS, by)
    assert read(Item("IMAGE", feature=PIXELS)) == read(Child("IMAGE", feature=PIXELS))
    assert read(Child("IMAGE", feature=PIXELS)) == right(PIXELS, by)
    own = Child("IMAGE", feature=PIXELS, algorithm="blake3", key=OTHER_KEY)
    assert read(own) == right(PIXELS, ("blake3", OTHER_KEY))
    mmhash.configure(by[0], key=by[1])
    for each in (Plain(PIXELS), Plain(None, PIXELS), MultimodalDataItem("IMAGE", feature=PIXELS)):
        assert read(each) == right(PIXELS, by)


def test_the_process_is_asked_when_it_hashes() -> None:
    early, late = Plain(PIXELS), Plain(PIXELS)
    assert len(early.identity) == 16
    mmhash.configure("blake3")
    assert read(late) == right(PIXELS, ("blake3", None))
    assert read(early) == right(PIXELS, ("xxh3", None)), "what was hashed keeps its hash"
    early.hash = None
    assert read(early) == right(PIXELS, ("blake3", None))


def test_a_key_alone_is_for_the_algorithm_of_the_process() -> None:
    mmhash.configure("sha256")
    made = MultimodalDataItem("IMAGE", feature=PIXELS, key=KEY)
    mmhash.configure("xxh3")
    assert read(made) == right(PIXELS, ("sha256", KEY))
    with pytest.raises(ValueError, match="key: expected None with algorithm 'xxh3'"):
        MultimodalDataItem("IMAGE", feature=PIXELS, key=KEY)


def test_a_dataclass_with_slots_keeps_its_algorithm() -> None:
    """It is made twice, the second time without the keywords."""
    assert read(Slotted(PIXELS)) == right(PIXELS, ("blake3", None))
    assert read(sent(Slotted(PIXELS))) == right(PIXELS, ("blake3", None))


def test_from_dict() -> None:
    fields = {"modality": "IMAGE", "feature": PIXELS, "fps": 3}
    named = {**fields, "algorithm": "sha256", "key": KEY}
    other: Chosen = ("blake3", OTHER_KEY)
    made = MultimodalDataItem.from_dict(fields, algorithm=other[0], key=other[1])
    with mmhash.profile():
        inputs = MultimodalInputs.from_dict(
            {"mm_items": [fields, named, item(by=("sha256", None))]},
            algorithm=other[0],
            key=other[1],
        )
    expected = [right(PIXELS, by) for by in (other, other, ("sha256", None))]
    assert read(made) == expected[0]
    assert [read(each) for each in inputs.mm_items] == expected
    assert made.model_specific_data == inputs.mm_items[1].model_specific_data == {"fps": 3}
    assert read(MultimodalDataItem.from_dict(named)) == right(PIXELS, ("sha256", KEY))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"algorithm": "md5"}, ValueError, "algorithm: expected one of .*, found 'md5'"),
        ({"algorithm": 3}, TypeError, "algorithm: expected one of .*, found a int"),
        ({"algorithm": "blake3", "key": b"short"}, ValueError, "key: expected 32 bytes, found 5"),
        ({"algorithm": "xxh3", "key": KEY}, ValueError, "key: expected None with algorithm 'xxh3'"),
        ({"algorithm": _core.XXH3, "key": KEY}, ValueError, "key: expected None with an Algorithm"),
    ],
)
def test_bad_algorithms(arguments: Any, error: type[Exception], message: str) -> None:
    fields = {"modality": "IMAGE", "feature": PIXELS}
    for make in (
        lambda: MultimodalDataItem(**fields, **arguments),
        lambda: MultimodalDataItem.from_dict(fields, **arguments),
        lambda: MultimodalInputs.from_dict({"mm_items": []}, **arguments),
        lambda: mmhash.HashExecutor(**arguments),
        lambda: type("Item", (Plain,), {}, **arguments),
    ):
        with pytest.raises(error, match=f"^{message}"):
            make()
    for name in ("algorithm", "key"):
        with pytest.raises(AttributeError, match=f"^{name}: expected in the constructor"):
            item().set(name, "sha256")


def test_merging() -> None:
    by: Chosen = ("blake3", KEY)
    first, second = item([b"a"], by=by), item([b"b"], by=by)
    first.merge(second)
    expected = right([right([b"a"], by)[1], right([b"b"], by)[1]], by)[1]
    assert first.hash == expected
    mmhash.configure(*by[:1], key=by[1])
    assert counted(lambda: sent(first).hash) == (expected, {"used": 1})
    mmhash.configure("xxh3")
    joined = right([b"a", b"b"], ("xxh3", None))
    assert counted(lambda: sent(first).hash) == (joined[1], {"recomputed": 1})
    assert sent(first).identity == joined[0]
    released = sent(first)
    released.feature = None
    assert read(released) == joined, "of what it held when it was hashed again"
    message = "merge: expected two items hashed by blake3 with the key of id .*, found .* sha256 w"
    with pytest.raises(ValueError, match=message):
        item([b"a"], by=by).merge(item([b"b"], by=("sha256", None)))
    assigned = item([b"a"], by=by, hash=5)
    assigned.merge(item([b"b"], by=by))
    assert counted(lambda: sent(assigned).hash) == (assigned.hash, {}), "trusted, as its part was"


# How it travels.


@pytest.mark.parametrize("by", ALGORITHMS)
def test_copies_keep_their_own_algorithm_and_pickles_do_not(by: Chosen) -> None:
    original = item(by=by)
    for made in (copy.copy(original), copy.deepcopy(original), copy.copy(copy.copy(original))):
        assert counted(lambda made=made: read(made)) == (right(PIXELS, by), {})
        made.feature = b"others"
        assert read(made) == right(b"others", by)
    received = sent(original)
    received.hash = None
    assert read(received) == right(PIXELS, ("xxh3", None))
    replaced = dataclasses.replace(original)
    assert read(replaced) == right(PIXELS, ("xxh3", None)), "a new item"


def test_no_key_travels() -> None:
    executor = mmhash.HashExecutor(algorithm="blake3", key=KEY)
    adopted = Plain(b"pixels")
    executor.submit(1, adopted).result()
    executor.shutdown()
    for each in (item(by=("blake3", KEY)), item(by=("sha256", KEY)), Keyed(b"pixels"), adopted):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(each, protocol)
            assert KEY not in pickled
            assert each._algorithm().maker[1].encode() in pickled
        assert repr(KEY) not in repr(vars(each))
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(Keyed._of_class)  # as what pickles classes by value would


@pytest.mark.parametrize("kind", [Plain, OwnSetstate])
@pytest.mark.parametrize("here", ALGORITHMS)
@pytest.mark.parametrize("there", ALGORITHMS)
def test_a_hash_that_came(there: Chosen, here: Chosen, kind: Any) -> None:
    mmhash.configure(there[0], key=there[1])
    data = pickle.dumps(kind(PIXELS))
    mmhash.configure(here[0], key=here[1])
    received = [pickle.loads(data) for _ in range(3)]

    def look_release_and_read() -> list[Any]:
        assert received[0].is_resolved == (there == here)
        received[1].feature = None
        return [read(each) for each in (*received, *received)]

    how = "used" if there == here else "recomputed"
    assert counted(look_release_and_read) == ([right(PIXELS, here)] * 6, {how: 3})
    assert all(each.is_resolved for each in received)


def test_nothing_left_to_hash(caplog: pytest.LogCaptureFixture) -> None:
    mmhash.configure("blake3", key=KEY)
    original = Plain(PIXELS)
    original.resolve()
    original.feature = None
    data = pickle.dumps(original)
    mmhash.configure("blake3", key=OTHER_KEY)
    received = pickle.loads(data)
    assert received.is_resolved
    assert counted(lambda: read(received)) == (
        right(PIXELS, ("blake3", KEY)),
        {"kept_unchecked": 1},
    )
    assert "nothing is left here that could be hashed" in caplog.text
    attached = pickle.loads(data)
    attached.feature = PIXELS  # as transports do, after the item has come
    assert counted(lambda: read(attached)) == (
        right(PIXELS, ("blake3", OTHER_KEY)),
        {"recomputed": 1},
    )


def test_a_feature_that_is_not_there_yet() -> None:
    """A handle, which has no identity: with one configuration nobody would have looked at it."""
    mmhash.configure("blake3")
    original = Plain(PIXELS)
    original.resolve()
    original.feature = {"a handle"}
    data = pickle.dumps(original)
    mmhash.configure("sha256")
    received = pickle.loads(data)

    def attach_and_read() -> Any:
        received.feature = PIXELS
        return read(received)

    assert counted(attach_and_read) == (right(PIXELS, ("blake3", None)), {"kept_unchecked": 1})


def test_an_item_without_feature_is_valid_whoever_hashed_it() -> None:
    original = item(by=("blake3", None))
    original.feature = None
    inputs = MultimodalInputs.from_dict({"mm_items": [sent(original)]})
    assert inputs.resolve() == [right(PIXELS, ("blake3", None))[1]]


def test_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def receive(there: Chosen, here: Chosen) -> None:
        mmhash.configure(there[0], key=there[1])
        data = pickle.dumps(Plain(PIXELS))
        mmhash.configure(here[0], key=here[1])
        pickle.loads(data).resolve()

    pairs: list[tuple[Chosen, Chosen]] = [
        (("xxh3", None), ("blake3", KEY)),
        (("blake3", KEY), ("xxh3", None)),
        (("blake3", KEY), ("blake3", OTHER_KEY)),
    ]
    for there, here in pairs * 3:
        receive(there, here)
        receive(there, there)
    told = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == len(pairs)
    text = told[0].getMessage()
    key_id = mmhash.algorithms.opened("blake3", KEY).key_id
    assert "a hash by xxh3 without a key, and this process hashes it by blake3 with" in text
    assert f"the key of id {key_id}. It was hashed again" in text
    assert "Configure all processes alike (mmhash.configure(), or MMHASH_ALGORITHM" in text


def test_so_many_pairs_are_told_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(_carried.MOST_WARNINGS + 20):
        by = ("blake3", number.to_bytes(32, "little"))
        assert read(sent(item(by=by))) == right(PIXELS, ("xxh3", None))
    assert len(caplog.records) == _carried.MOST_WARNINGS


def test_who_only_passes_an_item_on_hashes_nothing() -> None:
    mmhash.configure("blake3")
    data = pickle.dumps(Plain(PIXELS))
    mmhash.configure("xxh3")
    for _ in range(2):
        data, counts = counted(lambda: pickle.dumps(copy.copy(pickle.loads(data))))  # noqa: B023
        assert counts == {}
    mmhash.configure("blake3")
    last = pickle.loads(data)
    assert counted(lambda: read(last)) == (right(PIXELS, ("blake3", None)), {"used": 1})


@pytest.mark.parametrize("here", ["xxh3", "blake3"])
def test_the_parts_of_a_bundle_that_came(here: str) -> None:
    """Each is hashed for itself, whether or not the bundle's hash would have been used."""
    mmhash.configure("blake3")
    bundle = sent(Plain([b"a", b"b"]))
    mmhash.configure(here)
    parts = [copy.copy(bundle), copy.copy(bundle)]
    for part, feature in zip(parts, (b"a", b"b"), strict=True):
        part.feature = [feature]
    assert [read(part) for part in parts] == [right([x], (here, None)) for x in (b"a", b"b")]
    assert read(bundle) == right([b"a", b"b"], (here, None))


def test_an_assigned_hash_is_trusted_and_the_identity_beside_it_is_not() -> None:
    mmhash.configure("blake3")
    original = Plain(PIXELS)
    original.hash = 5
    assert original.identity == right(PIXELS, ("blake3", None))[0]
    data = pickle.dumps(original)
    for name, how in (("blake3", "used"), ("sha256", "recomputed")):
        mmhash.configure(name)
        received = pickle.loads(data)
        expected = right(PIXELS, (name, None))[0]
        assert counted(lambda received=received: read(received)) == ((expected, 5), {how: 1})
        assert read(copy.copy(received)) == (expected, 5)


def test_in_another_process() -> None:
    """What decides there is MMHASH_ALGORITHM, as it does in the ranks of a server."""
    mmhash.configure("blake3")
    data = pickle.dumps(MultimodalDataItem("IMAGE", feature=b"pixels"))
    code = (
        "import pickle, sys, mmhash\n"
        "item = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "print(item.identity.hex(), *mmhash.info()['carried'].values())"
    )
    for name, counts in (("blake3", "1 0 0"), ("sha256", "0 1 0")):
        found = python_output(code, data.hex(), MMHASH_ALGORITHM=name)
        assert found == f"{right(b'pixels', (name, None))[0].hex()} {counts}"


def test_what_an_earlier_mmhash_finds() -> None:
    """It calls the function that the pickle names, which told versions apart already then."""
    original = Plain(b"pixels")
    original.resolve()
    function, (state,) = original.__dict__["_mmhash_state"].__reduce__()
    assert (function.__module__, function.__name__) == ("mmhash._hash_state", "arrived")
    assert state[0] == 3
    original.hash = None
    assert original.__dict__["_mmhash_state"].__reduce__()[1][0][0] == 3


# The executor.


def test_an_executor_has_an_algorithm_for_items_that_have_none() -> None:
    mmhash.configure("sha256")
    by: Chosen = ("blake3", KEY)
    items = [Plain(PIXELS), MultimodalDataItem("IMAGE", feature=PIXELS)]
    others = [item(by=("blake3", None)), Keyed(PIXELS)]
    with mmhash.HashExecutor(algorithm="blake3", key=KEY) as executor:
        expected = [right(PIXELS, each) for each in (by, by, ("blake3", None), ("sha256", KEY))]
        assert executor.submit(1, items + others).result(30) == [number for _, number in expected]
        assert [read(each) for each in items + others] == expected
        items[0].hash = None
        assert read(items[0]) == right(PIXELS, by), "it is its own from then on"
        with pytest.raises(TypeError, match=r"inputs\[1\]: expected an item with mmhash.LazyHash"):
            executor.submit(2, [Plain(PIXELS), Duck()])
    with mmhash.HashExecutor() as executor:
        assert executor.submit(1, [Plain(PIXELS), Duck()]).result(30)[1] == 7


class Duck:
    def resolve(self) -> int:
        return 7


def test_an_executor_does_not_pass_another_algorithms_hash_for_its_own() -> None:
    assigned = Plain(PIXELS)
    assigned.hash = 5
    early = Plain(PIXELS)
    early.resolve()
    with mmhash.HashExecutor(algorithm="blake3") as executor:
        assert executor.submit(1, assigned).result(30) == [5]
        message = "hash: expected an item that was not hashed yet, or by blake3 .* xxh3 without"
        with pytest.raises(ValueError, match=message):
            executor.submit(2, early).result(30)


def test_an_executor_takes_what_came_and_cannot_be_hashed() -> None:
    original = item(by=("sha256", None))
    original.resolve()
    right_number = original.hash
    for left in (None, {"a handle"}):
        original.feature = left
        received = sent(original)
        with mmhash.HashExecutor(algorithm="blake3") as executor:
            hashed = counted(lambda: executor.submit(1, received).result(30))  # noqa: B023
        assert hashed == ([right_number], {"kept_unchecked": 1})


def test_an_executor_knows_what_came() -> None:
    """Of an item that carries a hash by the executor's key, which the process does not have."""
    data = pickle.dumps(item(by=("blake3", KEY)))
    with mmhash.HashExecutor(algorithm="blake3", key=KEY) as executor:
        hashed = counted(lambda: executor.submit(1, pickle.loads(data)).result(30))
        assert hashed == ([right(PIXELS, ("blake3", KEY))[1]], {"used": 1})
    with mmhash.HashExecutor(algorithm="blake3", key=OTHER_KEY) as executor:
        hashed = counted(lambda: executor.submit(1, pickle.loads(data)).result(30))
        assert hashed == ([right(PIXELS, ("blake3", OTHER_KEY))[1]], {"recomputed": 1})


def test_an_executor_has_an_algorithm_for_items_with_a_setstate_of_their_own() -> None:
    """Which keeps the empty place of an algorithm that was left out of the pickle."""
    original = OwnSetstate(PIXELS)
    with mmhash.HashExecutor(algorithm="blake3") as executor:
        executor.submit(1, original).result(30)
    received = sent(original)
    by: Chosen = ("sha256", KEY)
    with mmhash.HashExecutor(algorithm=by[0], key=by[1]) as executor:
        assert executor.submit(1, received).result(30) == [right(PIXELS, by)[1]]
    assert read(received) == right(PIXELS, by)
