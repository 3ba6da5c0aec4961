"""Ink on photos: captions, classes in colour, legends."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["boxed", "captioned", "legend", "overlaid", "palette"]

READABLE = 192  # pixels: the least longer side of a picture that is written on
SMALLEST = 12  # pixels: of a letter
GOLDEN = 0.618034
OKABE_ITO = (
    (0, 0, 0),
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)


def palette(count: int) -> UInt8[ndarray, "count 3"]:
    """Black, then the seven colours of Okabe & Ito (2008), which most people can tell apart; then hues in golden steps,
    in three strengths by turns."""
    colors = np.zeros((count, 3), np.uint8)
    colors[: len(OKABE_ITO)] = OKABE_ITO[:count]
    for place in range(count - len(OKABE_ITO)):
        saturation, value = ((0.75, 1.0), (0.45, 0.95), (0.9, 0.65))[place % 3]
        rgb = np.array(hsv_to_rgb(place * GOLDEN % 1, saturation, value))
        colors[len(OKABE_ITO) + place] = np.rint(255 * rgb)
    return colors


def overlaid(
    pixels: UInt8[ndarray, "h w c"], labels: UInt8[ndarray, "h w"], colors: UInt8[ndarray, "classes 3"]
) -> UInt8[ndarray, "h w 3"]:
    """The photo under half transparent colours of the classes, with outlines; a class whose colour is black stays
    clear."""
    found = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels.copy()
    painted = np.any(colors, axis=1)
    edge = _differs(labels)
    for row, classes in enumerate(labels):  # row by row: a photo may have 100 megapixels
        inside, color = painted[classes], colors[classes]
        found[row, inside] = _mean(found[row], color)[inside]
        found[row, inside & edge[row]] = color[inside & edge[row]]
    return found


def _mean(first: UInt8[ndarray, "n 3"], second: UInt8[ndarray, "n 3"]) -> UInt8[ndarray, "n 3"]:
    """Of two bytes, halves rounded up."""
    return (first | second) - ((first ^ second) >> 1)


def _differs(labels: UInt8[ndarray, "h w"]) -> Bool[ndarray, "h w"]:
    """Pixels whose right or lower neighbour is of another class."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def legend(
    picture: UInt8[ndarray, "h w 3"], entries: Sequence[tuple[str, UInt8[ndarray, " 3"]]]
) -> UInt8[ndarray, "h2 w2 3"]:
    """The picture over lines that name the colours in it."""
    width = picture.shape[1]
    size = max(SMALLEST, min(28, width // 30))
    places, rows = _flow([name for name, _ in entries], size, width)
    strip = Image.new("RGB", (width, round(size * 1.6) * rows + size // 2), (16, 16, 16))
    brush, font = ImageDraw.Draw(strip), ImageFont.load_default(size)
    for (name, color), (x, row) in zip(entries, places, strict=True):
        middle = round(size * 1.6) * (row + 0.5) + size / 4
        brush.rectangle((x, middle - size / 2, x + size, middle + size / 2), fill=tuple(color.tolist()))
        brush.text((x + size * 1.4, middle), name, fill=(255, 255, 255), font=font, anchor="lm")
    return np.concatenate([picture, np.array(strip)])


def _flow(names: Sequence[str], size: int, width: int) -> tuple[list[tuple[float, int]], int]:
    """Places (x, row) of the entries of a legend, line after line, and the number of lines."""
    font, x, row = ImageFont.load_default(size), size / 2, 0
    places: list[tuple[float, int]] = []
    for name in names:
        needed = size * 2.4 + font.getlength(name)
        if places and x + needed > width:
            x, row = size / 2, row + 1
        places.append((x, row))
        x += needed
    return places, row + 1 if places else 0


def boxed(
    pixels: UInt8[ndarray, "h w c"],
    xyxy: Float[ndarray, "n 4"],
    texts: Sequence[str],
    colors: UInt8[ndarray, "n 3"],
) -> UInt8[ndarray, "h2 w2 3"]:
    """The photo with boxes, the first on top, each with a text in a tab on its upper edge; a small one is enlarged."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    factor = -(-READABLE // max(picture.size))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    brush, line = ImageDraw.Draw(picture), max(1, round(max(picture.size) / 400))
    font = ImageFont.load_default(max(SMALLEST, max(picture.size) // 50))
    rows = list(zip((xyxy * factor).tolist(), texts, map(tuple, colors.tolist()), strict=True))
    for box, text, color in reversed(rows):
        _draw_box(brush, box, color, line)
        _draw_tab(brush, box, text, color, font)
    return np.array(picture)


def _draw_box(brush: ImageDraw.ImageDraw, box: Sequence[float], color: tuple[int, ...], line: int) -> None:
    """The outline lies inside the box, over a dark one that parts it from a photo of the same colour."""
    left, top, right, bottom = box
    corners = (left, top, max(left, right - 1), max(top, bottom - 1))
    brush.rectangle(corners, outline=(16, 16, 16), width=line + 1)
    brush.rectangle(corners, outline=color, width=line)


def _draw_tab(brush: ImageDraw.ImageDraw, box: Sequence[float], text: str, color: tuple[int, ...], font: Any) -> None:
    """Above the box, or in it where the picture ends; within the picture's sides as far as it fits."""
    width, height = font.getlength(text) + font.size / 2, font.size * 1.25
    left = max(0.0, min(box[0], brush.im.size[0] - width))
    top = box[1] - height if box[1] >= height else box[1]
    brush.rectangle((left, top, left + width, top + height), fill=color)
    ink = (0, 0, 0) if sum(color) > 330 else (255, 255, 255)
    brush.text((left + font.size / 4, top + height / 2), text, fill=ink, font=font, anchor="lm")


def captioned(pixels: UInt8[ndarray, "h w c"], text: str) -> UInt8[ndarray, "h2 w2 3"]:
    """White writing on a dark strip at the bottom, 1/16 of the width high where that can be read."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
    factor = -(-READABLE // max(picture.size))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    brush = ImageDraw.Draw(picture)
    size, text = _fitted(text, picture.width)
    strip = round(size * 1.5)
    brush.rectangle((0, picture.height - strip, picture.width, picture.height), fill=(16, 16, 16))
    middle = picture.height - strip / 2
    brush.text((size / 2, middle), text, fill=(255, 255, 255), font=ImageFont.load_default(size), anchor="lm")
    return np.array(picture)


def _fitted(text: str, width: int) -> tuple[int, str]:
    """The size of font in which the text fits, and the text, cut short where the smallest is too large."""
    for size in range(max(SMALLEST, width // 16), SMALLEST - 1, -1):
        font = ImageFont.load_default(size)
        if font.getlength(text) <= width - size:
            return size, text
    while text and font.getlength(text + "…") > width - SMALLEST:
        text = text[:-1]
    return SMALLEST, text + "…"
