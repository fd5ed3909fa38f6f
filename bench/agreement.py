"""Correctness checks before timing: peers compute what they say, and the same as one another.

The expected identity is that of tests/reference.py, the readable implementation of docs/SPEC.md.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import peers
import torch
import xxhash
from cases import Case, memory_of

import mmhash

# This one file of the tests' folder, by its path: others there have the names of files here.
_spec = importlib.util.spec_from_file_location(
    "mmhash_reference", Path(__file__).parent.parent / "tests" / "reference.py"
)
assert _spec is not None
assert _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = reference  # where dataclasses look for it
_spec.loader.exec_module(reference)


def check(case: Case, value: Any) -> None:
    """Raise AssertionError where a peer of this case is not what its row says."""
    check_reads(case, value)
    expected = reference.identity(value)
    before = mmhash.get_num_threads()
    try:
        for threads in (1, 2):
            mmhash.set_num_threads(threads)
            agree(case, "identity", mmhash.identity(value), expected)
    finally:
        mmhash.set_num_threads(before)

    data = payload_of_all(value)
    sha256, xxh3 = hashlib.sha256(data).digest(), xxhash.xxh3_128_digest(data)
    agree(case, peers.SGLANG_0_5_23, peers.sglang_0_5_23(value), int.from_bytes(sha256[:8], "big"))
    # 0.5.5 hashes a bfloat16 tensor as float32, which makes it another hash than that of 0.5.23.
    wide = value.float() if getattr(value, "dtype", None) == torch.bfloat16 else value
    agree(case, peers.SGLANG_0_5_5, peers.sglang_0_5_5(value), peers.sglang_0_5_23(wide))
    agree(case, peers.XXHASH_VALUE, case.peers[peers.XXHASH_VALUE].call(value), xxh3)
    if peers.PLAIN in case.peers:
        agree(case, peers.PLAIN, mmhash.xxh3_128(value), int.from_bytes(xxh3, "big"))
        agree(case, peers.SHA256, peers.sha256(data), sha256)
        agree(case, peers.BLAKE3, peers.blake3_one_thread(data), blake3.blake3(data).digest())
        agree(case, peers.READ_LIMIT, peers.read_limit(np.asarray(data)), max_byte(data))


def check_reads(case: Case, value: Any) -> None:
    """Raise AssertionError unless `identity` reads the value anew, in a call like those timed.

    A digest that was remembered is right as well, and takes no time. So a byte is changed here by a
    write that PyTorch does not count, which only reading it can show.
    """
    before = mmhash.identity(value)
    memory = memory_of(value)[-1]
    memory[-1] ^= 1
    try:
        changed = mmhash.identity(value)
        agree(case, "identity of changed memory", changed, reference.identity(value))
        assert changed != before, f"{case.name}: the byte that was changed is not in the identity"
    finally:
        memory[-1] ^= 1


def agree(case: Case, peer: str, found: object, expected: object) -> None:
    assert found == expected, f"{case.name}, {peer}: found {found!r}, expected {expected!r}"


def max_byte(data: memoryview) -> int:
    return int(torch.frombuffer(data, dtype=torch.uint8).max())


def payload(tensor: torch.Tensor) -> memoryview:
    return peers.raw_bytes(tensor.contiguous())


def payload_of_all(value: Any) -> memoryview:
    """The elements of all tensors in a value: what hashes see that know neither shape nor list."""
    tensors = [torch.as_tensor(part) for part in peers.tensors_in(value)]
    if len(tensors) == 1:
        return payload(tensors[0])
    return payload(torch.concat([tensor.reshape(-1) for tensor in tensors]))
