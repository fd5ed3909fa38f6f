"""torch tensors without readable elements: `TypeError` with place and remedy, by every intake."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from reference import identity
from subprocesses import python_output
from torch._subclasses.fake_tensor import FakeTensorMode

import mmhash

pytestmark = pytest.mark.filterwarnings("ignore")  # torch warns of its own prototypes


class Wrapper(torch.Tensor):
    """Holds another tensor, as quantised weights and DTensor do: its own memory is none."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Wrapper:
        made = torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError("hashing must not run operations of the wrapper")


class Logging(torch.Tensor):
    """Has memory of its own, but says with `__torch_dispatch__` that it is not the value."""

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class Plain(torch.Tensor):
    """A subclass as torchvision's tv_tensors are: an ordinary tensor with another name."""


def fake() -> torch.Tensor:
    with FakeTensorMode():
        return torch.empty(3)


def released() -> torch.Tensor:
    tensor = torch.ones(1000)
    tensor.untyped_storage().resize_(0)
    return tensor


def quantized_per_channel() -> torch.Tensor:
    scales, zeros = torch.tensor([0.1, 0.2]), torch.tensor([0, 0])
    return torch.quantize_per_channel(torch.ones(2, 2), scales, zeros, 0, torch.qint8)


def sub_byte(name: str) -> Callable[[], torch.Tensor]:
    return lambda: torch.empty(4, dtype=getattr(torch, name))


PARTS = [torch.ones(2), torch.ones(3)]
CASES: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "sparse_coo": (lambda: torch.eye(4).to_sparse_coo(), "sparse_coo"),
    "sparse_csr": (lambda: torch.eye(4).to_sparse_csr(), "sparse_csr"),
    "sparse_csc": (lambda: torch.eye(4).to_sparse_csc(), "sparse_csc"),
    "sparse_bsr": (lambda: torch.eye(4).to_sparse_bsr((2, 2)), "sparse_bsr"),
    "sparse_bsc": (lambda: torch.eye(4).to_sparse_bsc((2, 2)), "sparse_bsc"),
    "sparse, empty": (lambda: torch.empty(0).to_sparse(), "sparse_coo"),
    "mkldnn": (lambda: torch.ones(3).to_mkldnn(), "mkldnn"),
    "quantized": (
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8),
        "quantized|quint8",
    ),
    "quantized per channel": (quantized_per_channel, "quantized|qint8"),
    "nested, strided": (lambda: torch.nested.nested_tensor(PARTS), "nested|NestedTensor"),
    "nested, jagged": (
        lambda: torch.nested.nested_tensor(PARTS, layout=torch.jagged),
        "NestedTensor.*unbind",
    ),
    "meta": (lambda: torch.empty(3, device="meta"), "meta"),
    "meta, empty": (lambda: torch.empty(0, device="meta"), "meta"),
    "fake": (fake, "FakeTensor.*hash the real tensor"),
    "wrapper": (lambda: Wrapper(torch.ones(3)), "Wrapper"),
    "dispatching": (lambda: torch.ones(3).as_subclass(Logging), "Logging"),
    "complex32": (lambda: torch.zeros(3, dtype=torch.complex32), "complex32"),
    "uint4": (sub_byte("uint4"), "uint4"),
    "int4": (sub_byte("int4"), "int4"),
    "bits8": (sub_byte("bits8"), "bits8"),
    "bits1x8": (sub_byte("bits1x8"), "bits1x8"),
    "float4": (sub_byte("float4_e2m1fn_x2"), "float4_e2m1fn_x2"),
    "quint4x2": (sub_byte("quint4x2"), "quint4x2|quantized"),
    "masked": (
        lambda: torch.masked.masked_tensor(torch.ones(3), torch.ones(3) > 0),
        "MaskedTensor.*get_mask",
    ),
    "functional": (lambda: torch._to_functional_tensor(torch.ones(3)), "within functionalize"),
    "released": (released, "released|storage"),
    "zero tensor": (lambda: torch._efficientzerotensor((3,)), "zeros that are nowhere.*clone"),
}  # fmt: skip
INTAKES = ("auto", "attributes")


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", INTAKES)
def test_unsupported(name: str, way: str) -> None:
    make, named = CASES[name]
    tensor = make()
    mmhash._core.set_tensor_intake(way)
    with pytest.raises(TypeError, match=named) as caught:
        mmhash.identity({"images": [torch.ones(2), tensor]})
    text = str(caught.value)
    assert text.startswith('no identity for value["images"][1]: ')
    assert re.search(r"Tensor|Parameter|Wrapper|Logging", text), text
    what, _, remedy = text.partition("; ")
    assert what
    assert len(remedy) > 10, f"no remedy: {text}"


@pytest.mark.parametrize("name", CASES)
def test_hash_feature_and_xxh3_refuse_the_same(name: str) -> None:
    make, named = CASES[name]
    tensor = make()
    with pytest.raises(TypeError, match=named):
        mmhash.hash_feature(tensor)
    if torch.complex32 not in (tensor.dtype,):  # contiguous memory of any dtype has an XXH3
        with pytest.raises(TypeError, match=named):
            mmhash.xxh3_64(tensor)


