"""Putting mmhash into the vLLM of this process, and taking it out again."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from typing import Any

from mmhash import _core
from mmhash._version import __version__
from mmhash.engines.adapter import (
    ALGORITHM,
    Adapter,
    Counters,
    Engine,
    Installation,
    Replaced,
    check_algorithm,
    enabled,
    log_or_print,
)
from mmhash.engines.patches import Patches
from mmhash.engines.vllm import probe as probes
from mmhash.engines.vllm.values import Values

VARIABLE = "MMHASH_VLLM_ALGORITHM"
# vLLM's default. Whoever has chosen sha256 or sha512 instead had a reason, such as FIPS.
REPLACED = ("blake3", ALGORITHM)


class VLLM(Engine):
    """What is particular to vLLM."""

    name = "vllm"
    title = "vLLM"
    tested = probes.TESTED
    options = {"algorithm": None}  # noqa: RUF012 - it is a Mapping
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
        options: Mapping[str, Any],
        *,
        plugin: bool,
    ) -> Replaced:
        """See Engine. Without an algorithm there is nothing to replace."""
        if options["algorithm"] is None:
            return Replaced(algorithm="vLLM's own")
        patches.replace(probe.hasher, "hash_kwargs", classmethod(_hash_kwargs(probe, counters)))
        return Replaced()


_adapter = Adapter(VLLM())


def install(*, algorithm: str | None = None) -> Installation:
    """Have vLLM make its multimodal cache keys with mmhash, in this process, from now on.

    With `algorithm="xxh3"`, `MultiModalHasher.hash_kwargs` gives 32 hexadecimal digits of
    mmhash.identity() where vLLM would use its default, BLAKE3. XXH3 is not cryptographic: where
    users who do not trust each other share a server, one of them can make two images with one key.
    So it must be named. A server that was started with `--mm-hasher-algorithm` sha256 or sha512
    keeps that, which vLLM computes itself; and without an algorithm nothing is replaced.

    Every process of a server that hashes must have it, or none: use the plugin, which vLLM loads in
    each. Imports vLLM's hasher. Any thread may call it; a second call changes nothing and returns
    the first's Installation. `mmhash.info()["engines"]["vllm"]` counts the hashes.

    Raises UnsupportedVLLMError, having replaced nothing, where vLLM's hasher is not as expected;
    ImportError without vLLM; ValueError for another algorithm, and where it is installed already
    with another one; RuntimeError in a finalizer or signal handler that interrupts an install() or
    uninstall() of its own thread.

    >>> installation = mmhash.engines.vllm.install(algorithm="xxh3")            # doctest: +SKIP
    >>> installation.replaced                                                   # doctest: +SKIP
    ('vllm.multimodal.hasher.MultiModalHasher.hash_kwargs',)
    >>> mmhash.engines.vllm.install(algorithm="md5")
    Traceback (most recent call last):
    ValueError: algorithm: expected 'xxh3' or None, found 'md5'
    """
    check_algorithm(algorithm)
    return _adapter.install(algorithm=algorithm)


def uninstall() -> None:
    """Put vLLM back as it was; does nothing where mmhash is not installed. Any thread may.

    RuntimeError as with install().
    """
    _adapter.uninstall()


def plugin() -> None:
    """The entry point of the group `vllm.general_plugins`: vLLM calls it in each process.

    MMHASH_VLLM_ALGORITHM=xxh3 turns it on; MMHASH_ENGINES=off, or a VLLM_PLUGINS without `mmhash`,
    keeps it off. A vLLM that mmhash does not know is left alone, with one warning. Raises
    ValueError for another value of these variables, so that a server with a typo does not start.
    """
    if not enabled():
        return
    algorithm = os.environ.get(VARIABLE) or None
    if algorithm not in (None, ALGORITHM):
        raise ValueError(
            f"environment variable {VARIABLE}: expected {ALGORITHM}, or nothing for the server's "
            f"own algorithm, found {algorithm!r}"
        )
    if algorithm is None:
        log_or_print(
            VLLM.logger,
            logging.INFO,
            f"mmhash {__version__} replaced nothing: vLLM keeps its own algorithm unless "
            f"{VARIABLE}={ALGORITHM}",
        )
        return
    _adapter.load_plugin(algorithm=algorithm)


def _hash_kwargs(probe: probes.Probe, counters: Counters) -> Any:
    values = Values(probe)
    original = vars(probe.hasher)["hash_kwargs"].__func__

    @functools.wraps(original)
    def hash_kwargs(cls: Any, algorithm: Any, /, **kwargs: Any) -> str:
        """The key of a value: mmhash.identity() of it all, in hexadecimal.

        With sha256 and sha512, what vLLM computes. Releases the GIL for large values, and any
        thread may call it.
        """
        if algorithm not in REPLACED:
            return str(original(cls, algorithm, **kwargs))
        counters.add("hashes")
        return _core.identity(values.of_all(kwargs)).hex()

    return hash_kwargs
