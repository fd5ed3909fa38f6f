"""For vLLM's own tests of its hasher: with mmhash in place of the default algorithm."""

from collections.abc import Iterator

import pytest
from vllm.multimodal.hasher import MultiModalHasher

import mmhash.engines.vllm


@pytest.fixture(autouse=True, scope="session")
def mmhash_installed() -> Iterator[None]:
    mmhash.engines.vllm.install(algorithm="xxh3")
    assert len(MultiModalHasher.hash_kwargs("blake3", x=1)) == 32, "it is not mmhash's"
    yield
    mmhash.engines.vllm.uninstall()