@pytest.mark.parametrize("kind", ["UninitializedParameter", "UninitializedBuffer"])
def test_uninitialized(kind: str) -> None:
    """What a lazy module has before it is called: torch itself says ValueError, about is_neg()."""
    value = getattr(torch.nn.parameter, kind)()
    with pytest.raises(
        TypeError, match=r"value\[0\].*neither shape nor data yet; call its lazy mod"
    ):
        mmhash.identity([value])
    value.materialize((2, 3))
    value.data.fill_(1)
    assert mmhash.identity(value) == mmhash.identity(torch.ones(2, 3))


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "vmap": lambda f: torch.vmap(f)(torch.ones(3, 4)),
    "grad": lambda f: torch.func.grad(f)(torch.ones(3, 4)),
    "jvp": lambda f: torch.func.jvp(f, (torch.ones(3),), (torch.ones(3),)),
    "functionalize": lambda f: torch.func.functionalize(f)(torch.ones(3)),
    "vmap of grad": lambda f: torch.vmap(torch.func.grad(f))(torch.ones(3, 4)),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("way", INTAKES)
def test_function_transforms(transform: str, way: str) -> None:
    """Within them a tensor stands for others and has no memory: an error, never a crash."""
    called = []

    def function(tensor: torch.Tensor) -> torch.Tensor:
        for call in (mmhash.identity, mmhash.hash_feature, mmhash.xxh3_64, mmhash.xxh3_128):
            with pytest.raises(TypeError, match=r"torch\.Tensor"):
                call(tensor)
            called.append(call)
        return tensor.sum()

    mmhash._core.set_tensor_intake(way)
    TRANSFORMS[transform](function)
    assert len(called) == 4


def test_subclasses_that_are_ordinary_tensors(intake: str) -> None:
    tensor = torch.arange(12.0).reshape(3, 4)
    expected = mmhash.identity(tensor.numpy())
    for value in (
        tensor.as_subclass(Plain),
        torch.nn.Parameter(tensor),
        torch.nn.Buffer(tensor),
        tensor.clone().requires_grad_(),
        tensor.clone().requires_grad_() * 1,
    ):
        assert mmhash.identity(value) == expected


def test_tensors_of_every_mode(intake: str) -> None:
    """Inference tensors, dual numbers, copy-on-write clones, shared and pinned memory: all read."""
    tensor = torch.arange(12.0)
    expected = mmhash.identity(tensor.numpy())
    with torch.inference_mode():
        inference = tensor.clone()
    assert inference.is_inference()
    assert mmhash.identity(inference) == expected
    assert mmhash.identity(torch._lazy_clone(tensor)) == expected
    assert mmhash.identity(tensor.clone().share_memory_()) == expected
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(tensor, torch.ones(12))
        assert mmhash.identity(dual) == expected
    with torch.inference_mode(), warnings.catch_warnings():
        assert mmhash.identity(tensor[::1]) == expected


@pytest.mark.parametrize("n", [1 << 18, 1 << 22])
def test_a_storage_that_was_shrunk(n: int) -> None:
    """`resize_` of a storage leaves its tensors reaching beyond it, and torch says nothing."""
    tensor = torch.zeros(n, dtype=torch.uint8)
    tensor.untyped_storage().resize_(n // 2)
    for call in (mmhash.identity, mmhash.hash_feature, mmhash.xxh3_64, mmhash.xxh3_128):
        with pytest.raises(TypeError, match="storage"):
            call(tensor)


@pytest.mark.parametrize("ndim", [64, 65, 128, 255])
def test_many_dimensions(ndim: int, intake: str) -> None:
    shape = [1] * ndim
    shape[0] = shape[-1] = 3
    contiguous = torch.arange(9.0).reshape(shape)
    assert mmhash.identity(contiguous) == identity(contiguous)
    view = contiguous.transpose(0, ndim - 1)
    assert mmhash.identity(view) == identity(view)
    if ndim == 64:
        assert mmhash.identity(view.numpy()) == identity(view)


@pytest.mark.parametrize("way", INTAKES)
def test_too_many_dimensions(way: str) -> None:
    """The format has one byte for their number."""
    mmhash._core.set_tensor_intake(way)
    with pytest.raises(TypeError, match=r"value\[0\].*(256|300).*dimensions|dimensions.*255"):
        mmhash.identity([torch.zeros([1] * 300)])


def test_sizes_beyond_memory() -> None:
    """Expanded views whose logical size no machine could hold: refused where 63 bits end."""
    for call in (mmhash.identity, mmhash.xxh3_64):
        with pytest.raises(TypeError, match="bytes"):
            call(torch.zeros(1, dtype=torch.float64).expand(2**31, 2**31))
    nothing = np.broadcast_to(np.zeros((1, 0), np.uint8), (2**31, 0))
    assert mmhash.identity(nothing) == identity(nothing)


def test_unknown_tensor_intake() -> None:
    with pytest.raises(ValueError, match=r"'carrier pigeon'.*auto.*attributes.*dlpack"):
        mmhash._core.set_tensor_intake("carrier pigeon")


def test_intake_before_torch() -> None:
    """Hashing looks torch up only where it is loaded, so there is nothing to choose before."""
    code = """
import sys, mmhash
print(mmhash.info()["tensor_intake"])
mmhash.identity([1, b"", [None]])
assert "torch" not in sys.modules
import torch
mmhash.identity(torch.ones(3))
print(mmhash.info()["tensor_intake"])
"""
    before, after = python_output(code).split()
    assert before == "None"
    assert after in ("dlpack_c_exchange", "attributes")
    assert (after == "dlpack_c_exchange") == hasattr(torch.Tensor, "__dlpack_c_exchange_api__")
