"""LazyHash: when it hashes, what it keeps, and that it is the hash that an eager item has."""

from __future__ import annotations

import copy
import dataclasses
import io
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

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

    def __init__(self, value: Any = 1.0) -> None:
        self.hashed = 0
        self.value = np.full(4, value)

    def __dlpack__(self, **_: Any) -> Any:
        self.hashed += 1
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


def test_a_feature_that_asks_for_its_own_hash() -> None:
    class Recursive(Counting):
        def __dlpack__(self, **_: Any) -> Any:
            return item.hash

    item = Plain(Recursive())
    with pytest.raises(RuntimeError, match="asked for the item's own hash"):
        _ = item.hash


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


@pytest.mark.parametrize("state", [(1, 5, None), (2, 5, None), "text", (), (None, 1, None)])
def test_a_state_of_another_version(state: Any) -> None:
    item = Plain(b"pixels")
    item.__dict__[lazy.STATE] = state
    for read in (lambda: item.hash, lambda: item.identity, lambda: item.pad_value):
        with pytest.raises(ValueError, match=f"^{lazy.STATE}: "):
            read()
    data = pickle.dumps(item)
    with pytest.raises(ValueError, match=f"^{lazy.STATE}: "):
        pickle.loads(data)


@pytest.mark.parametrize("way", ["copy", "deepcopy"])
@pytest.mark.parametrize("kind", [Plain, Data, Slotted, Getattr])
def test_a_bundle_that_is_split_into_copies(way: str, kind: Any) -> None:
    """As engines do: each part is hashed for itself, in whatever order it is told so."""
    features = [b"a", b"b", b"c"]

    def parts(bundle: Any, *, forget: str) -> list[int]:
        found = []
        for i in range(3):
            part = COPIES[way](bundle)
            if forget == "before":
                part.hash = None
            part.feature = features[i : i + 1]
            if forget == "after":
                part.hash = None
            found.append(part.hash)
        return found

    right = [mmhash.hash_feature([each]) for each in features]
    for forget in ("before", "after", "never"):
        bundle = kind(features)
        assert parts(bundle, forget=forget) == right
        assert bundle.hash == mmhash.hash_feature(features)
        bundle.hash = None  # the parts of an item that was to be hashed anew
        assert parts(bundle, forget=forget) == right


def test_after_none_the_next_read_computes() -> None:
    item = Plain(b"pixels", b"embeddings")
    item.hash = 5
    item.hash = None
    item.feature = b"others"
    item.feature = None
    item.precomputed_embeddings = b"more"
    assert not item.is_resolved
    item.hash = None
    assert item.hash == mmhash.hash_feature(b"more")
    item.feature = b"pixels"
    assert item.hash == mmhash.hash_feature(b"more"), "the read has been"
    item.hash = None
    item.feature = b"others"
    assert pickle.loads(pickle.dumps(item)).hash == item.hash == mmhash.hash_feature(b"others")


def test_what_a_copy_keeps() -> None:
    item = Plain(b"pixels")
    made = copy.copy(item)
    made.feature = None
    assert made.hash == item.hash, "released"
    made.feature = b"others"
    assert made.hash == mmhash.hash_feature(b"others")
    assert item.hash == mmhash.hash_feature(b"pixels")
    received = pickle.loads(pickle.dumps(copy.copy(item)))
    received.feature = b"moved"
    assert received.hash == item.hash, "what was sent is trusted, a copy or not"
    item.hash = 5
    made = copy.copy(item)
    made.feature = b"others"
    assert made.hash == 5, "a hash that was assigned is the caller's"


def test_copies_share_no_state() -> None:
    class Own(Postponed):
        def __setstate__(self, state: Any) -> None:
            super().__setstate__(state)

    for kind in (Postponed, Own):
        item = kind(b"pixels")
        item.hash = None
        made = copy.copy(item)
        made.feature = b"others"
        received = pickle.loads(pickle.dumps(item)) if kind is Postponed else copy.deepcopy(item)
        received.feature = b"more"
        assert [each.hash for each in (made, item, received)] == [
            mmhash.hash_feature(each) for each in (b"others", b"pixels", b"more")
        ]


class Eager:
    """What LazyHash must look like: an item that is hashed when it is made.

    But for two things that an eager item gets wrong: after `hash = None` it is hashed when it is
    read, and a copy that is given another feature is hashed anew.
    """

    def __init__(self, feature: Any, precomputed_embeddings: Any) -> None:
        self.feature, self.precomputed_embeddings = feature, precomputed_embeddings
        self.hash: int | None = None
        self.forgotten = self.computed = self.copied = False
        self.changed()

    @property
    def source(self) -> Any:
        return self.precomputed_embeddings if self.feature is None else self.feature

    def changed(self) -> None:
        if not self.forgotten:
            self.read()

    def read(self) -> int | None:
        if self.hash is None and self.source is not None:
            self.hash = mmhash.hash_feature(self.source)
            self.forgotten, self.computed = False, True
        return self.hash

    def assign(self, value: int | None) -> None:
        self.hash = None if value is None else value % 2**64
        self.forgotten, self.computed, self.copied = value is None, False, False


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
            eager.read()
            eager.copied = not value.startswith("pickle") and eager.computed
            eager.feature, eager.precomputed_embeddings = (
                lazily.feature,
                lazily.precomputed_embeddings,
            )
        elif name == "hash":
            lazily.hash = value
            eager.assign(value)
        else:
            if name == "move":
                name, value = "feature", moved(lazily.feature, value)
            before = eager.source
            setattr(lazily, name, value)
            setattr(eager, name, value)
            if eager.copied and eager.source is not None and eager.source is not before:
                eager.assign(None)
            eager.changed()  # as whoever gives an item its first feature does
    assert agree(lazily, eager)


def moved(feature: Any, way: str) -> Any:
    if isinstance(feature, torch.Tensor) and way == "array":
        return feature.numpy()
    if isinstance(feature, np.ndarray) and way == "strided":
        return np.repeat(feature, 2)[::2]
    return list(feature) if isinstance(feature, list) else feature


def agree(lazily: Any, eager: Eager) -> bool:
    if eager.read() is None:
        with pytest.raises(ValueError, match="nothing to hash"):
            _ = lazily.hash
        return True
    return bool(lazily.hash == eager.hash)


def test_a_damaged_image_is_not_pickled_as_a_black_one() -> None:
    """Pillow itself would, the second time it is asked for its pixels."""

    class Unresolved(Plain):
        resolve_before_copying = False

    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "PNG")
    item = Unresolved(Image.open(io.BytesIO(file.getvalue()[:-200])))
    for _ in range(3):
        with pytest.raises(OSError, match="truncated"):
            item.__reduce_ex__(4)
