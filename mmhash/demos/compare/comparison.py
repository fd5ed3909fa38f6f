"""The work of `mmhash compare`: an image's features, who agrees on them, and what that costs."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import xxhash
from PIL import Image

import mmhash
from mmhash.demos import baselines
from mmhash.demos.compare.timing import Timed, Timing, measure
from mmhash.demos.qwen_features import qwen_features

TIMING_BUDGET_S = 6.0
CHILD_TIMEOUT_S = 60.0
OLD, TODAY = "SGLang 0.5.5, SHA-256", "SGLang 0.5.23, SHA-256"


@dataclass(frozen=True)
class Row:
    """One line of the timings; the rate is None for the call that reads nothing."""

    name: str
    timing: Timing
    gb_per_s: float | None


@dataclass(frozen=True)
class Check:
    """Whether a value has the identity of the features where it must, or another where it must not.

    sglang: the same question to SGLang 0.5.23's hash; None where it was not asked.
    """

    name: str
    must_be_equal: bool
    mmhash: bool
    sglang: bool | None


@dataclass(frozen=True)
class Comparison:
    """All that `mmhash compare` reports."""

    image: str
    size: str
    container: str
    shape: tuple[int, ...]
    bytes: int
    identity: str
    versions: dict[str, str]
    rows: list[Row]
    checks: list[Check]

    def speedup(self, row: Row) -> float:
        """How many times faster than SGLang 0.5.23."""
        (today,) = (other for other in self.rows if other.name == TODAY)
        return today.timing.median_s / row.timing.median_s

    def as_json(self) -> dict[str, Any]:
        """The same as one document for `json.dumps`."""
        rows = [
            {
                "name": row.name,
                **asdict(row.timing),
                "gb_per_s": row.gb_per_s,
                "speedup": self.speedup(row) if row.gb_per_s else None,
            }
            for row in self.rows
        ]
        return asdict(self) | {"rows": rows}


def compare(path: str, repeat: int) -> Comparison:
    """Compare on the features of this image. OSError, ValueError: it cannot be read or used."""
    with Image.open(path) as image:
        size = f"{image.width}x{image.height} {image.mode}"
        array, _ = qwen_features(image)
    feature, container, versions = _in_torch(array)
    checks = list(_checks(path, array, feature))
    return Comparison(
        image=path,
        size=size,
        container=container,
        shape=array.shape,
        bytes=array.nbytes,
        identity=_identity(array).hex(),
        versions=versions,
        rows=_time(feature, array.nbytes, repeat),
        checks=checks,
    )


def _in_torch(array: np.ndarray[Any, Any]) -> tuple[Any, str, dict[str, str]]:
    """The features as an engine holds them, in a torch tensor; as they are where torch is not."""
    versions = {
        "mmhash": f"{mmhash.__version__} ({mmhash.info()['isa']})",
        "xxhash": xxhash.VERSION,
        "blake3": blake3.__version__,
        "numpy": np.__version__,
    }
    try:
        import torch
    except ImportError:
        return array, "a NumPy array (torch is not installed)", versions
    # A copy: the copies that engines make of a tensor should not profit from memory shared with it.
    return torch.from_numpy(array.copy()), "a torch tensor", versions | {"torch": torch.__version__}


def _identity(value: Any, algorithm: str = "xxh3") -> bytes:
    """Hashed and not found in the cache, and by the algorithm that the report names."""
    return mmhash.identity(value, cache=False, algorithm=algorithm)


def _checks(path: str, array: np.ndarray[Any, Any], feature: Any) -> Iterator[Check]:
    identity = _identity(feature)
    today = baselines.sglang_0_5_23(feature)

    def check(name: str, value: Any, must_be_equal: bool = True) -> Check:
        equal = _identity(value) == identity
        sglang_equal = baselines.sglang_0_5_23(value) == today
        return Check(name, must_be_equal, equal is must_be_equal, sglang_equal is must_be_equal)

    yield check("a transposed view of the same values", np.ascontiguousarray(array.T).T)
    yield check("a NumPy copy", array.copy())
    if feature is not array:
        yield check("a torch tensor", feature)
    with _threads(1):
        yield check("with one thread", feature)
    yield Check("a second process", True, second_process(path) == identity.hex(), None)
    rows, columns = array.shape
    yield check(
        f"the same bytes as [{2 * rows},{columns // 2}]", array.reshape(2 * rows, -1), False
    )
    yield check("the same bytes as int32", array.view(np.int32), False)


def second_process(path: str) -> str:
    """The identity (hex) of the image's features by another process, which decodes it anew."""
    # This very package, ahead of the current folder: a clone has one there that is not built.
    package_folder = str(Path(mmhash.__file__).parents[1])
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); "
        "from mmhash.demos.compare.comparison import print_identity; print_identity(sys.argv[1])"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, path, package_folder],
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        last_line = error.stderr.strip().rpartition("\n")[2]
        raise OSError(f"second process: exit status {error.returncode}, {last_line}") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"second process: no answer after {CHILD_TIMEOUT_S:.0f} s") from error
    return done.stdout.strip()


