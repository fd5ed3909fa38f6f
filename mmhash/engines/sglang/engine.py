"""Putting mmhash into the SGLang of this process, and taking it out again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mmhash import _core
from mmhash._counters import Counters
from mmhash.engines.adapter import Adapter, Installation
from mmhash.engines.engine import Engine, Replaced
from mmhash.engines.patches import Patches
from mmhash.engines.sglang import identities
from mmhash.engines.sglang import probe as probes
from mmhash.engines.sglang.hashing import is_wide, make_hash_feature
from mmhash.engines.sglang.hooks import Functions, Registered, assign
from mmhash.engines.sglang.lazy import LazyItems
from mmhash.engines.sglang.sender import Sender


class SGLang(Engine):
    """What is particular to SGLang.

    The counters: `hashes`, features hashed; `carried`, hashes that came with a shared-memory
    pointer and were returned; `sent`, items whose hash the sender resolved before sending them;
    `deferred`, items whose hash was asked for and put off until it is read.
    """

    name = "sglang"
    title = "SGLang"
    tested = probes.TESTED
    counters = ("hashes", "carried", "sent", "deferred")
    options = {"lazy": True}  # noqa: RUF012 - it is a Mapping
    logger = logging.getLogger("mmhash.engines.sglang")

    def __init__(self) -> None:
        self._registered = Registered()  # of this process: SGLang's registry forgets no hook

    def load(self) -> probes.Modules:
        """See Engine. Raises UnsupportedSGLangError for a version before 0.5.5."""
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
        """See Engine. The item class comes last, because its items may be in use already."""
        item_class, lazy = probe.item_class, options["lazy"] and probe.lazy
        items = LazyItems(item_class, counters) if lazy else None
        now = item_class.set_pad_value if items is None else items.set_pad_value_now
        wide = is_wide(probe, algorithm)
        functions = Functions(
            hash_feature=make_hash_feature(probe, counters, algorithm),
            wrap_tokenize=Sender(item_class, now, counters).wrap,
            wrap_set_hash=identities.wrap if wide else None,
        )
        (self._registered.replace if plugin else assign)(probe, patches, functions)
        if items is not None:
            items.patch(patches)
        bits = 8 * algorithm.digest_size if wide else 64
        report = {"lazy": lazy, "identity_bits": bits}
        note = f", {'lazy' if lazy else 'eager'} {probe.items} items of {bits} bits"
        if items is None:
            return Replaced(note=note, report=report)
        return Replaced(note=note, report=report, settle=items.settle)

    def short(self, name: str) -> str:
        """See Engine."""
        return name.rpartition("managers.")[2]


_adapter = Adapter(SGLang())


def install(
    *, algorithm: str | None = None, key: bytes | None = None, lazy: bool = True
) -> Installation:
    """Have SGLang hash multimodal features with mmhash, in this process, from now on.

    - `mm_utils.hash_feature` becomes 64 bits of mmhash.identity(), wherever SGLang looks it up.
    - Items that take one (SGLang 0.5.23) get all 32 bytes of BLAKE3 or SHA-256 as their identity,
      of which SGLang makes the keys of its prefix cache. A hash or identity that a caller or a
      processor has set stays.
    - With `lazy`, `set_pad_value()` of dataclass items (SGLang before 0.5.20) puts hashing off
      until the hash is read, the item is pickled or copied, or its feature is replaced. The Struct
      items of later versions hash at once: SGLang calls set_pad_value() there in a thread that is
      to have it done, and reads their slots past any property.
    - The tokenizer manager hashes in a thread before it sends, so that no scheduler hashes.

    `algorithm` is "blake3", "sha256" or "xxh3"; None is what MMHASH_SGLANG_ALGORITHM names, or
    BLAKE3 (without its package SHA-256, with a warning). XXH3 is not cryptographic: it is for
    servers whose users trust each other. `key`, 32 bytes, is for the first two; None is the key of
    the process (MMHASH_KEY_FILE or mmhash.configure(), as it is now), if there is one. The
    process's own algorithm is not the engine's.

    All ranks of a server must have it, or none, with one algorithm and key: install it with the
    plugin, which is loaded in every process, or run `python -m mmhash.engines.sglang` in place of
    `sglang.launch_server`.

    Imports SGLang. Any thread may call it; a second call changes nothing and returns the first's
    Installation. Hashes that were made before keep standing for what they stood for.
    `mmhash.info()["engines"]["sglang"]` counts.

    Raises UnsupportedSGLangError, having replaced nothing, where SGLang's classes and functions
    are not as expected; ImportError without SGLang, and for an algorithm that was named and whose
    package is missing; ValueError for an unknown algorithm, a key of another length, any key with
    xxh3 (the process's too), and where it is installed already with another algorithm, key or
    `lazy`; TypeError for arguments of another type; RuntimeError in a finalizer or signal handler
    that interrupts an install() or uninstall() of its own thread.

    >>> installation = mmhash.engines.sglang.install()                          # doctest: +SKIP
    >>> installation.engine_version, installation.algorithm                     # doctest: +SKIP
    ('0.5.23', 'blake3')
    >>> installation.uninstall()                                                # doctest: +SKIP
    >>> mmhash.engines.sglang.install(algorithm="md5")
    Traceback (most recent call last):
    ValueError: algorithm: expected one of 'xxh3', 'blake3', 'sha256', found 'md5'
    """
    return _adapter.install(algorithm=algorithm, key=key, lazy=bool(lazy))


def uninstall() -> None:
    """Put SGLang back as it was; does nothing where mmhash is not installed. Any thread may.

    Items whose hash is put off are hashed first. A request that another thread is building
    meanwhile may get hashes of both kinds: call it where none is under way. RuntimeError as with
    install().
    """
    _adapter.uninstall()


def load_plugin() -> None:
    """See mmhash.engines.sglang.plugin."""
    _adapter.load_plugin()


def is_wanted() -> bool:
    """Whether a server that starts is to have mmhash. SystemExit for a nonsensical environment."""
    return _adapter.is_wanted()
