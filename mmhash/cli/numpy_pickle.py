"""NumPy arrays and scalars in pickles, rebuilt here from nothing but numbers and bytes.

To allow NumPy's own globals would be nearly right: they run no code. But `dtype.__setstate__` takes
its flags from the file, and a dtype of objects without the flag that says so makes pointers of the
file's bytes. So the names are bound to the classes below, which know numbers only.
"""

from __future__ import annotations

import re
from typing import Any

NUMBERS = re.compile(r"[biufc]\d{1,2}")
BYTE_ORDERS = ("<", ">", "|", "=")


class PickledDtype:
    """Stands for `numpy.dtype`: its arguments, then its state. ValueError: it is of no numbers."""

    def __init__(self, text: object, align: object = False, copy: object = False) -> None:
        if not isinstance(text, str) or NUMBERS.fullmatch(text) is None:
            raise ValueError(f"expected a NumPy dtype of numbers, found {text!r}: save it as one")
        self._text = text
        self._order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self._order, *structure = state
        if self._order not in BYTE_ORDERS or any(part is not None for part in structure[:3]):
            raise ValueError("expected the state of a NumPy dtype of numbers")

    def resolve(self) -> Any:
        """The dtype."""
        import numpy as np

        return np.dtype(self._order.replace("|", "=") + self._text)


class PickledArray:
    """Stands for `numpy.ndarray`, which is built empty and then given its state."""

    def __init__(self, *_: object) -> None:
        self._state: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    def resolve(self) -> Any:
        """The array, read-only and without a copy. ValueError: the state is of no such array."""
        import numpy as np

        if self._state is None:
            raise ValueError("expected a NumPy array, found one without content")
        _, shape, dtype, in_fortran_order, raw = self._state
        if not isinstance(dtype, PickledDtype) or not isinstance(raw, bytes):
            raise ValueError("expected a NumPy array of numbers: save it as one")
        order: Any = "F" if in_fortran_order else "C"
        array = np.ndarray(shape, dtype.resolve(), raw, order=order)
        if array.nbytes != len(raw):
            raise ValueError(f"expected a NumPy array of {array.nbytes} bytes, found {len(raw)}")
        return array


def reconstruct(*_: object) -> PickledArray:
    """Stands for `numpy._core.multiarray._reconstruct`."""
    return PickledArray()


def scalar(dtype: PickledDtype, raw: bytes) -> Any:
    """Stands for `numpy._core.multiarray.scalar`."""
    array = PickledArray()
    array.__setstate__((1, (), dtype, False, raw))
    return array.resolve()[()]


def empty_bytes() -> bytes:
    """Stands for `bytes`, by which the pickles of torch.save make those of no length."""
    return b""


#: Both spellings of the module: NumPy 2's and that before.
STAND_INS: dict[str, Any] = {
    "builtins.bytes": empty_bytes,
    "numpy.ndarray": PickledArray,
    "numpy.dtype": PickledDtype,
    "numpy._core.multiarray._reconstruct": reconstruct,
    "numpy.core.multiarray._reconstruct": reconstruct,
    "numpy._core.multiarray.scalar": scalar,
    "numpy.core.multiarray.scalar": scalar,
}
