"""What stands in for a library, and buffers that do not say what they hold."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from subprocesses import python_output

import mmhash


@pytest.mark.parametrize("stub", ["MagicMock()", "types.ModuleType(name)"])
@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_a_mock_is_not_the_library(stub: str, library: str) -> None:
    """As tests put one into sys.modules; the real library, which comes later, is read as ever."""
    code = f"""
import sys, types
from unittest.mock import MagicMock
import mmhash
for name in ("{library}", "{library}.nn"):
    sys.modules[name] = {stub}
    if isinstance(sys.modules[name], types.ModuleType):
        for attribute in ("Tensor", "dtype", "Parameter", "ndarray", "generic"):
            setattr(sys.modules[name], attribute, type(attribute, (), {{}}))
before = mmhash.identity([1, b"x", "y", [2.0], bytearray(3)])
del sys.modules["{library}"], sys.modules["{library}.nn"]
import numpy, torch
assert mmhash.identity([1, b"x", "y", [2.0], bytearray(3)]) == before
a = numpy.arange(6, dtype=">i4").reshape(2, 3)
t = torch.arange(6, dtype=torch.int32).reshape(2, 3)
print(mmhash.identity(a) == mmhash.identity(t) == mmhash.identity(torch._neg_view(-t)))
"""
    assert python_output(code) == "True"


class Union(ctypes.Union):
    _fields_ = (("text", ctypes.c_char_p), ("number", ctypes.c_uint64))


class Packed(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("kind", ctypes.c_uint8), ("text", ctypes.c_char_p))


@pytest.mark.parametrize(
    "value", [Union(b"text"), Packed(1, b"text"), (Union * 3)()], ids=["union", "packed", "array"]
)
def test_a_buffer_that_hides_addresses(value: object) -> None:
    """Exported by ctypes as bytes; those are addresses, which are others in the next process."""
    for call in (mmhash.identity, mmhash.xxh3_64, mmhash.freeze):
        with pytest.raises(TypeError, match=r"does not say what it holds; hash bytes\(value\)"):
            call(value)


@pytest.mark.parametrize("call", [mmhash.xxh3_64, mmhash.xxh3_128, mmhash.freeze])
def test_a_numpy_string_is_a_str(call: object) -> None:
    with pytest.raises(TypeError, match=r"numpy\.str_"):
        call(np.str_("abc"))  # type: ignore[operator]
    assert mmhash.identity(np.str_("abc")) == mmhash.identity("abc")
