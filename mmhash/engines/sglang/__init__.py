"""mmhash inside SGLang: `import mmhash.engines.sglang` imports neither SGLang nor torch."""

from mmhash.engines.sglang.installing import install, uninstall
from mmhash.engines.sglang.shape import UnsupportedSGLangError

__all__ = ["UnsupportedSGLangError", "install", "uninstall"]
