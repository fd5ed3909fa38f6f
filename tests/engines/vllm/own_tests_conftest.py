"""For vLLM's own tests of its hasher: with mmhash in place of the default algorithm."""

from collections.abc import Iterator

import pytest
from vllm.multimodal.hasher import MultiModalHasher

import mmhash.engines.vllm


@pytest.fixture(autouse=True, scope="session")
def mmhash_installed() -> Iterator[None]:
    released = MultiModalHasher.hash_kwargs("blake3", x=1)
    mmhash.engines.vllm.install()
    assert MultiModalHasher.hash_kwargs("blake3", x=1) != released, "it is not mmhash's"
    yield
    mmhash.engines.vllm.uninstall()
