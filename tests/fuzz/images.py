"""Recipes of PIL images, of odd modes too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from drawing import Draw
from PIL import Image
from recipes import Recipe, flipped

#: Bits a pixel: in rows of whole bytes, as `Image.frombytes` takes and `Image.tobytes` gives them.
MODES = {
    "1": 1,
    "L": 8,
    "P": 8,
    "LA": 16,
    "La": 16,
    "PA": 16,
    "I;16": 16,
    "I;16B": 16,
    "RGB": 24,
    "YCbCr": 24,
    "LAB": 24,
    "HSV": 24,
    "RGBA": 32,
    "RGBa": 32,
    "RGBX": 32,
    "CMYK": 32,
    "I": 32,
    "F": 32,
}


@dataclass(frozen=True)
class Picture:
    mode: str
    size: tuple[int, int]
    pixels: bytes
    palette: bytes | None
    transparency: int | bytes | None

    def make(self, draw: Draw) -> Any:
        image = Image.frombytes(self.mode, self.size, self.pixels)
        if draw.one_in(3) and not self.mode.startswith(("I;", "P")):
            # A view of a larger one.
            larger = Image.new(self.mode, (self.size[0] + 3, self.size[1] + 2))
            larger.paste(image, (2, 1))
            image = larger.crop((2, 1, 2 + self.size[0], 1 + self.size[1]))
        if self.palette is not None:
            image.putpalette(self.palette)
        image.info = {"dpi": (72, 72)} if draw.one_in(2) else {}  # which is not looked at
        if self.transparency is not None:
            image.info["transparency"] = self.transparency
        return image.copy() if draw.one_in(3) else image

    def changed(self, draw: Draw) -> Recipe:
        way = draw.below(5)
        if way == 0:
            other = self.transparency + 1 if isinstance(self.transparency, int) else 1
            return replace(self, transparency=other)
        if way == 1 and self.size[0] != self.size[1] and MODES[self.mode] >= 8:
            return replace(self, size=self.size[::-1])
        if way == 2 and self.palette is None:
            alike = [m for m in MODES if MODES[m] == MODES[self.mode] and m not in (self.mode, "P")]
            if alike and not self.mode.startswith("P"):
                return replace(self, mode=draw.choice([m for m in alike if m != "PA"] or alike))
        if self.mode == "1":  # bits behind the end of a row mean nothing
            return replace(self, pixels=bytes([self.pixels[0] ^ 0x80]) + self.pixels[1:])
        return replace(self, pixels=flipped(self.pixels, draw))


def draw_picture(draw: Draw) -> Picture:
    mode = draw.choice(sorted(MODES))
    width, height = 1 + draw.below(9), 1 + draw.below(9)
    pixels = draw.content((width * MODES[mode] + 7) // 8 * height)
    palette = None
    if mode in ("P", "PA") and draw.one_in(2):
        palette = draw.content(3 * (1 + draw.below(256)))
    transparency = draw.choice((None, draw.below(256), draw.bytes(draw.below(9))))
    return Picture(mode, (width, height), pixels, palette, transparency)
