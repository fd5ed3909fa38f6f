"""The 98 frozen cases of `vectors.json` and `vectors-algorithms.json`, each as its Python value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from PIL import Image
from reference import DTYPES, payload

BANDS = {"L": 1, "P": 1, "RGB": 3, "RGBA": 4}
KEY = bytes(range(32))

#: What `vectors-algorithms.json` says of each case: the field, and the algorithm and key it is of.
DIGESTS: dict[str, tuple[str, bytes | None]] = {
    "blake3": ("blake3", None),
    "blake3_keyed": ("blake3", KEY),
    "sha256": ("sha256", None),
    "sha256_keyed": ("sha256", KEY),
}


@dataclass(frozen=True)
class Case:
    """One case: the fields as they stand in the file, and the digest that they must give."""

    index: int
    fields: dict[str, Any]
    identity: bytes

    @property
    def is_tensor(self) -> bool:
        return self.fields["type"] == "tensor"

    @property
    def dtype(self) -> str:
        return str(self.fields["dtype"])

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.fields["shape"])

    def tensor_bytes(self) -> bytes:
        """The elements of a tensor case, in C order."""
        size = int(np.prod(self.shape)) * DTYPES[self.dtype]
        data = payload(self.fields["seed"], size)
        if self.dtype == "bool":
            return (np.frombuffer(data, np.uint8) & 1).tobytes()
        return data

    def __str__(self) -> str:
        described = {k: v for k, v in self.fields.items() if k not in ("identity", "note")}
        return f"{self.index:02}-" + "-".join(str(v)[:24] for v in described.values())


def load() -> list[Case]:
    cases = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))
    return [Case(i, c, bytes.fromhex(c["identity"])) for i, c in enumerate(cases)]


def load_digests() -> list[dict[str, bytes]]:
    """The digests of `vectors-algorithms.json` by their fields, for each case in its order."""
    text = (Path(__file__).parent / "vectors-algorithms.json").read_text(encoding="utf-8")
    cases = json.loads(text)
    return [{field: bytes.fromhex(case[field]) for field in DIGESTS} for case in cases]


CASES = load()
TENSOR_CASES = [case for case in CASES if case.is_tensor]


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of that name, from `ml_dtypes` where NumPy has none."""
    return np.dtype(getattr(ml_dtypes, name, name))


def as_numpy(case: Case) -> np.ndarray[Any, Any]:
    return np.frombuffer(case.tensor_bytes(), numpy_dtype(case.dtype)).reshape(case.shape)


def as_torch(case: Case) -> torch.Tensor:
    flat = torch.tensor(np.frombuffer(case.tensor_bytes(), np.uint8))
    return flat.view(getattr(torch, case.dtype)).reshape(case.shape)


def as_value(case: Case) -> Any:
    """The value of any case; a tensor case is a torch tensor."""
    fields = case.fields
    match fields["type"]:
        case "tensor":
            return as_torch(case)
        case "value" if "int" in fields:
            return int(fields["value"])  # large ones are decimal strings
        case "value":
            return fields["value"]
        case "float":
            return float(fields["value"])
        case "complex":
            return complex(*fields["value"])
        case "bytes":
            return payload(fields["seed"], fields["length"])
        case "text":
            return fields["char"] * fields["length"]
        case "numpy_scalar":
            return np.dtype(fields["dtype"]).type(fields["value"])
        case "image":
            return image(fields)
    raise AssertionError(f"vectors.json holds a kind that this loader does not know: {fields}")


def image(fields: dict[str, Any]) -> Image.Image:
    width, height = fields["size"]
    mode = fields["mode"]
    pixels = payload(fields["seed"], width * height * BANDS[mode])
    made = Image.frombytes(mode, (width, height), pixels)
    if "palette_seed" in fields:
        made.putpalette(payload(fields["palette_seed"], 768))
    return made
