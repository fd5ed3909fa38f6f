"""LazyHash: when it hashes, what it keeps, and that it is the hash that an eager item has."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from subprocesses import python_output

import mmhash
from mmhash import lazy


class Plain(mmhash.LazyHash):
    def __init__(self, feature: Any = None, precomputed_embeddings: Any = None) -> None:
        self.feature, self.precomputed_embeddings = feature, precomputed_embeddings


@dataclasses.dataclass
class Data(mmhash.LazyHash):
    feature: Any = None
    precomputed_embeddings: Any = None
    name: str = ""


@dataclasses.dataclass(slots=True)
class Slotted(mmhash.LazyHash):
    feature: Any = None
    precomputed_embeddings: Any = None


class Getattr(Plain):
    """As SGLang's items: what is missing is looked for elsewhere."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no attribute {name!r}")


KINDS = [Plain, Data, Slotted, Getattr, lambda x: mmhash.MultimodalDataItem("IMAGE", feature=x)]


class Counting:
    """A feature that counts how often it is hashed."""

    def __init__(self, value: Any = 1.0, seconds: float = 0.0) -> None:
        self.hashed = 0
        self.value, self.seconds = np.full(4, value), seconds

    def __dlpack__(self, **_: Any) -> Any:
        self.hashed += 1
        time.sleep(self.seconds)
        return self.value.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@pytest.mark.parametrize("make", KINDS)
def test_the_first_read_hashes_and_the_next_does_not(make: Any) -> None:
    feature = Counting()
    item = make(feature)
    assert not item.is_resolved
    expected = mmhash.hash_feature(feature.value)
    assert (item.hash, item.pad_value, item.identity) == (
        expected,
        expected % 2**30,
        mmhash.identity(feature.value),
    )
    item.set_pad_value()
    assert (item.hash, item.resolve()) == (expected, expected)
    assert feature.hashed == 1


@pytest.mark.parametrize("make", KINDS)
def test_releasing_the_feature_hashes_it_first(make: Any) -> None:
    item = make(b"pixels")
    item.feature = None
    assert item.is_resolved
    assert item.hash == mmhash.hash_feature(b"pixels")
    item.hash = None
    with pytest.raises(ValueError, match="hash: nothing to hash, feature and precomputed_emb"):
        _ = item.hash
    with pytest.raises(ValueError, match="read the hash before both are released"):
        _ = item.identity


def test_deleting_the_feature_hashes_it_first() -> None:
    item = Plain(b"pixels")
    del item.feature
    assert item.is_resolved
    assert item.hash == mmhash.hash_feature(b"pixels")
    other = Plain(b"pixels", b"embeddings")
    del other.precomputed_embeddings
    assert not other.is_resolved, "it is hashed only where there is no feature"
    unhashable = Plain({1, 2})
    with pytest.raises(TypeError, match="a set"):
        del unhashable.feature
    assert unhashable.feature == {1, 2}, "released, and the hash lost"


@pytest.mark.parametrize("empty", [None, [], [[], [None]]])
def test_embeddings_count_where_the_feature_is_empty(empty: Any) -> None:
    """An empty list has an identity, which all such items would share."""
    items = [Plain(empty, b"a"), Plain(empty, b"b")]
    assert [item.hash for item in items] == [mmhash.hash_feature(b"a"), mmhash.hash_feature(b"b")]
    for name in ("feature", "precomputed_embeddings"):
        item = Plain(empty, b"a")
        setattr(item, name, b"pixels")
        assert item.hash == mmhash.hash_feature(b"a"), "as if it had been read before"
    item = Plain(empty)
    assert not item.is_resolved
    with pytest.raises(ValueError, match="nothing to hash, feature and precomputed_embeddings are"):
        _ = item.hash
    item.feature = b"pixels"
    assert item.hash == mmhash.hash_feature(b"pixels")


