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


@pytest.fixture
def load_plugins(monkeypatch):
    """SGLang's own loading of plugins, as in a new process, as often as it is called."""
    plugins = pytest.importorskip("sglang.srt.plugins")

    def load() -> None:
        monkeypatch.setattr(plugins, "_plugins_loaded", False)
        plugins.load_plugins()

    yield load
    from mmhash.engines import sglang

    sglang.uninstall()
