"""What becomes of hashes that came with a pickle: counted, and those of another algorithm told."""

from __future__ import annotations

from mmhash._counters import Counters
from mmhash._hash_state import Known, Maker

# used: made as this process would have. recomputed: made otherwise, and hashed here again.
# kept_unchecked: made otherwise, and used because nothing was left that could be hashed.
counters = Counters(("used", "recomputed", "kept_unchecked"))

# A process that is sent hashes of the keys of many tenants only counts those of later ones.
MOST_WARNINGS = 100

_warned: dict[tuple[str, Maker | None, Maker], object] = {}


def settled(carried: Known, result: Known, expected: Maker) -> None:
    """Counts one, and warns once for each pair of makers. Logs, so not to be called in a flight.

    (Logging takes locks. A thread that holds one, and in a finalizer waits for a flight, must not
    be waited for in that flight.)
    """
    if result is not carried:
        _count_and_warn("recomputed", carried.maker, expected, "It was hashed again here.")
    elif carried.maker == expected:
        counters.add("used")
    else:
        remedy = "It is used all the same, since nothing is left here that could be hashed."
        _count_and_warn("kept_unchecked", carried.maker, expected, remedy)


def _count_and_warn(name: str, carried: Maker | None, expected: Maker, what: str) -> None:
    counters.add(name)
    once = object()
    if (
        len(_warned) >= MOST_WARNINGS
        or _warned.setdefault((name, carried, expected), once) is not once
    ):
        return
    import logging

    logging.getLogger("mmhash").warning(
        "an item came with a hash by %s, and this process hashes it by %s. %s Configure all "
        "processes alike (mmhash.configure(), or MMHASH_ALGORITHM and MMHASH_KEY_FILE), or give "
        "the item's class its algorithm. Others like it are only counted, in "
        "mmhash.info()['carried'].",
        described(carried),
        described(expected),
        what,
    )


def described(maker: Maker | None) -> str:
    """For people: the algorithm and the id of its key."""
    name, key_id = maker or ("an unknown algorithm", None)
    return f"{name} without a key" if key_id is None else f"{name} with the key of id {key_id}"
