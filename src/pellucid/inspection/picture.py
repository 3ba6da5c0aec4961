"""The contributions of an input drawn on it: squares in two colours, each the exact sum of its pixels."""

import base64
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

from pellucid.drawing import legend
from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.image import write_image
from pellucid.inspection.accounting import Account

__all__ = ["squares", "write_picture"]

SQUARES = 32
"""Along the longer side: few enough to see where they lie, many enough to see what they lie on."""
SIDE = 512
"""Pixels of the longer side of a picture at least."""
ABOVE, BELOW = np.array((207, 106, 24)), np.array((42, 105, 180))
"""Orange and blue, told apart by most people and by the sign that stands beside them."""
PAPER, INK = np.array((245, 245, 245)), np.array((90, 90, 90))
COVER = 0.9
"""Opacity of the largest square; others have less in proportion."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The view in grey, enlarged so many times, with so many of its pixels to a square, and the largest sum."""

    grey: UInt8[ndarray, "h w 3"]
    factor: int
    step: int
    sums: Float[ndarray, "rows columns"]
    largest: float


def squares(pixels: Float[ndarray, "c h w"], step: int) -> Float[ndarray, "rows columns"]:
    """Sums over squares of `step` pixels and all channels; those at the right and lower edge may hold fewer."""
    plane = pixels.sum(axis=0)
    rows = np.add.reduceat(plane, np.arange(0, plane.shape[0], step), axis=0)
    return np.add.reduceat(rows, np.arange(0, plane.shape[1], step), axis=1)


def write_picture(path: Path, account: Account, pixels: UInt8[ndarray, "h w c"]) -> None:
    """A .png, or an .svg whose squares say their sums; the network's view lies below in grey."""
    layout = _layout(account, pixels)
    match path.suffix.lower():
        case ".png":
            write_image(path, legend(_painted(layout), _entries(account, layout)))
        case ".svg":
            write_atomic(path, _svg(account, layout))
        case _:
            raise UsageError(f"--out {path}: contributions are drawn as .png or .svg. Give a name with one of these.")


def _layout(account: Account, pixels: UInt8[ndarray, "h w c"]) -> _Layout:
    longest = max(pixels.shape[:2])
    step = max(1, round(longest / SQUARES))
    sums = squares(account.pixels.numpy(), step)
    grey = np.repeat(np.rint(pixels.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2)
    factor = max(1, -(-SIDE // longest))
    return _Layout(grey, factor, step, sums, float(np.abs(sums).max()) or 1.0)


def _painted(layout: _Layout) -> UInt8[ndarray, "h w 3"]:
    height, width = layout.grey.shape[:2]
    sums = layout.sums.repeat(layout.step, axis=0).repeat(layout.step, axis=1)[:height, :width, None]
    opacity = COVER * np.abs(sums) / layout.largest
    ink = np.where(sums > 0, ABOVE, BELOW)
    mixed = _faded(layout.grey) * (1 - opacity) + ink * opacity
    picture = np.rint(mixed).astype(np.uint8)
    return picture.repeat(layout.factor, axis=0).repeat(layout.factor, axis=1)


def _faded(grey: UInt8[ndarray, "h w 3"]) -> Float[ndarray, "h w 3"]:
    """Half way to white, so that both colours stand out."""
    return (grey + 255.0) / 2


def _entries(account: Account, layout: _Layout) -> list[tuple[str, UInt8[ndarray, " 3"]]]:
    """What the legend says, each with the colour beside it."""
    said = [
        (f"{account.target}: {account.logit:+.4f}, {account.badge}, residual {account.residual:+.0e}", PAPER),
        (f"pixels {account.input_contribution:+.4f}: squares up to {max(0, layout.sums.max()):+.4f}", ABOVE),
        (f"and down to {min(0, layout.sums.min()):+.4f}", BELOW),
        (f"biases {account.bias_contribution:+.4f}", INK),
    ]
    said += [(f"place of the cell {account.constant:+.4f}", INK)] if account.constant else []
    return [(text, color.astype(np.uint8)) for text, color in said]


def _svg(account: Account, layout: _Layout) -> str:
    factor, step = layout.factor, layout.step * layout.factor
    height, width = (side * factor for side in layout.grey.shape[:2])
    entries = _entries(account, layout)
    marks = [
        _square(float(value), (column * step, row * step, step), layout.largest)
        for row, line in enumerate(layout.sums)
        for column, value in enumerate(line)
    ]
    lines = [_line(text, color, height + 24 * at) for at, (text, color) in enumerate(entries)]
    bottom = height + 24 * len(entries) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom}" font-family="sans-serif" '
            f'font-size="14" role="img"><title>{escape(entries[0][0])}</title>',
            f'<rect width="{width}" height="{bottom}" fill="#fff"/>',
            f'<clipPath id="view"><rect width="{width}" height="{height}"/></clipPath>',
            f'<image width="{width}" height="{height}" style="image-rendering:pixelated" href="{_uri(layout.grey)}"/>',
            '<g clip-path="url(#view)">',
            *marks,
            "</g>",
            *lines,
            "</svg>\n",
        ]
    )


def _square(value: float, place: tuple[int, int, int], largest: float) -> str:
    left, top, side = place
    fill = _hex(ABOVE if value > 0 else BELOW)
    return (
        f'<rect x="{left}" y="{top}" width="{side}" height="{side}" fill="{fill}" '
        f'fill-opacity="{COVER * abs(value) / largest:.3f}"><title>{value:+.6g}</title></rect>'
    )


def _line(text: str, color: ndarray, top: int) -> str:
    box = f'<rect x="8" y="{top + 10}" width="14" height="14" fill="{_hex(color)}" stroke="#888"/>'
    return f'{box}<text x="30" y="{top + 22}">{escape(text)}</text>'


def _hex(color: ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color.tolist())


def _uri(grey: UInt8[ndarray, "h w 3"]) -> str:
    stream = io.BytesIO()
    Image.fromarray(np.rint(_faded(grey)).astype(np.uint8)[..., 0]).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
