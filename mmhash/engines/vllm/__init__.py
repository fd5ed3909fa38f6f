"""mmhash inside vLLM: `import mmhash.engines.vllm` imports neither vLLM nor torch."""

from mmhash.engines.vllm.engine import install, plugin, uninstall
from mmhash.engines.vllm.probe import UnsupportedVLLMError

__all__ = ["UnsupportedVLLMError", "install", "plugin", "uninstall"]
