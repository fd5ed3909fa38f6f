"""mmhash inside vLLM: `import mmhash.engines.vllm` imports neither vLLM nor torch."""

from mmhash.engines.vllm.installing import install, plugin, uninstall
from mmhash.engines.vllm.shape import UnsupportedVLLMError

__all__ = ["UnsupportedVLLMError", "install", "plugin", "uninstall"]
