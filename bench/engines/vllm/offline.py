"""vLLM's offline class, with each way to make keys in turns: called by server.py.

python bench/engines/vllm/offline.py FOLDER ROUNDS        # writes FOLDER/offline.json
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engines import client, switch
from engines.turns import hashes, in_turns
from engines.vllm.modes import MODES
from PIL import Image

PROMPT = (
    "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>?<|im_end|>\n"
    "<|im_start|>assistant\n"
)
#: Larger pictures are scaled down by the image processor, after they were hashed.
MAX_PIXELS = 1280 * 784


def cases() -> dict[str, Callable[[], Any]]:
    """Inputs that were never given before."""
    small, large = client.Photographs(1120, 700, seed=2), client.Photographs(3840, 2160, seed=3)
    return {
        "PIL image of 1120x700": lambda: Image.fromarray(small.pixels()),
        "PIL image of 3840x2160": lambda: Image.fromarray(large.pixels()),
        "array, height x width x 3": small.pixels,
        "array, 3 x height x width": lambda: small.pixels().transpose(2, 0, 1),
    }


def main() -> None:
    from vllm import LLM, SamplingParams

    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    llm = LLM(
        str(folder / "model"),
        load_format="dummy",
        dtype="float32",
        enforce_eager=True,
        max_model_len=16384,
        max_num_seqs=8,
        limit_mm_per_prompt={"image": 1, "video": 0},
        mm_processor_kwargs={"max_pixels": MAX_PIXELS},
    )
    parameters = SamplingParams(max_tokens=1, temperature=0)

    def call_s(value: Any) -> float:
        start = time.perf_counter()
        request = {"prompt": PROMPT, "multi_modal_data": {"image": value}}
        llm.generate(request, parameters, use_tqdm=False)
        return time.perf_counter() - start

    modes, order = [switch.RELEASED, *MODES], random.Random(2)
    found: dict[str, Any] = {}
    for case, value in cases().items():
        since = time.time()
        seconds: dict[str, list[float]] = {mode: [] for mode in modes}
        for turn, mode in in_turns(modes, rounds, order):
            switch.choose(folder, mode)
            llm.generate("?", parameters, use_tqdm=False)  # enters the mode
            took = call_s(value())
            if turn:
                seconds[mode].append(took)
        events = switch.events(folder, since)
        found[case] = {
            "call_s": seconds,
            "hashes": {mode: hashes(events, mode, rounds + 1) for mode in modes},
        }
    (folder / "offline.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
