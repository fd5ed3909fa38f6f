"""Seeds, Hypothesis profiles, and fixtures that force an instruction set, threads or an intake.

Environment:

- `MMHASH_TEST_SEED`: the seed of everything random; drawn and printed where it is not set.
- `MMHASH_TEST_EXAMPLES`: Hypothesis examples a test (default 60).
- `--hypothesis-profile=ci`: the same examples in every run, unless a seed is given.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch

import mmhash
from mmhash import _core

ISAS = ("scalar", "sse2", "avx2", "avx512", "neon")
THREADS = (1, 2, 4)
Algorithm = tuple[str, bytes | None]
CUDA_ALGORITHMS: dict[str, Algorithm] = {
    "xxh3": ("xxh3", None),
    "blake3": ("blake3", None),
    "blake3 keyed": ("blake3", bytes(range(32))),
}
INTAKES = ("auto", "attributes", "dlpack")
SEED_VARIABLE = "MMHASH_TEST_SEED"
EXAMPLES = int(os.environ.get("MMHASH_TEST_EXAMPLES", "60"))

for profile in ("default", "ci"):
    hypothesis.settings.register_profile(
        profile,
        max_examples=EXAMPLES,
        deadline=None,  # a shared machine is slow at times, and that is no failure
        print_blob=True,
        suppress_health_check=[
            # A fixture that forces an ISA holds for all examples of its test, as it should.
            hypothesis.HealthCheck.function_scoped_fixture,
            hypothesis.HealthCheck.too_slow,
        ],
    )
hypothesis.settings.load_profile("default")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    fixed = config.getoption("--hypothesis-profile") == "ci"
    # The variable also hands the seed on to the workers of pytest-xdist.
    seed = os.environ.setdefault(SEED_VARIABLE, "1" if fixed else str(random.getrandbits(32)))
    if config.getoption("--hypothesis-seed") is None:
        config.option.hypothesis_seed = seed
    # A shell has what it starts in the background ignore Ctrl-C, and so all that is started from
    # there, also the commands that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    isas = ", ".join(mmhash.info()["isa_available"])
    return f"mmhash: {SEED_VARIABLE}={os.environ[SEED_VARIABLE]}, ISAs of this CPU: {isas}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device, or torch is built without"))


@pytest.fixture(autouse=True)
def settings_restored() -> Iterator[None]:
    """Whatever a test sets for the whole process, the next one finds the defaults.

    But the cache of identities is off: with it, only the first of several ISAs, thread counts or
    intakes would hash anything. Its own tests turn it on.
    """
    isa, threads = _core.isa(), mmhash.get_num_threads()
    entries = mmhash.cache_info().maxsize
    mmhash.cache_resize(0)
    yield
    mmhash.configure("xxh3")
    mmhash.cache_resize(entries)
    _core.set_isa(isa)
    mmhash.set_num_threads(threads)
    _core.set_tensor_intake("auto")


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on every instruction set; one that this CPU lacks is a visible skip."""
    if request.param not in mmhash.info()["isa_available"]:  # type: ignore[operator]
        pytest.skip(f"this CPU or its operating system has no {request.param}")
    _core.set_isa(request.param)
    yield request.param
    assert _core.isa() == request.param, "another instruction set ran than the one forced"


@pytest.fixture(params=CUDA_ALGORITHMS)
def cuda_algorithm(request: pytest.FixtureRequest, settings_restored: None) -> Algorithm:
    """Hash with each algorithm that CUDA devices fold, configured for the process."""
    name, key = CUDA_ALGORITHMS[request.param]
    mmhash.configure(name, key=key)
    return name, key


@pytest.fixture
def each_thread_count() -> Iterator[int]:
    """An iterator that sets 1, 2 and 4 threads in turn, so that a value is made only once."""

    def counts() -> Iterator[int]:
        for count in THREADS:
            mmhash.set_num_threads(count)
            assert mmhash.get_num_threads() == count
            yield count

    return counts()


@pytest.fixture(params=INTAKES)
def intake(request: pytest.FixtureRequest) -> str:
    """Read torch tensors in each of the ways: C exchange API, attributes, `__dlpack__()`."""
    _core.set_tensor_intake(request.param)
    return str(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers from the printed seed."""
    return np.random.default_rng(int(os.environ[SEED_VARIABLE]))
