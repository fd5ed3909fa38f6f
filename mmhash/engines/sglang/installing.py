"""Putting mmhash into the SGLang of this process, and taking it out again."""

from __future__ import annotations

import logging
import threading

from mmhash import _info
from mmhash._version import __version__
from mmhash.engines.announcing import announce
from mmhash.engines.installation import Installation
from mmhash.engines.patches import Patches
from mmhash.engines.sglang import shape as shapes
from mmhash.engines.sglang.counts import Counts
from mmhash.engines.sglang.hashing import make_hash_feature
from mmhash.engines.sglang.hooks import Assigned, Functions
from mmhash.engines.sglang.lazy import LazyItems, make_lazy
from mmhash.engines.sglang.sender import Sender

ALGORITHM = "xxh3"

logger = logging.getLogger("mmhash.engines.sglang")

_lock = threading.Lock()
_installed: _Installed | None = None


def install(*, algorithm: str | None = None, lazy: bool = True) -> Installation:
    """Have SGLang hash multimodal features with mmhash, in this process, from now on.

    - `mm_utils.hash_feature` becomes 64 bits of mmhash.identity(), wherever SGLang looks it up.
    - With `lazy`, `set_pad_value()` of dataclass items (SGLang before 0.5.20) puts hashing off
      until the hash is read, the item is pickled or copied, or its feature is replaced. The Struct
      items of later versions hash at once: SGLang calls set_pad_value() there in a thread that is
      to have it done, and reads their slots past any property.
    - The tokenizer manager hashes in a thread before it sends, so that no scheduler hashes.

    All ranks of a server must have it, or none: install it with the plugin, which is loaded in
    every process, or run `python -m mmhash.engines.sglang` in place of `sglang.launch_server`.

    Imports SGLang. Any thread may call it; a second call changes nothing and returns the first's
    Installation. `algorithm` is "xxh3", or None for the same. Hashes that were made before keep
    standing for what they stood for. `mmhash.info()["engines"]["sglang"]` counts.

    Raises UnsupportedSGLangError, having replaced nothing, where SGLang's classes and functions
    are not as expected; ImportError without SGLang; ValueError for another algorithm, and where
    it is installed already with another `lazy`.

    >>> installation = mmhash.engines.sglang.install()                          # doctest: +SKIP
    >>> installation.engine_version, installation.replaced[0]                   # doctest: +SKIP
    ('0.5.5', 'sglang.srt.managers.mm_utils.hash_feature')
    >>> installation.uninstall()                                                # doctest: +SKIP
    >>> mmhash.engines.sglang.install(algorithm="md5")
    Traceback (most recent call last):
    ValueError: algorithm: expected 'xxh3' or None, found 'md5'
    """
    if algorithm not in (None, ALGORITHM):
        raise ValueError(f"algorithm: expected {ALGORITHM!r} or None, found {algorithm!r}")
    return install_with(Assigned(), bool(lazy))


def install_with(functions: Functions, lazy: bool | None = None) -> Installation:
    """install(), with functions replaced in that way if it is not installed yet.

    `lazy` None takes what is installed as it is.
    """
    global _installed
    with _lock:
        if _installed is None:
            _installed = _Installed(shapes.find(), lazy is not False, functions)
            announce(logger, logging.INFO, _installed.line())
        elif lazy is not None and _installed.lazy_wanted != lazy:
            raise ValueError(
                f"lazy: expected {_installed.lazy_wanted}, with which mmhash is installed in "
                f"SGLang already, found {lazy}: uninstall() first"
            )
        return _installed.installation


def uninstall() -> None:
    """Put SGLang back as it was; does nothing where mmhash is not installed. Any thread may.

    Items whose hash is put off are hashed first. A request that another thread is building
    meanwhile may get hashes of both kinds: call it where none is under way.
    """
    global _installed
    with _lock:
        found, _installed = _installed, None
        if found is not None:
            found.undo()


class _Installed:
    """What install() did."""

    def __init__(self, shape: shapes.Shape, lazy: bool, functions: Functions) -> None:
        self.lazy_wanted = lazy
        self.lazy = lazy and shape.lazy
        self._counts = Counts()
        self._patches = Patches()  # of the item class
        self._functions = functions
        self._shape = shape
        self._lazy_items: LazyItems | None = None
        try:
            now = shape.item_class.set_pad_value
            if self.lazy:
                self._lazy_items = make_lazy(shape.item_class, self._patches, self._counts)
                now = self._lazy_items.set_pad_value_now
            self._sender = Sender(shape.item_class, now, self._counts)
            hash_feature = make_hash_feature(shape, self._counts)
            replaced = functions.replace(shape, hash_feature, self._sender.wrap)
        except BaseException:
            functions.restore()
            self._patches.undo()
            raise
        _info.engines["sglang"] = self.report
        self.installation = Installation(
            engine="sglang",
            engine_version=shape.version,
            algorithm=ALGORITHM,
            replaced=(*replaced, *self._patches.names()),
            _uninstall=self._uninstall,
        )

    def report(self) -> dict[str, object]:
        """What mmhash.info() says."""
        return {
            "version": self._shape.version,
            "algorithm": ALGORITHM,
            "lazy": self.lazy,
            **self._counts.read(),
        }

    def line(self) -> str:
        """What the log says."""
        untested = "" if self._shape.version in shapes.TESTED else " (not among those tested)"
        names = [name.rpartition("managers.")[2] for name in self.installation.replaced]
        return (
            f"mmhash {__version__} ({ALGORITHM}) in SGLang {self._shape.version}{untested}, "
            f"{'lazy' if self.lazy else 'eager'} {self._shape.items} items; replaced "
            + ", ".join(names)
        )

    def undo(self) -> None:
        """Puts everything back."""
        _info.engines.pop("sglang", None)
        if self._lazy_items is not None:
            self._lazy_items.resolve_all()
        left = self._functions.restore() + self._patches.undo()
        self._sender.shutdown()
        if left:
            announce(
                logger,
                logging.WARNING,
                f"left as they are, replaced by somebody else since: {', '.join(left)}",
            )

    def _uninstall(self) -> None:
        """Of this installation, not of a later one."""
        with _lock:
            current = _installed is self
        if current:
            uninstall()
