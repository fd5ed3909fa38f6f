"""Installs mmhash in the SGLang of this process for a test, and takes it out again."""

from __future__ import annotations

import pytest


@pytest.fixture
def installed():
    from mmhash.engines import sglang

    # Not the fixture: what a test patches must be undone before mmhash is taken out.
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SGLANG_MM_PRECOMPUTE_HASH", "SGLANG_MM_SKIP_COMPUTE_HASH"):
            patch.delenv(name, raising=False)
        installation = sglang.install()
        yield installation
        installation.uninstall()


@pytest.fixture
def counts(installed):
    """Reads the counters of what is installed."""
    import mmhash

    return lambda: mmhash.info()["engines"]["sglang"]
