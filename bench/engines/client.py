"""Requests with images to an OpenAI-compatible server on this machine, and what they took."""

from __future__ import annotations

import base64
import http.client
import io
import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from engines import model
from PIL import Image

TIMEOUT_S = 120
STEP = 100_003  # pixels from a picture to the next: a prime, so that all are come by


@dataclass(frozen=True)
class Answer:
    """Seconds until the first token, and tokens of the prompt."""

    first_s: float
    prompt_tokens: int
    cached_tokens: int  # those that the server found in its prefix cache


class Photographs:
    """Smooth colours under a photograph's grain: height x width pictures, no two of them alike.

    One picture is drawn and then moved about, which takes less time than drawing it anew: files
    are made between the requests that are timed.
    """

    def __init__(self, width: int, height: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        colours = random.integers(0, 256, (8, 12, 3), dtype=np.uint8)
        smooth = Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC)
        grain = random.normal(0, 4, (height, width, 3))
        self._base = (np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)
        self._pixel = 0  # the one that comes first

    def pixels(self) -> np.ndarray[Any, Any]:
        """uint8, height x width x 3."""
        height, width, _ = self._base.shape
        self._pixel = (self._pixel + STEP) % (height * width)
        return np.roll(self._base, divmod(self._pixel, width), (0, 1))

    def file(self, kind: str) -> bytes:
        """A JPEG of the quality that cameras use, or a PNG that was written quickly."""
        file = io.BytesIO()
        Image.fromarray(self.pixels()).save(file, kind, quality=90, compress_level=1)
        return file.getvalue()


def image(file: bytes, kind: str) -> dict[str, Any]:
    """A picture as part of a message."""
    url = f"data:image/{kind.lower()};base64," + base64.b64encode(file).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def body(parts: Iterable[dict[str, Any]]) -> bytes:
    """A request for two tokens about these parts."""
    request = {
        "model": model.NAME,
        "max_tokens": 2,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}],
    }
    return json.dumps(request).encode()


def send(port: int, request: bytes) -> Answer:
    """Sends a request and reads its answer. RuntimeError if the server refuses it or fails."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    start = time.perf_counter()
    connection.request(
        "POST", "/v1/chat/completions", request, {"Content-Type": "application/json"}
    )
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"HTTP {response.status}: {response.read(2000).decode()}")
    first, usage = None, None
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[len(b"data: ") :])
        if "error" in event:
            raise RuntimeError(f"the server answered {event['error']}")
        usage = event.get("usage") or usage
        if first is None and any(map(_is_token, event.get("choices", ()))):
            first = time.perf_counter() - start
    connection.close()
    if first is None or usage is None:
        raise RuntimeError("the answer ended before its first token: see the server's log")
    details = usage.get("prompt_tokens_details") or {}
    return Answer(first, usage["prompt_tokens"], details.get("cached_tokens") or 0)


def _is_token(choice: dict[str, Any]) -> bool:
    """Whether a piece of an answer holds a token: the first holds the role alone."""
    delta = choice.get("delta", {})
    return bool(choice.get("finish_reason")) or (
        delta.get("content") is not None and not delta.get("role")
    )


def send_together(port: int, requests: list[bytes]) -> float:
    """Sends all requests at once. Seconds until the last was answered."""
    with ThreadPoolExecutor(len(requests)) as pool:
        start = time.perf_counter()
        for _ in pool.map(lambda request: send(port, request), requests):
            pass
        return time.perf_counter() - start
