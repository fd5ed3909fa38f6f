"""Putting mmhash into the vLLM of this process, and taking it out again."""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import Any

from mmhash import _core, _info
from mmhash._version import __version__
from mmhash.engines import switch
from mmhash.engines.announcing import announce
from mmhash.engines.installation import Installation
from mmhash.engines.patches import Patches
from mmhash.engines.vllm import shape as shapes
from mmhash.engines.vllm.values import Values

ALGORITHM = "xxh3"
VARIABLE = "MMHASH_VLLM_ALGORITHM"
# vLLM's default. Whoever has chosen sha256 or sha512 instead had a reason, such as FIPS.
REPLACED = ("blake3", ALGORITHM)

# A child of vLLM's logger, which has the handlers.
logger = logging.getLogger("vllm.mmhash")

_lock = threading.Lock()
_installed: tuple[Installation, Patches] | None = None


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
    with another one.

    >>> installation = mmhash.engines.vllm.install(algorithm="xxh3")            # doctest: +SKIP
    >>> installation.replaced                                                   # doctest: +SKIP
    ('vllm.multimodal.hasher.MultiModalHasher.hash_kwargs',)
    >>> mmhash.engines.vllm.install(algorithm="md5")
    Traceback (most recent call last):
    ValueError: algorithm: expected 'xxh3' or None, found 'md5'
    """
    if algorithm not in (None, ALGORITHM):
        raise ValueError(f"algorithm: expected {ALGORITHM!r} or None, found {algorithm!r}")
    global _installed
    with _lock:
        if _installed is None:
            _installed = _install(algorithm)
        found = _installed[0]
        if found.algorithm != (algorithm or found.algorithm):
            raise ValueError(
                f"algorithm: mmhash is installed in vLLM already, with {found.algorithm}; found "
                f"{algorithm!r}: uninstall() first"
            )
        return found


def uninstall() -> None:
    """Put vLLM back as it was; does nothing where mmhash is not installed. Any thread may."""
    global _installed
    with _lock:
        found, _installed = _installed, None
    if found is not None:
        _info.engines.pop("vllm", None)
        left = found[1].undo()
        if left:
            names = ", ".join(left)
            announce(
                logger, logging.WARNING, f"left as is, replaced by somebody else since: {names}"
            )


def plugin() -> None:
    """The entry point of the group `vllm.general_plugins`: vLLM calls it in each process.

    MMHASH_VLLM_ALGORITHM=xxh3 turns it on; MMHASH_ENGINES=off, or a VLLM_PLUGINS without `mmhash`,
    keeps it off. A vLLM that mmhash does not know is left alone, with one warning. Raises
    ValueError for another value of these variables, so that a server with a typo does not start.
    """
    if not switch.enabled():
        return
    algorithm = os.environ.get(VARIABLE) or None
    if algorithm not in (None, ALGORITHM):
        raise ValueError(
            f"environment variable {VARIABLE}: expected {ALGORITHM}, or nothing for the server's "
            f"own algorithm, found {algorithm!r}"
        )
    if algorithm is None:
        announce(
            logger,
            logging.INFO,
            f"mmhash {__version__} replaced nothing: vLLM keeps its own algorithm unless "
            f"{VARIABLE}={ALGORITHM}",
        )
        return
    try:
        install(algorithm=algorithm)
    except shapes.UnsupportedVLLMError as error:
        announce(logger, logging.WARNING, str(error))


class _Counter:
    """Counts from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def add(self) -> None:
        with self._lock:
            self.count += 1


def _install(algorithm: str | None) -> tuple[Installation, Patches]:
    shape = shapes.find()
    patches = Patches()
    hashes = _Counter()
    if algorithm is not None:
        patches.replace(shape.hasher, "hash_kwargs", classmethod(_hash_kwargs(shape, hashes)))
    installation = Installation(
        engine="vllm",
        engine_version=shape.version,
        algorithm=algorithm or "vLLM's own",
        replaced=tuple(patches.names()),
        _uninstall=uninstall,
    )
    _info.engines["vllm"] = lambda: {
        "version": shape.version,
        "algorithm": installation.algorithm,
        "hashes": hashes.count,
    }
    untested = "" if shape.version in shapes.TESTED else " (not among those tested)"
    announce(
        logger,
        logging.INFO,
        f"mmhash {__version__} ({installation.algorithm}) in vLLM {shape.version}{untested}; "
        f"replaced {', '.join(installation.replaced) or 'nothing'}",
    )
    return installation, patches


def _hash_kwargs(shape: shapes.Shape, hashes: _Counter) -> Any:
    values = Values(shape)
    original = vars(shape.hasher)["hash_kwargs"].__func__

    @functools.wraps(original)
    def hash_kwargs(cls: Any, algorithm: Any, /, **kwargs: Any) -> str:
        """The key of a value: mmhash.identity() of it all, in hexadecimal.

        With sha256 and sha512, what vLLM computes. Releases the GIL for large values, and any
        thread may call it.
        """
        if algorithm not in REPLACED:
            return str(original(cls, algorithm, **kwargs))
        hashes.add()
        return _core.identity(values.of_all(kwargs)).hex()

    return hash_kwargs
