"""What the released engines need to serve images on a machine without a GPU.

None of it has a part in hashing or sending features.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def stand_in() -> None:
    """Have packages found that are not there, before the engine looks for them."""
    stubs = sys.modules.get("mmhash_stubs")  # in an environment of tests/engines/sglang/setup.sh
    if stubs is not None:
        stubs.STUBBED.discard("torchvision")  # a released one is installed, see with_torchvision
    for name in ("vllm", "vllm.model_executor", "vllm.model_executor.layers", *_BORROWED):
        module = _Borrowing(name)
        module.__spec__, module.__path__ = ModuleSpec(name, None), []
        sys.modules[name] = module


# SGLang 0.5.5 takes these from vLLM where a processor has no AMX, though its own would do.
_BORROWED = {
    "vllm.model_executor.layers.activation": "sglang.srt.layers.activation",
    "vllm.model_executor.layers.layernorm": "sglang.srt.layers.layernorm",
    "vllm._custom_ops": "",
}


class _Borrowing(ModuleType):
    """A module whose names are another's, or cannot be called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        owner = _BORROWED.get(self.__name__)
        if owner:
            return getattr(importlib.import_module(owner), name)

        def missing(*_: Any, **__: Any) -> None:
            raise RuntimeError(f"{self.__name__}.{name} is a stub: there is no GPU here")

        return missing


def with_torchvision(torch: ModuleType) -> None:
    """Declares the operators without which torchvision does not import.

    The released torchvision is built for CUDA: its operators do not load beside a torch for the
    CPU. Its transforms, which image processors use, do.
    """
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep.append(library)


def _with_sglang_operators(torch: ModuleType) -> None:
    with_torchvision(torch)
    library = torch.library.Library("sgl_kernel", "FRAGMENT")
    for name in SGLANG_OPERATORS:
        library.define(f"{name}(Tensor x) -> Tensor")
    _keep.append(library)


_keep: list[Any] = []  # a library goes with its object

# SGLang 0.5.23 reads these names while it imports models that are not used here.
SGLANG_OPERATORS = (
    "fused_gdn_gating_cpu",
    "fused_qk_gemma_rmsnorm_cpu",
    "fused_qk_gemma_rmsnorm_with_gate_cpu",
    "fused_qkvzba_split_reshape_cat_contiguous_cpu",
    "fused_sigmoid_gating_delta_rule_update_cpu",
    "fused_sigmoid_mul_cpu",
)


def _image_processor_on_cpu(fast: ModuleType) -> None:
    """SGLang 0.5.5 asks the image processor for `device="cuda"`, whatever its own --device says."""
    import torch

    own = fast.BaseImageProcessorFast._prepare_image_like_inputs

    def prepare(self: Any, *arguments: Any, **named: Any) -> Any:
        if named.get("device") == "cuda" and not torch.cuda.is_available():
            named["device"] = None
        return own(self, *arguments, **named)

    fast.BaseImageProcessorFast._prepare_image_like_inputs = prepare


def _attention_by_picture(vision: ModuleType) -> None:
    """The vision tower's attention, a picture at a time: the same result.

    SGLang gives torch all pictures of a batch with a mask that keeps them apart. With a mask,
    torch on a CPU computes attention step by step, in 0.4 s a layer and, for 16 pictures, 20 GB.
    """
    import torch

    attention = torch.nn.functional.scaled_dot_product_attention
    own = vision.VisionSdpaAttention.forward

    def forward(
        self: Any,
        q: Any,
        k: Any,
        v: Any,
        bsz: int,
        cu_seqlens: Any = None,
        attention_mask: Any = None,
        **named: Any,
    ) -> Any:
        if (
            attention_mask is not None
            or not self.flatten_batch
            or self.softmax_in_single_precision
            or not isinstance(cu_seqlens, torch.Tensor)
        ):
            named.update(cu_seqlens=cu_seqlens, attention_mask=attention_mask)
            return own(self, q, k, v, bsz, **named)
        ends = cu_seqlens.tolist()
        scale = getattr(self, "scale", None)
        pictures = []
        for start, end in itertools.pairwise(ends):
            one = [x[start:end].transpose(0, 1)[None] for x in (q, k, v)]
            pictures.append(attention(*one, scale=scale)[0].transpose(0, 1))
        return torch.cat(pictures)

    vision.VisionSdpaAttention.forward = forward


AFTER_IMPORT = {
    "torch": _with_sglang_operators,
    "transformers.image_processing_utils_fast": _image_processor_on_cpu,
    "sglang.srt.layers.attention.vision": _attention_by_picture,
}