def test_moving_a_feature_does_not_change_the_hash() -> None:
    x = torch.arange(12.0).reshape(3, 4)
    item = Plain(x)
    item.feature = x.clone()
    assert item.is_resolved
    right = item.hash
    for moved in (x.numpy(), x.T.contiguous().T, x.half(), [x]):
        item.feature = moved
        assert item.hash == right
    unresolved = Plain(x)
    unresolved.feature = x  # the same: nothing is replaced
    assert not unresolved.is_resolved


def test_embeddings_are_hashed_where_there_is_no_feature() -> None:
    item = Plain(precomputed_embeddings=b"embeddings")
    assert item.hash == mmhash.hash_feature(b"embeddings")
    both = Plain(b"pixels", b"embeddings")
    both.precomputed_embeddings = None  # not what would be hashed
    assert not both.is_resolved
    assert both.hash == mmhash.hash_feature(b"pixels")


@pytest.mark.parametrize("make", KINDS)
def test_assigning(make: Any) -> None:
    item = make(b"pixels")
    item.hash = 2**64 + 2**40 + 5
    assert (item.hash, item.pad_value) == (2**40 + 5, (2**40 + 5) % 2**30)
    assert item.identity == mmhash.identity(b"pixels"), "of the feature all the same"
    assert item.hash == 2**40 + 5
    item.hash = np.uint64(7)
    assert item.hash == 7
    item.hash = None
    assert not item.is_resolved
    assert item.hash == mmhash.hash_feature(b"pixels")


@pytest.mark.parametrize(
    ("value", "error", "found"),
    [
        (-1, ValueError, "-1"),
        (1.0, TypeError, "a float"),
        ("0xff", TypeError, "a str"),
        (True, TypeError, "a bool"),
        (b"12345678", TypeError, "a bytes"),
    ],
)
def test_bad_hashes(value: Any, error: type[Exception], found: str) -> None:
    item = Plain(b"pixels")
    message = f"^hash: expected a non-negative int or None, found {found}$"
    with pytest.raises(error, match=message):
        item.hash = value
    assert not item.is_resolved
    with pytest.raises(AttributeError):
        item.pad_value = 3  # type: ignore[misc]


def test_looking_at_an_item_does_not_hash() -> None:
    item = Data(Counting(), name="a")
    repr(item)
    assert item == dataclasses.replace(item)
    assert item != Data(name="b")
    assert dataclasses.asdict(Data(b"x"))["feature"] == b"x"
    assert {field.name for field in dataclasses.fields(item)} == {
        "feature",
        "precomputed_embeddings",
        "name",
    }
    vars(item), dir(item)
    assert not item.is_resolved
    assert item.feature.hashed == 0


def test_a_replaced_feature_is_not_given_the_old_hash() -> None:
    item = Data(b"pixels")
    assert item.hash == mmhash.hash_feature(b"pixels")
    other = dataclasses.replace(item, feature=b"others")
    assert other.hash == mmhash.hash_feature(b"others")


@pytest.mark.parametrize("make", KINDS)
def test_errors_surface_as_themselves(make: Any) -> None:
    item = make({1, 2})
    for _ in range(2):
        with pytest.raises(TypeError, match="no identity for value: a set"):
            _ = item.hash
    assert not item.is_resolved, "an error was kept"
    with pytest.raises(TypeError, match="no identity"):
        hasattr(item, "hash")
    with pytest.raises(TypeError, match="no identity"):
        item.feature = None
    assert item.feature == {1, 2}, "released, and the hash lost"


@pytest.mark.parametrize("make", KINDS)
def test_an_attribute_error_is_no_missing_attribute(make: Any) -> None:
    class Broken(Counting):
        def __dlpack__(self, **_: Any) -> Any:
            raise AttributeError("inside")

    item = make(Broken())
    with pytest.raises(RuntimeError, match=r"hashing a .*Broken failed: inside"):
        hasattr(item, "hash")


