"""Which algorithm and key hash an item: its own, its class's, or those of the process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mmhash import _core, algorithms, configuration

if TYPE_CHECKING:
    from mmhash._hash_state import Maker

# The name in the item's __dict__ under which its own are, an OwnAlgorithm.
OWN = "_mmhash_algorithm"


class ItemAlgorithm:
    """An algorithm with its key, and how it is called where hashes travel.

    It cannot be pickled, because an Algorithm cannot: a class that is pickled by value must not
    take its key along, nor lose it on the way.
    """

    __slots__ = ("algorithm", "maker")

    def __init__(self, algorithm: _core.Algorithm) -> None:
        self.algorithm = algorithm
        self.maker: Maker = (algorithm.name, algorithm.key_id)


class OwnAlgorithm(ItemAlgorithm):
    """That of one item. Its copies in this process share it; pickle leaves it out."""

    __slots__ = ()

    def __deepcopy__(self, memo: Any) -> OwnAlgorithm:
        return self

    def __reduce__(self) -> Any:
        return type(None), ()


Kind = TypeVar("Kind", bound=ItemAlgorithm)


def opened(kind: type[Kind], algorithm: Any, key: Any) -> Kind | None:
    """What the arguments `algorithm` and `key` name, None for neither; as identity() takes them.

    A key alone is for the algorithm that is configured now. Raises what algorithms.opened() does.
    """
    if algorithm is None and key is None:
        return None
    named = configuration.configured().name if algorithm is None else algorithm
    return kind(algorithms.opened(named, key))


_last = ItemAlgorithm(_core.XXH3)


def configured() -> ItemAlgorithm:
    """That of the process, as it is configured now."""
    global _last
    algorithm, last = configuration.configured(), _last
    if last.algorithm is not algorithm:
        _last = last = ItemAlgorithm(algorithm)
    return last
