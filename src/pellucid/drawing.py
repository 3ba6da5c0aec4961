"""Ink on photos: captions, classes in colour, legends."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw, ImageFont

from pellucid.tabs import Rectangle, tab_places

__all__ = ["boxed", "captioned", "enlarged", "legend", "overlaid", "palette"]

READABLE = 192  # pixels: the least longer side of a picture that is written on
SMALLEST = 12  # pixels: of a letter
DARK = (16, 16, 16)
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
    picture: UInt8[ndarray, "h w 3"], entries: Sequence[tuple[str, UInt8[ndarray, " 3"]]], rows: int | None = None
) -> UInt8[ndarray, "h2 w2 3"]:
    """The picture over lines that name the colours in it: as many as it takes, or `rows`, beyond which names go."""
    width = picture.shape[1]
    size = max(SMALLEST, max(picture.shape) // 45)
    font = ImageFont.load_default(size)
    names = [_shortened(name, font, width - size * 2.4) for name, _ in entries]
    places, needed = _flow(names, size, width)
    rows = needed if rows is None else rows
    strip = Image.new("RGB", (width, round(size * 1.6) * rows + size // 2), DARK)
    brush = ImageDraw.Draw(strip)
    for name, (_, color), (x, row) in zip(names, entries, places, strict=True):
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
    names: Sequence[str],
    colors: UInt8[ndarray, "n 3"],
    *,
    scores: Sequence[float] | None = None,
    steady: bool = False,
) -> UInt8[ndarray, "h2 w2 3"]:
    """The photo with boxes, the first on top, and their names and scores in tabs where these find room; a small one is
    enlarged.

    Where a tab found no room, a legend below names the colours, unless the picture is to be `steady` in its size.
    """
    picture = _readable(pixels)
    boxes = xyxy * (picture.width / pixels.shape[1])
    brush, longest = ImageDraw.Draw(picture), max(picture.size)
    for box, color in reversed(list(zip(boxes.tolist(), colors.tolist(), strict=True))):
        _draw_box(brush, box, tuple(color), max(1, round(longest / 400)))
    font: Any = ImageFont.load_default(_font_size(boxes, longest))
    texts = [
        _tab_texts(name, None if scores is None else scores[at], font, picture.width) for at, name in enumerate(names)
    ]
    sizes = [[(font.getlength(text) + font.size / 2, font.size * 1.25) for text in some] for some in texts]
    places = tab_places(boxes, sizes, picture.size)
    for some, place, color in zip(texts, places, colors.tolist(), strict=True):
        if place is not None:
            _draw_tab(brush, place[1], some[place[0]], tuple(color), font)
    if steady or None not in places:
        return np.array(picture)
    return legend(np.array(picture), sorted(dict(zip(names, colors, strict=True)).items()))


def enlarged(pixels: UInt8[ndarray, "h w *c"]) -> UInt8[ndarray, "h2 w2 *c"]:
    """A picture that is too small to be written on, by a whole factor larger."""
    factor = -(-READABLE // max(pixels.shape[:2]))
    return pixels if factor == 1 else pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def _readable(pixels: UInt8[ndarray, "h w c"]) -> Image.Image:
    picture = enlarged(pixels)
    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).convert("RGB")


def _font_size(boxes: Float[ndarray, "n 4"], longest: int) -> int:
    """For tabs: a quarter of the typical box's side, but to be read on a screen that shows all of the picture."""
    sides = np.sqrt(np.maximum(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), 0))
    typical = float(np.median(sides)) if len(sides) else 0.0
    return round(max(SMALLEST, longest / 110, min(longest / 50, typical / 4)))


def _tab_texts(name: str, score: float | None, font: Any, width: int) -> list[str]:
    """What a tab may say, the best first, in half of the picture's width."""
    if score is None:
        return [_shortened(name, font, width / 2)]
    digits = f" {score:.2f}"
    name = _shortened(name, font, width / 2 - font.getlength(digits))
    return [name + digits, name]


def _shortened(text: str, font: Any, room: float) -> str:
    """The text, or as much of it as fits."""
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(text + "…") > room:
        text = text[:-1]
    return text.rstrip() + "…"


def _draw_box(brush: ImageDraw.ImageDraw, box: Sequence[float], color: tuple[int, ...], line: int) -> None:
    """The outline lies inside the box, and is thin where that is small; a dark one around it parts it from a photo of
    the same colour."""
    left, top, right, bottom = box
    line = max(1, min(line, round(min(right - left, bottom - top) / 12)))
    edge = max(1, line // 4)
    right, bottom = max(left, right - 1), max(top, bottom - 1)
    brush.rectangle((left - edge, top - edge, right + edge, bottom + edge), outline=DARK, width=edge)
    brush.rectangle((left, top, right, bottom), outline=color, width=line)


def _draw_tab(brush: ImageDraw.ImageDraw, place: Rectangle, text: str, color: tuple[int, ...], font: Any) -> None:
    left, top, right, bottom = place
    brush.rectangle((left, top, right - 1, bottom - 1), fill=color)
    ink = (0, 0, 0) if sum(color) > 330 else (255, 255, 255)
    brush.text((left + font.size / 4, (top + bottom) / 2), text, fill=ink, font=font, anchor="lm")


def captioned(pixels: UInt8[ndarray, "h w c"], text: str, tail: str = "") -> UInt8[ndarray, "h2 w2 3"]:
    """White writing on a dark strip at the bottom, 1/16 of the width high where that can be read; of what is too long
    for it, the `tail` stays."""
    picture = _readable(pixels)
    brush = ImageDraw.Draw(picture)
    size, text = _fitted(text, tail, picture.width)
    strip = round(size * 1.5)
    brush.rectangle((0, picture.height - strip, picture.width, picture.height), fill=DARK)
    middle = picture.height - strip / 2
    brush.text((size / 2, middle), text, fill=(255, 255, 255), font=ImageFont.load_default(size), anchor="lm")
    return np.array(picture)


def _fitted(text: str, tail: str, width: int) -> tuple[int, str]:
    """The size of font in which the text fits, and the text, cut short where the smallest is too large."""
    for size in range(max(SMALLEST, width // 16), SMALLEST - 1, -1):
        font = ImageFont.load_default(size)
        if font.getlength(text + tail) <= width - size:
            return size, text + tail
    font = ImageFont.load_default(SMALLEST)
    return SMALLEST, _shortened(text, font, width - SMALLEST - font.getlength(tail)) + tail
