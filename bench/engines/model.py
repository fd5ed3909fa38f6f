"""A Qwen2-VL without weights, as small as engines accept it, with a large one's image processor.

    python bench/engines/model.py FOLDER

To be served with `--load-format dummy`. An image of 1120x700 pixels becomes 4,000 patches of 1,176
float32, 18.8 MB, and 1,000 tokens, as with a real Qwen2-VL; only the networks are tiny, so that on
a CPU too a request is mostly what happens around them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

NAME = "tiny-qwen2-vl"
HIDDEN = 128  # of the language model, and so of an image's embeddings
PATCH, MERGE = 14, 2  # pixels a patch, patches a token: along each side

END, BEGIN, TURN = "<|im_end|>", "<|endoftext|>", "<|im_start|>"
VISION_START, VISION_END, VISION_PAD = "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIAL = [BEGIN, TURN, END, VISION_START, VISION_END, VISION_PAD, IMAGE, VIDEO]

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}
{%- for part in message.content -%}
{%- if part.type == "text" %}{{ part.text }}
{%- else %}<|vision_start|><|image_pad|><|vision_end|>{% endif -%}
{%- endfor -%}
{%- endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}
"""

PREPROCESSOR = {
    "min_pixels": 56 * 56,
    "max_pixels": 12_845_056,
    "patch_size": PATCH,
    "temporal_patch_size": 2,
    "merge_size": MERGE,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "processor_class": "Qwen2VLProcessor",
}


def feature_bytes(width: int, height: int) -> int:
    """Of the image processor's float32 patches, two frames and three channels each."""
    patches = (width // PATCH) * (height // PATCH)
    return patches * 2 * 3 * PATCH**2 * 4


def write(folder: Path) -> None:
    """Everything that an engine reads of a model, but its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = write_tokenizer(folder)
    files: dict[str, dict[str, Any]] = {
        "config": configuration(ids),
        "generation_config": {"eos_token_id": ids[END], "pad_token_id": ids[BEGIN]},
        "preprocessor_config": {**PREPROCESSOR, "image_processor_type": "Qwen2VLImageProcessor"},
        "video_preprocessor_config": {
            **PREPROCESSOR,
            "video_processor_type": "Qwen2VLVideoProcessor",
        },
        "tokenizer_config": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "pad_token": BEGIN,
            "additional_special_tokens": SPECIAL[1:],
            "model_max_length": 32768,
            "clean_up_tokenization_spaces": False,
        },
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)


def write_tokenizer(folder: Path) -> dict[str, int]:
    """One token a byte, and the special ones. Returns the numbers of these."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    return {token: tokenizer.token_to_id(token) for token in SPECIAL}


def configuration(ids: dict[str, int]) -> dict[str, Any]:
    heads, vision_heads = 4, 2  # both can be split between two ranks
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"],
        "model_type": "qwen2_vl",
        "dtype": "float32",
        "hidden_size": HIDDEN,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": heads,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        # The sections add up to half of a head.
        "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]},
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "vocab_size": 320,
        "bos_token_id": ids[BEGIN],
        "eos_token_id": ids[END],
        "pad_token_id": ids[BEGIN],
        "vision_start_token_id": ids[VISION_START],
        "vision_end_token_id": ids[VISION_END],
        "vision_token_id": ids[VISION_PAD],
        "image_token_id": ids[IMAGE],
        "video_token_id": ids[VIDEO],
        "vision_config": {
            "model_type": "qwen2_vl",
            "depth": 1,
            "embed_dim": 16 * vision_heads,
            "hidden_size": HIDDEN,
            "num_heads": vision_heads,
            "hidden_act": "quick_gelu",
            "mlp_ratio": 2,
            "in_channels": 3,
            "in_chans": 3,
            "patch_size": PATCH,
            "spatial_patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
        },
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]))
