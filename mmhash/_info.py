"""What this build of mmhash is and what it does in this process."""

from collections.abc import Callable

from mmhash import _carried, _core, configuration
from mmhash._version import __version__

# What is installed in engines in this process: a name, and what reports on it.
engines: dict[str, Callable[[], dict[str, object]]] = {}


def info() -> dict[str, object]:
    """What is installed and in use, for logs and bug reports. A new dict each time.

    Keys: `version`; `algorithm` and `key_id` (16 hexadecimal digits, or None without a key) of
    calls that name no algorithm, and `algorithm_source`, where that was said ("default",
    "configure()" or the environment variable); `isa`, the instruction set in use, and
    `isa_available`, the names that MMHASH_ISA takes here, best first; `num_threads`; `xxhash`, the
    version of the header that was compiled in; `tensor_intake`, how torch tensors are read
    ("dlpack_c_exchange", or the slower "attributes" for older torch; None until the first one was
    seen); `device_path`, how CUDA tensors are hashed ("cuda_kernel" where they are, or after a
    slower "pinned_copy"; None until the first one), and `device_path_reason`, why they have to be
    copied; the payload sizes in bytes from which the GIL is released (`gil_release_bytes`), the
    thread pool is used (`parallel_bytes`) and the cache is asked (`cache_min_bytes`); `slow_paths`,
    how often in this process a strided value was `gathered` through scratch memory (on a GPU, its
    shared memory), a torch tensor read by its `attributes`, and a device tensor hashed on the CPU
    after `device_copies`; `carried`, how many hashes that came with an item were `used`, because
    this process makes them by the same algorithm and key, `recomputed`, because it does not, or
    `kept_unchecked`, because it does not and nothing was left to hash (not those of engines' own
    items); `engines`, what mmhash is installed in, with version, algorithm and key's id there, and
    what it has counted (empty where mmhash.engines was not used).

    >>> mmhash.info()["isa"] in mmhash.info()["isa_available"]
    True
    """
    return {
        "version": __version__,
        **configuration.report(),
        **_core.info(),
        "carried": _carried.counters.read(),
        "engines": {name: report() for name, report in list(engines.items())},
    }