def test_classes_that_define_a_hash_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Own defines 'hash', which mmhash\.LazyHash provides"):

        class Own(mmhash.LazyHash):
            hash = None  # type: ignore[assignment]

    class Other:
        pad_value = 3

    with pytest.raises(TypeError, match=r"Other defines 'pad_value'"):

        class Both(Other, mmhash.LazyHash):
            pass

    class Doubled(Plain):
        @property
        def pad_value(self) -> int:
            return 2 * super().pad_value

    assert Doubled(b"x").pad_value == 2 * Plain(b"x").pad_value


COPIES: dict[str, Any] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda item, protocol=protocol: pickle.loads(
            pickle.dumps(item, protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("kind", [Plain, Data, Slotted, Getattr])
@pytest.mark.parametrize("way", COPIES)
def test_copies_carry_the_hash(way: str, kind: Any) -> None:
    item = kind(np.arange(9))
    made = COPIES[way](item)
    assert item.is_resolved
    assert made.is_resolved
    assert (made.hash, made.identity) == (item.hash, mmhash.identity(np.arange(9)))
    assert np.array_equal(made.feature, item.feature)
    made.hash = 5
    assert COPIES[way](made).hash == 5
    assert COPIES[way](kind()).feature is None, "nothing to hash is no error"


class Postponed(Data):
    resolve_before_copying = False


@pytest.mark.parametrize("way", COPIES)
def test_a_class_can_turn_that_off(way: str) -> None:
    item = Postponed(b"pixels")
    made = COPIES[way](item)
    assert not item.is_resolved
    assert not made.is_resolved
    assert made.hash == mmhash.hash_feature(b"pixels")


def test_a_received_hash_is_trusted() -> None:
    item = Plain(b"pixels")
    item.hash = 1
    received = pickle.loads(pickle.dumps(item))
    received.feature = b"others"
    assert received.hash == 1


@pytest.mark.parametrize("state", [(2, 5, None), "text", (), (None, 1, None)])
def test_a_state_of_another_version(state: Any) -> None:
    item = Plain(b"pixels")
    item.__dict__[lazy.STATE] = state
    for read in (lambda: item.hash, lambda: item.identity, lambda: item.pad_value):
        with pytest.raises(ValueError, match=f"^{lazy.STATE}: "):
            read()
    data = pickle.dumps(item)
    with pytest.raises(ValueError, match=f"^{lazy.STATE}: "):
        pickle.loads(data)


def run_together(*functions: Any) -> list[Any]:
    found: list[Any] = [None] * len(functions)
    start = threading.Barrier(len(functions))

    def run(i: int) -> None:
        start.wait()
        try:
            found[i] = functions[i]()
        except Exception as error:
            found[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "deadlock"
    return found


def test_threads_hash_once() -> None:
    item = Plain(Counting(seconds=0.05))
    found = run_together(*[lambda: item.hash] * 8)
    assert found == [mmhash.hash_feature(item.feature.value)] * 8
    assert item.feature.hashed == 1


def test_a_thread_that_releases_the_feature_waits_for_the_hash() -> None:
    feature = Counting(seconds=0.05)
    item = Plain(feature)
    run_together(lambda: item.hash, lambda: setattr(item, "feature", None))
    assert (item.feature, item.hash) == (None, mmhash.hash_feature(feature.value))
    assert feature.hashed == 1


def test_a_hash_assigned_meanwhile_stays() -> None:
    item = Plain(Counting(seconds=0.2))
    hashing = threading.Thread(target=item.resolve)
    hashing.start()
    while not item.feature.hashed:
        time.sleep(0.001)
    item.hash = 5
    hashing.join()
    assert item.hash == 5


def test_each_thread_gets_the_error() -> None:
    item = Plain({1})
    found = run_together(*[lambda: item.hash] * 4)
    assert [type(error) for error in found] == [TypeError] * 4


def test_a_feature_that_asks_for_its_own_hash() -> None:
    class Recursive(Counting):
        def __dlpack__(self, **_: Any) -> Any:
            return item.hash

    item = Plain(Recursive())
    with pytest.raises(RuntimeError, match="asked for the item's own hash"):
        _ = item.hash


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_a_thread_hashes() -> None:
    code = """
import os, signal, threading, time, warnings
import mmhash
warnings.simplefilter("ignore", DeprecationWarning)

class Feature:
    def __dlpack__(self, **_):
        time.sleep(0.3)
        raise TypeError("no")
    def __dlpack_device__(self):
        return (1, 0)

class Item(mmhash.LazyHash):
    precomputed_embeddings = None
    def __init__(self, feature):
        self.feature = feature

item = Item(Feature())
thread = threading.Thread(target=lambda: print(type(raised(item)).__name__))
def raised(item):
    try:
        item.hash
    except Exception as error:
        return error
thread.start()
time.sleep(0.05)
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if isinstance(raised(item), TypeError) else 1)
print(os.waitpid(child, 0)[1])
thread.join()
"""
    assert sorted(python_output(code).split()) == ["0", "TypeError"]


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_between_processes(method: str) -> None:
    """The receiver computes nothing: it has no feature that could be hashed."""
    code = """
import multiprocessing, sys
from test_lazy import Plain, receive
import mmhash, numpy as np

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    item = Plain(np.arange(5000.0))
    there, back = context.Queue(), context.Queue()
    process = context.Process(target=receive, args=(there, back))
    process.start()
    there.put(item)
    found = back.get(timeout=60)
    process.join()
    assert found[:2] == (True, item.hash), found
    assert found[2].identity == mmhash.identity(np.arange(5000.0))
    print("right")
"""
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    assert python_output(code, method) == "right"


def receive(there: Any, back: Any) -> None:
    item = there.get(timeout=60)
    back.put((item.is_resolved, item.hash, item))


class Eager:
    """What LazyHash must look like: an item that is hashed when it is made."""

    def __init__(self, feature: Any, precomputed_embeddings: Any) -> None:
        self.feature, self.precomputed_embeddings = feature, precomputed_embeddings
        self.hash: int | None = None
        self.set_pad_value()

    def set_pad_value(self) -> None:
        held = self.precomputed_embeddings if self.feature is None else self.feature
        if self.hash is None and held is not None:
            self.hash = mmhash.hash_feature(held)


features = st.sampled_from(
    [None, b"pixels", b"others", np.arange(6), np.arange(6.0), torch.arange(6.0), [b"a", b"b"]]
)
steps = st.one_of(
    st.tuples(st.sampled_from(["feature", "precomputed_embeddings"]), features),
    st.tuples(st.just("hash"), st.none() | st.integers(0, 2**65)),
    st.tuples(st.just("read"), st.none()),
    st.tuples(st.just("move"), st.sampled_from(["array", "strided", "list"])),
    st.tuples(st.just("copy"), st.sampled_from(sorted(COPIES))),
)


@given(feature=features, embeddings=features, sequence=st.lists(steps, max_size=12))
def test_lazy_and_eager_agree(feature: Any, embeddings: Any, sequence: Any) -> None:
    lazily, eager = Plain(feature, embeddings), Eager(feature, embeddings)
    for name, value in sequence:
        if name == "read":
            assert agree(lazily, eager)
        elif name == "copy":
            lazily = COPIES[value](lazily)
        elif name == "hash":
            lazily.hash = value
            eager.hash = value if value is None else value % 2**64
            eager.set_pad_value()
        else:
            if name == "move":
                name, value = "feature", moved(lazily.feature, value)
            setattr(lazily, name, value)
            setattr(eager, name, value)
            eager.set_pad_value()  # as whoever gives an item its first feature does
    assert agree(lazily, eager)


def moved(feature: Any, way: str) -> Any:
    if isinstance(feature, torch.Tensor) and way == "array":
        return feature.numpy()
    if isinstance(feature, np.ndarray) and way == "strided":
        return np.repeat(feature, 2)[::2]
    return list(feature) if isinstance(feature, list) else feature


def agree(lazily: Any, eager: Eager) -> bool:
    if eager.hash is None:
        with pytest.raises(ValueError, match="nothing to hash"):
            _ = lazily.hash
        return True
    return bool(lazily.hash == eager.hash)
