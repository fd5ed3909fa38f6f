"""mmhash inside SGLang: `import mmhash.engines.sglang` imports neither SGLang nor torch."""

from mmhash.engines.sglang.engine import install, uninstall
from mmhash.engines.sglang.probe import UnsupportedSGLangError

__all__ = ["UnsupportedSGLangError", "install", "uninstall"]
