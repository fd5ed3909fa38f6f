"""SGLang's own code on both ends of a request, with only the edges of its classes filled in.

Items are built, requests made, sent, received and turned into MultimodalInputs by the functions
that the installed SGLang has for it. Made up are: the pixels, the answer of the image processor,
and the parts of a TokenizerManager that validate a request and read a server's configuration.
"""

from __future__ import annotations

import asyncio
import functools
from types import SimpleNamespace

import numpy as np
import torch
from sglang.srt.managers import io_struct, mm_utils, schedule_batch, tokenizer_manager
from sglang.srt.managers.schedule_batch import Modality, MultimodalDataItem, MultimodalInputs
from sglang.srt.multimodal.processors.base_processor import BaseMultimodalProcessor
from sglang.srt.sampling.sampling_params import SamplingParams

import mmhash

IMAGE_TOKEN, START, END = 7, 8, 9
TOKENS = 4  # of an image

ProcessorOutput = getattr(schedule_batch, "MultimodalProcessorOutput", None)
PADDINGS = (
    mm_utils.MultiModalityDataPaddingPatternMultimodalTokens(),
    mm_utils.MultiModalityDataPaddingPatternTokenPairs([(START, END)]),
)
HAS_SHM = hasattr(mm_utils, "ShmPointerMMData")
HAS_MSGPACK = hasattr(io_struct, "sock_send")
IS_STRUCT = hasattr(MultimodalDataItem, "__struct_fields__")
HAS_IDENTITIES = hasattr(MultimodalDataItem, "set_identity")


def configure(*, shared_memory: bool) -> None:
    """What a server's configuration says, for functions that ask it."""
    if HAS_SHM:
        mm_utils._is_default_tensor_transport = not shared_memory
    for module in (mm_utils, tokenizer_manager):
        for name in ("get_serving", "get_disagg", "get_memory", "get_global_server_args"):
            if hasattr(module, name):
                setattr(module, name, lambda: CONFIGURATION)


CONFIGURATION = SimpleNamespace(
    skip_tokenizer_init=False,
    language_only=False,
    language_model_only=False,
    encoder_transfer_backend="",
    disable_radix_cache=False,
    allow_auto_truncate=False,
)


def features(seed: int) -> list:
    """What an image processor may answer, of several kinds and sizes."""
    draw = torch.Generator().manual_seed(seed)
    return [
        torch.rand(300, 400, generator=draw),  # above the size from which a thread hashes
        torch.rand(4, 6, generator=draw).to(torch.bfloat16),
        np.arange(24, dtype=np.float32).reshape(4, 6) + seed,
        [torch.rand(2, 3, generator=draw), torch.rand(3, 2, generator=draw)],
    ]


def build_item(feature, place: int = 0) -> MultimodalDataItem:
    """As a processor's output becomes an item."""
    processor = SimpleNamespace(
        ATTR_NAME_TO_MODALITY={
            "pixel_values": Modality.IMAGE,
            "image_grid_thw": Modality.IMAGE,
        },
        FEATURE_NAMES=["pixel_values"],
    )
    (item,) = BaseMultimodalProcessor.collect_mm_items_from_processor_output(
        processor, {"pixel_values": feature, "image_grid_thw": torch.tensor([[1, 2, 2]])}
    )
    first = place * (TOKENS + 2) + 1
    item.offsets = [(first, first + TOKENS - 1)]
    return item


def build_items(given: list) -> list[MultimodalDataItem]:
    return [build_item(feature, place) for place, feature in enumerate(given)]


def token_ids(count: int) -> list[int]:
    return [START, *[IMAGE_TOKEN] * TOKENS, END] * count


def processor_output(items: list):
    """What an image processor answers."""
    fields = {
        "mm_items": items,
        "input_ids": token_ids(len(items)),
        "im_token_id": IMAGE_TOKEN,
        "im_start_id": START,
        "im_end_id": END,
    }
    return fields if ProcessorOutput is None else ProcessorOutput.from_dict(fields)


def manager(items: list, request_class=None):
    """A tokenizer manager whose image processor answers with these items."""

    async def process(*_, **__):
        return processor_output(items)

    made = tokenizer_manager.TokenizerManager.__new__(tokenizer_manager.TokenizerManager)
    made.server_args = CONFIGURATION
    made.model_config = SimpleNamespace(hf_config=SimpleNamespace(architectures=[]))
    made.max_req_input_len = 10**6
    made.tokenizer = None
    made.mm_processor = SimpleNamespace(
        process_mm_data_async=process, prefer_tokenized_input=False, hash_executor=_executor()
    )
    made.mm_data_processor = SimpleNamespace(process=process)
    made._validate_one_request = made._validate_mm_limits = lambda *_: None
    made._create_tokenized_object = lambda obj, text, ids, embeds, mm_inputs, types=None: tokenized(
        mm_inputs, ids, obj.rid
    )
    return made


