"""An explanation shown on a picture: beside the picture itself, with a legend.

Orange speaks for and blue against (Okabe and Ito's vermilion and blue, told apart in every common
colour blindness); how strong a colour is says how much a place speaks. The picture under them is
lightened, so that both can be read.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from federated.schema import Array

FOR, AGAINST = (213, 94, 0), (0, 114, 178)
_SIDE = 420
_EDGE, _LINE, _BAR = 24, 22, 14
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_DARKEST = 90  # what black becomes under the colours


@dataclass(frozen=True, slots=True)
class Legend:
    """Words around the picture: a title, what orange and blue mean, and lines below."""

    title: str
    speaks_for: str
    speaks_against: str
    lines: tuple[str, ...]


def overlay(levels: Array, parts: Array, legend: Legend) -> bytes:
    """A PNG file: grey levels and, beside them, the parts over them.  # both (height, width)

    Each part is spread over its neighbours by the enlargement; its sum is what `explain` gave.
    """
    plain = _enlarged(Image.fromarray(levels.astype(np.uint8)), levels.shape)
    shown = _coloured(plain, parts, levels.shape)
    width = plain.width * 2 + 3 * _EDGE
    height = plain.height + _EDGE * 3 + _LINE * (4 + len(legend.lines)) + _BAR
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_EDGE, _EDGE), legend.title, fill=_INK, font=_font(18))
    top = _EDGE + 2 * _LINE
    sheet.paste(plain.convert("RGB"), (_EDGE, top))
    sheet.paste(shown, (plain.width + 2 * _EDGE, top))
    _write_legend(draw, legend, (_EDGE, top + plain.height + _EDGE), width - 2 * _EDGE)
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()


def _enlarged(picture: Image.Image, shape: tuple[int, ...]) -> Image.Image:
    times = max(1, _SIDE // max(shape))
    return picture.resize((shape[1] * times, shape[0] * times), Image.Resampling.NEAREST)


def _coloured(plain: Image.Image, parts: Array, shape: tuple[int, ...]) -> Image.Image:
    """The strongest 1 in 100 places have full colour, weaker ones less in proportion."""
    strength = Image.fromarray(parts.astype(np.float32))
    spread = np.asarray(strength.resize(plain.size, Image.Resampling.BILINEAR))
    most = float(np.percentile(np.abs(parts), 99)) or 1.0
    weight = np.clip(np.abs(spread) / most, 0, 1)[..., None] * 0.9  # (height, width, 1)
    grey = _DARKEST + np.asarray(plain.convert("RGB"), dtype=np.float64) * (255 - _DARKEST) / 255
    colour = np.where(spread[..., None] > 0, np.array(FOR), np.array(AGAINST))
    mixed = grey * (1 - weight) + colour * weight
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8), "RGB")


def _write_legend(
    draw: ImageDraw.ImageDraw, legend: Legend, corner: tuple[int, int], width: int
) -> None:
    left, top = corner
    for place in range(width):
        share = 2 * place / (width - 1) - 1  # −1 against, 1 for
        colour = FOR if share > 0 else AGAINST
        mixed = tuple(round(255 + (c - 255) * abs(share)) for c in colour)
        draw.line([(left + place, top), (left + place, top + _BAR)], fill=mixed)
    words, font = top + _BAR + 4, _font(14)
    draw.text((left, words), legend.speaks_against, fill=_INK, font=font)
    end = left + width - draw.textlength(legend.speaks_for, font)
    draw.text((end, words), legend.speaks_for, fill=_INK, font=font)
    for place, line in enumerate(legend.lines, start=1):
        draw.text((left, words + place * _LINE + 6), line, fill=_INK, font=font)


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
