"""Putting mmhash into the vLLM of this process, and taking it out again."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from mmhash import _core
from mmhash._counters import Counters
from mmhash.engines.adapter import Adapter, Installation
from mmhash.engines.engine import Engine, Replaced
from mmhash.engines.patches import Patches
from mmhash.engines.vllm import probe as probes
from mmhash.engines.vllm.values import Values

# vLLM's default, which is what hashes where nobody has chosen. Whoever has chosen sha256 or sha512
# instead had a reason, such as FIPS. vLLM's names are a closed list that its configuration checks
# (`MMHasherAlgorithm`), and a chain of comparisons makes a hasher of one: there is no registry, in
# which mmhash would have a name of its own.
REPLACED = "blake3"


class VLLM(Engine):
    """What is particular to vLLM."""

    name = "vllm"
    title = "vLLM"
    tested = probes.TESTED
    logger = logging.getLogger("vllm.mmhash")  # a child of vLLM's, which has the handlers

    def load(self) -> probes.Modules:
        """See Engine."""
        return probes.load()

    def probe(self, loaded: probes.Modules) -> probes.Probe:
        """See Engine."""
        return probes.probe(loaded)

    def replace(
        self,
        probe: probes.Probe,
        patches: Patches,
        counters: Counters,
        algorithm: _core.Algorithm,
        options: Mapping[str, Any],
        *,
        plugin: bool,
    ) -> Replaced:
        """See Engine."""
        hash_kwargs = _hash_kwargs(probe, counters, algorithm)
        patches.replace(probe.hasher, "hash_kwargs", classmethod(hash_kwargs))
        return Replaced()


_adapter = Adapter(VLLM())


def install(*, algorithm: str | None = None, key: bytes | None = None) -> Installation:
    """Have vLLM make its multimodal cache keys with mmhash, in this process, from now on.

    `MultiModalHasher.hash_kwargs` gives 64 hexadecimal digits of mmhash.identity() where vLLM would
    use its default, BLAKE3. A server that was started with `--mm-hasher-algorithm` sha256 or sha512
    keeps that, which vLLM computes itself.

    `algorithm` is "blake3", "sha256" or "xxh3"; None is what MMHASH_VLLM_ALGORITHM names, or BLAKE3
    (without its package SHA-256, with a warning). XXH3 is not cryptographic: where users who do not
    trust each other share a server, one of them can make two images with one key. So it must be
    named. Its identity has 16 bytes, and the second half of the digits is a hash of the first,
    which adds nothing (docs/SPEC.md). `key`, 32 bytes, is for the other two; None is the key of the
    process (MMHASH_KEY_FILE or mmhash.configure(), as it is now), if there is one. The process's
    own algorithm is not the engine's.

    Every process of a server that hashes must have it, or none: use the plugin, which vLLM loads in
    each. Imports vLLM's hasher. Any thread may call it; a second call changes nothing and returns
    the first's Installation. `mmhash.info()["engines"]["vllm"]` counts the hashes.

    Raises UnsupportedVLLMError, having replaced nothing, where vLLM's hasher is not as expected;
    ImportError without vLLM, and for an algorithm that was named and whose package is missing;
    ValueError for an unknown algorithm, a key of another length, any key with xxh3 (the process's
    too), and where it is installed already with another algorithm or key; TypeError for arguments
    of another type; RuntimeError in a finalizer or signal handler that interrupts an install() or
    uninstall() of its own thread.

    >>> installation = mmhash.engines.vllm.install()                            # doctest: +SKIP
    >>> installation.algorithm, installation.replaced                           # doctest: +SKIP
    ('blake3', ('vllm.multimodal.hasher.MultiModalHasher.hash_kwargs',))
    >>> mmhash.engines.vllm.install(algorithm="md5")
    Traceback (most recent call last):
    ValueError: algorithm: expected one of 'xxh3', 'blake3', 'sha256', found 'md5'
    """
    return _adapter.install(algorithm=algorithm, key=key)


def uninstall() -> None:
    """Put vLLM back as it was; does nothing where mmhash is not installed. Any thread may.

    RuntimeError as with install().
    """
    _adapter.uninstall()


def plugin() -> None:
    """The entry point of the group `vllm.general_plugins`: vLLM calls it in each process.

    MMHASH_VLLM_ALGORITHM names another algorithm than BLAKE3; MMHASH_ENGINES=off, or a VLLM_PLUGINS
    without `mmhash`, keeps it off. Another value of these variables, or one that the key of the
    process contradicts, ends the process with one line. A vLLM that mmhash does not know is left
    alone, with one warning.
    """
    _adapter.load_plugin()


def key_of(algorithm: _core.Algorithm) -> Callable[[Any], str]:
    """What makes the key of a value: 64 hexadecimal digits, as docs/SPEC.md has them."""
    identity = functools.partial(_core.identity, algorithm=algorithm)
    if algorithm.digest_size == 32:
        return lambda value: identity(value).hex()

    def doubled(value: Any) -> str:
        first = identity(value)
        return first.hex() + identity(first).hex()

    return doubled


def _hash_kwargs(probe: probes.Probe, counters: Counters, own: _core.Algorithm) -> Any:
    values, key = Values(probe, own), key_of(own)
    original = vars(probe.hasher)["hash_kwargs"].__func__

    @functools.wraps(original)
    def hash_kwargs(cls: Any, algorithm: Any, /, **kwargs: Any) -> str:
        """The key of a value: mmhash.identity() of it all, in hexadecimal.

        With sha256 and sha512, what vLLM computes. Releases the GIL for large values, and any
        thread may call it.
        """
        if algorithm != REPLACED:
            return str(original(cls, algorithm, **kwargs))
        counters.add("hashes")
        return key(values.of_all(kwargs))

    return hash_kwargs
