"""Hashing in another thread what is still being computed on a GPU.

A CUDA tensor holds its elements once its stream has come so far, and each thread has current
streams of its own. Whoever hands a tensor to another thread must therefore also hand over where in
its stream it is.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from mmhash._nested import leaves

Result = TypeVar("Result")


def after_current_work(
    values: Iterable[object], work: Callable[[], Result]
) -> Callable[[], Result]:
    """`work`, to be called in another thread: its CUDA work follows what is enqueued here now.

    That is, what is on the current stream of each device that a torch tensor in `values` is on. It
    runs on a stream of its own, so that nobody else's work waits too.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return work  # without torch there are no tensors, and without CUDA none on a GPU
    tensors = (leaf for leaf in leaves(tuple(values)) if isinstance(leaf, torch.Tensor))
    devices = {tensor.device for tensor in tensors if tensor.is_cuda}
    if not devices:
        return work
    events = [torch.cuda.current_stream(device).record_event() for device in devices]

    def ordered() -> Result:
        with contextlib.ExitStack() as streams:
            for device, event in zip(devices, events, strict=True):
                stream = torch.cuda.Stream(device)
                stream.wait_event(event)
                streams.enter_context(torch.cuda.stream(stream))
            return work()

    return ordered