def print_identity(path: str) -> None:
    """What the second process does."""
    with Image.open(path) as image:
        print(_identity(qwen_features(image)[0]).hex())


def _time(feature: Any, nbytes: int, repeat: int) -> list[Row]:
    _agree(feature)
    default = mmhash.get_num_threads()
    timed = {
        OLD: Timed(partial(baselines.sglang_0_5_5, feature)),
        TODAY: Timed(partial(baselines.sglang_0_5_23, feature)),
        "xxhash from PyPI, XXH3-128": Timed(partial(baselines.xxh3_128, feature)),
        "blake3 from PyPI, 1 thread": Timed(partial(baselines.blake3_256, feature)),
    }
    for title, algorithm in (("mmhash", "xxh3"), ("mmhash by BLAKE3", "blake3")):
        for count in sorted({1, default}):
            name = f"{title}, {count} thread{'s' * (count > 1)}"
            hashed = partial(_identity, feature, algorithm)
            timed[name] = Timed(hashed, partial(mmhash.set_num_threads, count))
    timed["read limit (NumPy max), 1 thread"] = Timed(partial(baselines.read_limit, feature))
    idle = "a call that does nothing"
    timed[idle] = Timed(partial(baselines.nothing, feature))
    with _threads(default):
        timings = measure(timed, repeat, TIMING_BUDGET_S)
    return [
        Row(name, timing, None if name == idle else nbytes / timing.median_s / 1e9)
        for name, timing in timings.items()
    ]


def _agree(feature: Any) -> None:
    """Nothing is timed before it is known to compute what its name says."""
    old, today = baselines.sglang_0_5_5(feature), baselines.sglang_0_5_23(feature)
    if old != today:
        raise ValueError(f"expected both SGLang hashes to agree, got {old:016x} and {today:016x}")
    ours, theirs = mmhash.xxh3_128(feature), int.from_bytes(baselines.xxh3_128(feature), "big")
    if ours != theirs:
        raise ValueError(f"expected xxhash's XXH3-128 {theirs:032x} of mmhash, got {ours:032x}")
    # The frame of a large tensor (docs/SPEC.md), in which BLAKE3 of the elements stands for them.
    head = struct.pack("<5sB7sB2Q", b"mmh1T", 7, b"float32", 2, *feature.shape)
    expected = blake3.blake3(head + baselines.blake3_256(feature)).hexdigest()
    found = _identity(feature, "blake3").hex()
    if found != expected:
        raise ValueError(f"expected the package's BLAKE3 {expected} of mmhash, got {found}")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Hash with this many threads meanwhile."""
    before = mmhash.get_num_threads()
    mmhash.set_num_threads(count)
    try:
        yield
    finally:
        mmhash.set_num_threads(before)
