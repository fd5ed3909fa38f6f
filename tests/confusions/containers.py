"""Lists and mappings: boundaries, order, and what is empty or not there."""

from __future__ import annotations

from typing import Any

import numpy as np

from confusions import DISTINCT, EQUAL, REFUSED, Confusion


def a() -> Any:
    return np.arange(6, dtype=np.uint8)


def b() -> Any:
    return np.arange(6, 12, dtype=np.uint8)


def frames() -> Any:
    return np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3)


def cut(at: int) -> Any:
    whole = np.arange(5, dtype=np.float32)
    return [whole[:at], whole[at:]]


def video(**data: Any) -> Any:
    """A video as docs/SPEC.md has items: its modality, its feature and what goes with it."""
    return {"modality": "VIDEO", "feature": frames(), "model_specific_data": data}


def shared() -> Any:
    part = ["test"]
    return [{"a": part}, part]


ROWS = (
    # Boundaries.
    Confusion(
        "a list of arrays that is cut elsewhere",
        lambda: cut(2),
        lambda: cut(3),
        DISTINCT,
        "the elements' bytes",
        ("SGLang 25462", "SGLang 22033"),
    ),
    Confusion(
        "a batch of frames and the list of its frames",
        frames,
        lambda: list(frames()),
        DISTINCT,
        "the elements' bytes",
        ("SGLang 25462",),
    ),
    Confusion(
        "an array and a list of this one array",
        a,
        lambda: [a()],
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "`[a, [b]]` and `[[a], b]`",
        lambda: [a(), [b()]],
        lambda: [[a()], b()],
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "texts whose characters change sides",
        lambda: ["ab", "c"],
        lambda: ["a", "bc"],
        DISTINCT,
        "`str()` of the parts",
        ("TensorRT-LLM 13138", "LightRAG 3392", "django 21516"),
    ),
    Confusion(
        "keys and values whose characters change sides",
        lambda: {"a": "b", "cd": "e"},
        lambda: {"ab": "c", "d": "e"},
        DISTINCT,
        "the elements' bytes",
        ("microsoft-authentication-library-for-js 8705",),
    ),
    Confusion(
        "a file with an option and a longer file that ends as the option is written",
        lambda: [b"a picture", b"max_long_side_pixel=", (504).to_bytes(4, "little")],
        lambda: [b"a picturemax_long_side_pixel=" + (504).to_bytes(4, "little")],
        DISTINCT,
        "the elements' bytes",
        ("smg 2371",),
    ),
    # Kinds of container.
    Confusion(
        '`[a, b]` and `{"0": a, "1": b}`',
        lambda: [a(), b()],
        lambda: {"0": a(), "1": b()},
        DISTINCT,
        "dotted names",
        ("vLLM 54283",),
    ),
    Confusion(
        "a nested mapping and a name with a dot",
        lambda: {"a": {"b": 1}},
        lambda: {"a.b": 1},
        DISTINCT,
        "dotted names",
        ("vLLM 54283",),
    ),
    Confusion(
        "a mapping and the list of its keys",
        lambda: {"a": 1, "b": 2},
        lambda: ["a", "b"],
        DISTINCT,
        "the parts",
        ("dask 6844",),
    ),
    Confusion(
        'the keys `1` and `"1"`',
        lambda: {1: "x"},
        lambda: {"1": "x"},
        DISTINCT,
        "JSON",
        ("simplejson 77", "aiocache 441"),
    ),
    # What is empty, or not there.
    Confusion(
        "an empty list and an entry that is left out",
        lambda: {"images": [], "fps": 2},
        lambda: {"fps": 2},
        DISTINCT,
        "dotted names",
        ("vLLM 54283",),
    ),
    Confusion(
        "an empty list and an empty mapping",
        lambda: {"images": []},
        lambda: {"images": {}},
        DISTINCT,
        "dotted names",
        ("vLLM 54283",),
    ),
    Confusion(
        "None and empty bytes",
        lambda: {"mask": None},
        lambda: {"mask": b""},
        DISTINCT,
        "dotted names",
        ("vLLM 54283",),
    ),
    Confusion(
        "None and an empty array",
        lambda: [None, a()],
        lambda: [a()[:0], a()],
        DISTINCT,
        "the elements' bytes",
    ),
    Confusion(
        "a default of 0 and None",
        lambda: {"crop": 0},
        lambda: {"crop": None},
        DISTINCT,
        "truth",
        ("flask-caching 656",),
    ),
    # Order and repetition.
    Confusion(
        "two images the other way round",
        lambda: [a(), b()],
        lambda: [b(), a()],
        DISTINCT,
        "sorted parts",
        ("Rapid-MLX 22",),
    ),
    Confusion(
        "one part twice and another part twice",
        lambda: [b"a", b"a"],
        lambda: [b"b", b"b"],
        DISTINCT,
        "parts by XOR",
        ("bazel 15660",),
    ),
    Confusion(
        "values that change their keys",
        lambda: {"width": 1, "height": 2},
        lambda: {"width": 2, "height": 1},
        DISTINCT,
        "parts by XOR",
        ("prelude-ts 67",),
    ),
    Confusion(
        "a mapping in another order",
        lambda: {"a": 1, "b": [2]},
        lambda: {"b": [2], "a": 1},
        EQUAL,
        "JSON",
        ("dict_hash 3", "fastmcp 4753", "oskari-server 117"),
    ),
    Confusion(
        "a part that stands in two places, and two equal parts",
        shared,
        lambda: [{"a": ["test"]}, ["test"]],
        EQUAL,
        "pickle",
        ("joblib 1283", "joblib 231"),
    ),
    Confusion(
        "a grid as a tuple and as a list",
        lambda: (1, 4, 6),
        lambda: [1, 4, 6],
        EQUAL,
        "`==`",
    ),
    Confusion(
        "sets: their order is another in each process",
        lambda: {"a", "b"},
        lambda: {"b", "a"},
        REFUSED,
        "the parts",
        ("datasets 8284", "dask 6844"),
    ),
    # What goes with a feature.
    Confusion(
        "one video at two speeds",
        lambda: video(second_per_grid_ts=0.5),
        lambda: video(second_per_grid_ts=1.0),
        DISTINCT,
        "the feature alone",
        ("TensorRT-LLM 14800", "vLLM 47736"),
    ),
    Confusion(
        "one video with two soundtracks",
        lambda: video(input_features=b"speech"),
        lambda: video(input_features=b"music"),
        DISTINCT,
        "the feature alone",
        ("TensorRT-LLM 13585",),
    ),
    Confusion(
        "one feature as a video and as a list of images",
        video,
        lambda: {**video(), "modality": "MULTI_IMAGES"},
        DISTINCT,
        "the feature alone",
        ("TensorRT-LLM 14800",),
    ),
    Confusion(
        "one file with two ways of reading it",
        lambda: {"feature": b"a picture", "rgba_background_color": [255, 255, 255]},
        lambda: {"feature": b"a picture", "rgba_background_color": [0, 0, 0]},
        DISTINCT,
        "the feature alone",
        ("vLLM 49975", "vLLM 54241"),
    ),
)
