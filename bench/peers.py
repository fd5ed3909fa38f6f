"""What is timed: each way to hash a feature, as a function of one argument."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import blake3
import numpy as np
import torch
import xxhash

import mmhash
from mmhash.demos.baselines import sglang_0_5_5, sglang_0_5_23


def raw_bytes(tensor: torch.Tensor) -> memoryview:
    """A tensor's memory, in place: the shortest way that PyTorch has to a buffer."""
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def same(value: Any) -> Any:
    return value


# The two ends of every table.

# `callable` takes one argument, looks at it and returns False: all that is left is the call of a
# function written in C, as `mmhash.identity` is one. `id` would also make an int.
floor = callable


def read_limit(data: Any) -> object:
    """The largest byte: all are read and next to nothing is computed, by one thread.

    As bytes and not as 64-bit words because every SIMD instruction set has a maximum of bytes but
    none before AVX-512 one of 64-bit words, where NumPy's `max` would compute more than read.
    Below some 100 KB it is no limit, as NumPy takes a microsecond to begin, nor for two threads.
    """
    return data.max()


def tensors_in(feature: Any) -> list[Any]:
    return feature if isinstance(feature, list) else [feature]


# Hash functions on bytes that lie ready, and `xxhash` from where serving code has to start.


def sha256(data: memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def blake3_one_thread(data: memoryview) -> bytes:
    return blake3.blake3(data, max_threads=1).digest()


def xxhash_of_tensor(tensor: torch.Tensor) -> bytes:
    """The best path that a peer offers from a tensor; copies one that is not contiguous."""
    return xxhash.xxh3_128_digest(raw_bytes(tensor))


def xxhash_of_list(feature: list[torch.Tensor]) -> bytes:
    """The tensors one after the other: like SGLang's, blind to where one ends."""
    hasher = xxhash.xxh3_128()
    for tensor in feature:
        hasher.update(raw_bytes(tensor))
    return hasher.digest()


@dataclass(frozen=True)
class Peer:
    """A function of one argument, and how that argument is made of a case's value, untimed."""

    call: Callable[[Any], object]
    argument: Callable[[Any], Any] = same
    threads: int = 1  # what `mmhash.set_num_threads` is told; the others never use more than one


FLOOR = "a call that does nothing"
READ_LIMIT = "read limit (NumPy max)"
SGLANG_0_5_5 = "SGLang 0.5.5"
SGLANG_0_5_23 = "SGLang 0.5.23"
SHA256 = "SHA-256, ready bytes"
BLAKE3 = "BLAKE3, ready bytes"
XXHASH_READY = "xxhash, ready bytes"
XXHASH_VALUE = "xxhash, from the value"
PLAIN = "mmhash.xxh3_128"
IDENTITY = "mmhash.identity"
IDENTITY_2 = "mmhash.identity, 2 threads"

#: From a float32 tensor; the order is that of the tables.
PEERS = {
    FLOOR: Peer(floor),
    READ_LIMIT: Peer(read_limit, lambda tensor: np.asarray(raw_bytes(tensor))),
    SGLANG_0_5_5: Peer(sglang_0_5_5),
    SGLANG_0_5_23: Peer(sglang_0_5_23),
    SHA256: Peer(sha256, raw_bytes),
    BLAKE3: Peer(blake3_one_thread, raw_bytes),
    XXHASH_READY: Peer(xxhash.xxh3_128_digest, raw_bytes),
    XXHASH_VALUE: Peer(xxhash_of_tensor),
    PLAIN: Peer(mmhash.xxh3_128),
    IDENTITY: Peer(mmhash.identity),
    IDENTITY_2: Peer(mmhash.identity, threads=2),
}

#: From any other kind of value; `with_xxhash` says what `xxhash` can do with it.
ANY_VALUE = (FLOOR, SGLANG_0_5_5, SGLANG_0_5_23, XXHASH_VALUE, IDENTITY, IDENTITY_2)


def with_xxhash(path: Callable[[Any], object]) -> dict[str, Peer]:
    """The peers for a value from which `path` is how `xxhash` gets at the bytes."""
    return {**{name: PEERS[name] for name in ANY_VALUE}, XXHASH_VALUE: Peer(path)}
