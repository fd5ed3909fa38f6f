"""An item as engines have it today: its hash is computed in `set_pad_value`, with SHA-256."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmhash.demos.baselines import sglang_0_5_23

PAD_VALUES = 1 << 30


@dataclass
class EngineItem:
    """After SGLang's `MultimodalDataItem`: the fields that play a part here."""

    modality: str
    feature: Any
    hash: int | None = None
    pad_value: int | None = None

    def is_valid(self) -> bool:
        """Whether it is an image, a video or audio."""
        return self.modality in ("IMAGE", "VIDEO", "AUDIO")

    def set_pad_value(self) -> None:
        """Hash the feature, unless that is done already."""
        if self.hash is None:
            self.hash = sglang_0_5_23(self.feature)
        self.pad_value = self.hash % PAD_VALUES
