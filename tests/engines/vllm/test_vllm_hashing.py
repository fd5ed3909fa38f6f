"""What vLLM hashes, hashed by mmhash: equal keys for equal values and for no others."""

from __future__ import annotations

import copy
import io
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

vllm_hasher = pytest.importorskip("vllm.multimodal.hasher")
import torch  # noqa: E402 - without vLLM there need be none
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from PIL import Image  # noqa: E402
from vllm.multimodal.media import MediaWithBytes  # noqa: E402

import mmhash.engines.vllm  # noqa: E402
from mmhash import _core, algorithms  # noqa: E402
from mmhash.engines.vllm import probe  # noqa: E402
from mmhash.engines.vllm import values as vllm_values  # noqa: E402
from mmhash.engines.vllm.values import BAND_BYTES  # noqa: E402

Hasher = vllm_hasher.MultiModalHasher
original = vars(Hasher)["hash_kwargs"].__func__


@pytest.fixture(autouse=True, scope="module")
def installed() -> Iterator[None]:
    installation = mmhash.engines.vllm.install()
    yield
    installation.uninstall()


def ours(**kwargs: object) -> str:
    return str(Hasher.hash_kwargs("blake3", **kwargs))


def theirs(**kwargs: object) -> str:
    return str(original(Hasher, "blake3", **kwargs))


def picture(mode: str = "RGB", color: Any = 7) -> Image.Image:
    return Image.new(mode, (10, 20), color)


def noise(mode: str, width: int, height: int) -> Image.Image:
    """An image of several bands, every pixel of which is drawn."""
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 200)
    return Image.fromarray(pixels).convert("L" if mode in ("I", "F", "LA") else "RGB").convert(mode)


def with_id(image: Image.Image, image_id: object) -> Image.Image:
    image.getexif()[Image.ExifTags.Base.ImageID] = image_id
    return image


def paletted(*colors: int) -> Image.Image:
    image = Image.new("P", (4, 4))
    image.putpalette(list(colors))
    return image


def transparent(index: int) -> Image.Image:
    image = paletted(1, 2, 3, 4, 5, 6)
    image.info["transparency"] = index
    return image


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def media(image: Image.Image, data: bytes, **io_config: object) -> Any:
    return MediaWithBytes(image, data, io_config or None)


FRAMES = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)

DIFFERENT: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "shape": (lambda: np.zeros((4, 6)), lambda: np.zeros((6, 4))),
    "dtype": (lambda: np.zeros(4, np.int32), lambda: np.zeros(4, np.float32)),
    "bfloat16": (lambda: torch.zeros(4, dtype=torch.bfloat16), lambda: torch.zeros(4).half()),
    "0-d array and number": (lambda: np.array(1), lambda: 1),
    "array and tensor": (lambda: np.zeros(3, np.float32), lambda: torch.zeros(3)),
    "zero and zero": (lambda: 0, lambda: 0.0),
    "true and one": (lambda: True, lambda: 1),
    "text and bytes": (lambda: "a", lambda: b"a"),
    "none and empty": (lambda: None, lambda: b""),
    "list boundary": (lambda: [[1], [2, 3]], lambda: [[1, 2], [3]]),
    "nesting": (lambda: [1, [2]], lambda: [[1], 2]),
    "a list that looks like a tensor": (lambda: torch.zeros(3), lambda: ["tensor", torch.zeros(3)]),
    "a list that looks like a mapping": (lambda: {"a": 1}, lambda: ["mapping", ["a", 1]]),
    "a list that looks like a list": (lambda: ["a"], lambda: ["sequence", "a"]),
    "a mapping's keys": (lambda: {1: "a"}, lambda: {"1": "a"}),
    "keys that print alike": (
        lambda: {(1, 2): "a", "(1, 2)": "b"},
        lambda: {(1, 2): "c", "(1, 2)": "b"},
    ),
    "large numbers": (lambda: 2**80, lambda: 2**80 + 1),
    "dates": (lambda: np.array(["2001-01-01"], "M8[D]"), lambda: np.array([11323], np.int64)),
    "strings": (lambda: np.array(["ab", "c"]), lambda: np.array(["a", "bc"])),
    "extended precision": (lambda: np.array([1], "g"), lambda: np.array([2], "g")),
    "records": (
        lambda: np.zeros(2, [("a", "<i4"), ("b", "<i4")]),
        lambda: np.zeros(2, [("a", "<i8")]),
    ),
    "mode": (lambda: picture("1", 1), lambda: picture("L", 1)),
    "size": (lambda: picture().resize((20, 10)), picture),
    "palette": (lambda: paletted(1, 2, 3), lambda: paletted(3, 2, 1)),
    "transparency": (lambda: transparent(0), lambda: transparent(1)),
    "image ids": (
        lambda: with_id(picture(), uuid.UUID(int=1)),
        lambda: with_id(picture(), uuid.UUID(int=2)),
    ),
    "image file and image": (lambda: media(picture(), png(picture())), picture),
    "image file and bytes": (lambda: media(picture(), b"x"), lambda: b"x"),
    "how a file was read": (
        lambda: media(picture(), b"x", rgba_background_color=(0, 0, 0)),
        lambda: media(picture(), b"x", rgba_background_color=(255, 255, 255)),
    ),
    "sampled frames": (
        lambda: MediaWithBytes(FRAMES, bytes(100)),
        lambda: MediaWithBytes(FRAMES[:1], bytes(100)),
    ),
    "frames and file": (lambda: MediaWithBytes(FRAMES, bytes(100)), lambda: bytes(100)),
}

