"""Numbers and texts."""

from __future__ import annotations

import numpy as np

from confusions import DISTINCT, EQUAL, Confusion

ROWS = (
    # Numbers that compare equal.
    Confusion(
        "True and 1",
        lambda: True,
        lambda: 1,
        DISTINCT,
        "`==`",
        ("dace 2404", "TensorRT-LLM 14800"),
    ),
    Confusion("1 and 1.0", lambda: 1, lambda: 1.0, DISTINCT, "`==`", ("hermes-agent 83862",)),
    Confusion("True and 1.0", lambda: True, lambda: 1.0, DISTINCT, "`==`"),
    Confusion(
        "False, and 0 in an array",
        lambda: False,
        lambda: np.array(0),
        DISTINCT,
        "`==`",
    ),
    Confusion("1.0 and 1+0j", lambda: 1.0, lambda: 1 + 0j, DISTINCT, "`==`"),
    Confusion("1.5 and float64 1.5", lambda: 1.5, lambda: np.float64(1.5), DISTINCT, "`==`"),
    Confusion(
        "0.0 and -0.0",
        lambda: 0.0,
        lambda: -0.0,
        DISTINCT,
        "`==`",
        ("claripy 240", "pyston_v1 725"),
    ),
    Confusion(
        "the keys True and 1",
        lambda: {True: "x"},
        lambda: {1: "x"},
        DISTINCT,
        "`==`",
    ),
    # Numbers of the same bytes, or of the same remainder.
    Confusion(
        "an int64 and the float64 of its bytes",
        lambda: 1,
        lambda: 5e-324,
        DISTINCT,
        "the elements' bytes",
        ("vLLM 11341",),
    ),
    Confusion(
        "-1 and -2",
        lambda: (501, -1),
        lambda: (501, -2),
        DISTINCT,
        "`hash()`",
        ("cpython 102352",),
    ),
    Confusion(
        "1 and 2**61",
        lambda: 1,
        lambda: 2**61,
        DISTINCT,
        "`hash()`",
        ("cpython 102352",),
    ),
    Confusion(
        "NaN and another NaN",
        lambda: float("nan"),
        lambda: -float("nan"),
        EQUAL,
        "`==`",
        ("pytorch 192601",),
    ),
    # Texts.
    Confusion(
        'the number 123 and the text "123"',
        lambda: [123],
        lambda: ["123"],
        DISTINCT,
        "`str()` of the parts",
        ("tessera 194", "django 21516"),
    ),
    Confusion(
        "a text and its bytes",
        lambda: "pixels",
        lambda: b"pixels",
        DISTINCT,
        "the elements' bytes",
        ("aiida-core 3595",),
    ),
    Confusion(
        "é as one character and as two",
        lambda: "\u00e9",
        lambda: "e\u0301",
        DISTINCT,
        "NFC",
        ("pentect 316", "ctl 23"),
    ),
    Confusion(
        "a lone surrogate and U+FFFD",
        lambda: "\ud800",
        lambda: "\ufffd",
        DISTINCT,
        "U+FFFD in place of surrogates",
        ("brython 2845",),
    ),
    Confusion(
        "two lone surrogates",
        lambda: "\ud800",
        lambda: "\ud801",
        DISTINCT,
        "U+FFFD in place of surrogates",
        ("brython 2845", "streamlit 5916", "ProbOS 1323"),
    ),
    Confusion(
        "a pair of surrogates and the character that it stands for",
        lambda: "\ud83d\ude00",
        lambda: "\U0001f600",
        DISTINCT,
        "U+FFFD in place of surrogates",
        ("cpython 124605",),
    ),
)