@functools.cache
def _executor():
    try:
        from sglang.srt.multimodal.processors.hash_executor import MultimodalHashExecutor
    except ImportError:
        return None
    return MultimodalHashExecutor()


async def tokenize(items: list, **fields):
    """TokenizerManager._tokenize_one_request of a request for these items."""
    obj = io_struct.GenerateReqInput(
        input_ids=token_ids(len(items)), image_data=["image"] * len(items), rid="r", **fields
    )
    return await manager(items)._tokenize_one_request(obj)


# Not asyncio.run(): its signal handler takes the repr of the task, and so of every tensor, 0.2 s.
LOOP = asyncio.new_event_loop()


def tokenize_now(items: list, **fields):
    return LOOP.run_until_complete(tokenize(items, **fields))


def tokenized(mm_inputs, ids, rid: str):
    """What goes to the schedulers."""
    from array import array

    fields = {
        "rid": rid,
        "input_text": "",
        "input_ids": array("q", ids) if HAS_MSGPACK else list(ids),
        "input_embeds": None,
        "mm_inputs": mm_inputs,
        "token_type_ids": None,
        "sampling_params": SamplingParams(max_new_tokens=1),
        "return_logprob": False,
        "logprob_start_len": -1,
        "top_logprobs_num": 0,
        "token_ids_logprob": None,
        "stream": False,
    }
    known = io_struct.TokenizedGenerateReqInput
    names = getattr(known, "__struct_fields__", None) or known.__dataclass_fields__
    return known(**{name: value for name, value in fields.items() if name in names})


def send(socket, request, *, pickled: bool) -> None:
    """As TokenizerManager does after it has tokenized."""
    if HAS_SHM:
        request = mm_utils.wrap_shm_features(request)
    if HAS_MSGPACK:
        request.wrap_pickle_fields()
        io_struct._USE_PICKLE_IPC = pickled
        io_struct.sock_send(socket, request)
    else:
        socket.send_pyobj(request)


def receive(socket, *, pickled: bool):
    """As the first scheduler does."""
    if not HAS_MSGPACK:
        return socket.recv_pyobj()
    io_struct._USE_PICKLE_IPC = pickled
    request = io_struct.sock_recv(socket)
    request.unwrap_pickle_fields()
    return request


def materialize(request) -> None:
    """As every scheduler does, when all have received it."""
    if HAS_SHM:
        mm_utils.unwrap_shm_features(request)


def inputs_of(mm_inputs) -> MultimodalInputs:
    """As every scheduler does on its own."""
    if ProcessorOutput is None:
        return MultimodalInputs.from_dict(mm_inputs)
    return MultimodalInputs.from_processor_output(mm_inputs)


def padded(inputs: MultimodalInputs) -> list[list[int]]:
    """The token ids with the images' pad values, by both of SGLang's patterns."""
    from array import array

    ids = token_ids(len(inputs.mm_items))
    given = array("q", ids) if HAS_MSGPACK else ids
    return [list(pattern.pad_input_tokens(given, inputs)) for pattern in PADDINGS]


def release(inputs: MultimodalInputs) -> None:
    """As a scheduler does when the request is done."""
    if hasattr(inputs, "release_features"):
        inputs.release_features()
    else:
        for item in inputs.mm_items:
            item.feature = None


def feature() -> torch.Tensor:
    return torch.arange(24.0).reshape(4, 6)


def hash_of(value, algorithm: str = "blake3") -> int:
    """What an item with that feature has as its hash."""
    return mmhash.hash_feature(value, algorithm=algorithm)


HASH = hash_of(feature())


def pad_value_of(number: int) -> int:
    """SGLang's own formula, whatever it is, of a hash of 64 bits."""
    other = build_item(None)
    other.hash = number
    other.set_pad_value()
    return other.pad_value


def pad_value(value, algorithm: str = "blake3") -> int:
    """The same of a feature, from as much of its identity as items take."""
    if not HAS_IDENTITIES or algorithm == "xxh3":
        return pad_value_of(hash_of(value, algorithm))
    other = build_item(None)
    other.set_identity(mmhash.identity(value, algorithm=algorithm))
    return other.pad_value


configure(shared_memory=False)