SAME: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "contiguous and not": (
        lambda: np.arange(24).reshape(4, 6).T,
        lambda: np.ascontiguousarray(np.arange(24).reshape(4, 6).T),
    ),
    "tensor that requires grad": (lambda: torch.ones(3, requires_grad=True), lambda: torch.ones(3)),
    "list and tuple": (lambda: [1, "a"], lambda: (1, "a")),
    "bytes and view": (lambda: b"abc", lambda: memoryview(b"abc")),
    "image id": (lambda: with_id(picture(), uuid.UUID(int=7)), lambda: uuid.UUID(int=7).bytes),
    "image id of a file": (
        lambda: media(with_id(picture(), uuid.UUID(int=7)), b"x"),
        lambda: uuid.UUID(int=7).bytes,
    ),
    "no UUID": (lambda: with_id(picture(), "7"), picture),
    "file": (lambda: media(picture(), b"x"), lambda: media(picture("L"), b"x")),
    "file of many frames": (
        lambda: MediaWithBytes(FRAMES, b"x"),
        lambda: MediaWithBytes(torch.zeros(2, 2, 2, 3, dtype=torch.uint8), b"x"),
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values_have_different_keys(name: str) -> None:
    one, other = DIFFERENT[name]
    assert ours(x=one()) != ours(x=other())
    assert ours(x=[one()]) != ours(x=[other()])
    assert ours(x=one()) == ours(x=one())


@pytest.mark.parametrize("name", SAME)
def test_equal_values_have_equal_keys(name: str) -> None:
    one, other = SAME[name]
    assert ours(x=one()) == ours(x=other())


def test_arguments() -> None:
    assert ours(a=1, b=2) == ours(b=2, a=1)
    assert len({ours(), ours(a=None), ours(b=None), ours(a=1, b=2), ours(a=2, b=1)}) == 5
    assert len(ours(a=1)) == 64
    with pytest.raises(TypeError, match="algorithm"):
        Hasher.hash_kwargs(a=1)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_configured_algorithm_stays(algorithm: str) -> None:
    value = {"x": [np.arange(6), "a"]}
    assert Hasher.hash_kwargs(algorithm, **value) == original(Hasher, algorithm, **value)
    with pytest.raises(ValueError, match="Unsupported hash algorithm: md5"):
        Hasher.hash_kwargs("md5", x=1)


@pytest.mark.parametrize("algorithm", ["xxh3", "blake3", "sha256"])
def test_every_part_of_a_value_is_hashed_by_the_algorithm(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bands of an image too: the whole is as strong as its weakest part."""
    named = []

    class Core:
        load_image = staticmethod(_core.load_image)

        @staticmethod
        def identity(value: object, *, algorithm: Any) -> bytes:
            named.append(algorithm.name)
            return mmhash.identity(value, algorithm=algorithm)

    monkeypatch.setattr(vllm_values, "_core", Core)
    of = vllm_values.Values(probe.probe(probe.load()), algorithms.opened(algorithm)).of_all
    image = noise("RGB", 600, 3 * BAND_BYTES // (4 * 600) + 5)
    of({"x": [image, np.arange(6), torch.zeros(3)]})
    assert named == [algorithm] * 4


def test_an_array_of_objects_is_refused() -> None:
    with pytest.raises(TypeError, match="found one of Python objects"):
        ours(x=np.array([object()]))
    with pytest.raises(TypeError, match="sparse"):
        ours(x=torch.eye(3).to_sparse())


def test_what_is_unknown_is_pickled_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(vllm_hasher.logger, "warning", lambda text, *_: warned.append(text))
    assert ours(x=uuid.UUID(int=1)) == ours(x=uuid.UUID(int=1)) != ours(x=uuid.UUID(int=2))
    assert len(warned) == 3
    assert all("Falling back to pickle" in text for text in warned)


class Holder:
    """Of a class that vLLM does not know."""

    def __init__(self, image: Image.Image) -> None:
        self.parts = [{"image": image}]


def test_images_within_what_is_pickled_are_loaded_as_identity_loads_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = io.BytesIO()
    picture().save(file, "PNG")
    loaded = []
    own = _core.load_image

    def load_image(image: Image.Image) -> None:
        loaded.append(image)
        own(image)

    monkeypatch.setattr(vllm_values._core, "load_image", load_image)
    opened = Image.open(io.BytesIO(file.getvalue()))
    key = ours(x=Holder(opened))
    assert loaded == [opened]
    decoded = Image.open(io.BytesIO(file.getvalue()))
    decoded.load()
    assert key == ours(x=Holder(decoded)) != ours(x=Holder(picture(color=8)))


def nested(value: object, levels: int) -> object:
    for level in range(levels):
        value = {"x": value} if level % 2 else [value]
    return value


def test_deep_values_have_keys_and_too_deep_ones_are_refused_by_name() -> None:
    assert ours(x=nested(1, 300)) == ours(x=nested(1, 300)) != ours(x=nested(2, 300))
    with pytest.raises(ValueError, match="at most 1000 lists"):
        ours(x=nested(1, 100_000))


def test_values_that_contain_themselves_are_refused_by_name() -> None:
    cycle: list[Any] = [1]
    cycle.append({"x": cycle})
    with pytest.raises(ValueError, match="contains itself"):
        ours(x=cycle)


def test_in_threads() -> None:
    arrays = [np.full((300, 1000), i) for i in range(16)]
    expected = [ours(x=array) for array in arrays]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda array: ours(x=array), arrays)) == expected


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sampled_from([np.float32, np.int64, np.uint8]).flatmap(
        lambda dtype: st.sampled_from([(0,), (4,), (2, 2), (1, 4)]).map(
            lambda shape: np.zeros(shape, dtype)
        )
    ),
    st.sampled_from([torch.zeros(2, 2), torch.zeros(4), torch.zeros(4, dtype=torch.bfloat16)]),
)
values = st.recursive(
    leaves,
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.tuples(parts, parts)
        | st.dictionaries(st.text(max_size=2), parts, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=500, deadline=None)
@given(one=values, other=values)
def test_no_coarser_than_vllm(one: Any, other: Any) -> None:
    """Of two values, what vLLM tells apart is told apart; and a copy has the same key."""
    assert ours(x=copy.deepcopy(one)) == ours(x=one)
    if theirs(x=one) != theirs(x=other):
        assert ours(x=one) != ours(x=other)


MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "LA", "I;16")


@pytest.mark.parametrize("mode", MODES)
def test_every_part_of_a_large_image_counts(mode: str) -> None:
    """Images of three bands and a part: one pixel, wherever it is, makes another key."""
    width = 600
    height = 3 * BAND_BYTES // (4 * width) + 5
    image = noise(mode, width, height)
    keys = {ours(image=image), ours(image=image.copy())}
    rows = (0, height // 3, height // 2, height - 2, height - 1)
    for row in rows:
        changed = image.copy()
        old = changed.getpixel((width - 1, row))
        new = (old[0] ^ 1, *old[1:]) if isinstance(old, tuple) else _another(mode, old)
        changed.putpixel((width - 1, row), new)
        keys.add(ours(image=changed))
    assert len(keys) == 1 + len(rows)


def _another(mode: str, value: Any) -> Any:
    return {"1": 255 - value, "F": value + 1}.get(mode, int(value) ^ 1)


@pytest.mark.parametrize("size", [(0, 0), (0, 3), (3, 0), (3_000_000, 1), (1, 3_000_000)])
def test_images_of_unusual_sizes(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, 7)
    assert ours(image=image) == ours(image=image.copy())
    assert ours(image=image) != ours(image=Image.new("RGB", (size[0], size[1] + 1), 7))


def damaged() -> Image.Image:
    """Of a file whose pixels end in the middle; not decoded yet."""
    data = bytearray(png(noise("RGB", 300, 200)))
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    return Image.open(io.BytesIO(data))


def test_a_damaged_image_has_no_key() -> None:
    """Not that of a black one, and each time."""
    image = damaged()
    for _ in range(3):
        with pytest.raises((OSError, SyntaxError)):
            ours(image=image)


def test_a_damaged_file_is_hashed_as_its_bytes_and_left_unread() -> None:
    """Whoever decodes it later is told that it is damaged."""
    image = damaged()
    assert ours(image=media(image, b"x")) == ours(image=media(picture(), b"x"))
    with pytest.raises((OSError, SyntaxError)):
        image.load()


def test_many_threads_decode_an_image_once() -> None:
    data = png(noise("RGB", 1200, 800))
    expected = ours(image=Image.open(io.BytesIO(data)))
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            image = Image.open(io.BytesIO(data))
            found = {*pool.map(lambda _, image=image: ours(image=image), range(8))}
            assert found == {expected}
