"""The contributions of an input drawn on it: squares in two colours, each the exact sum of its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray

from pellucid.drawing import legend
from pellucid.inspection.accounting import Account
from pellucid.inspection.heat import ABOVE, BELOW, COVER, SIDE, faded, greyed, mixed
from pellucid.report.pictures import data_uri

__all__ = ["account_figure", "account_png", "account_svg", "drawing", "squares"]

SQUARES = 32
"""Along the longer side: few enough to see where they lie, many enough to see what they lie on."""
FAINT = 0.01
"""Share of the largest square below which a square is not seen."""
PAPER, INK = np.array((245, 245, 245)), np.array((90, 90, 90))


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


def account_png(account: Account, pixels: UInt8[ndarray, "h w c"]) -> UInt8[ndarray, "h2 w2 3"]:
    """The view in grey under squares of contributions, over a legend that says the sum."""
    layout = _layout(account, pixels)
    return legend(_painted(layout), _entries(account, layout))


def account_svg(account: Account, pixels: UInt8[ndarray, "h w c"]) -> str:
    """The same as a drawing whose squares say their sums."""
    layout = _layout(account, pixels)
    return _svg(account, layout)


def account_figure(account: Account, pixels: UInt8[ndarray, "h w c"]) -> str:
    """The drawing without its legend, for a page that says the sum itself; squares too faint to see are left out."""
    layout = _layout(account, pixels)
    height, width = (side * layout.factor for side in layout.grey.shape[:2])
    return drawing((width, height), f"contributions to {account.target}", _marks(layout, least=FAINT))


def _layout(account: Account, pixels: UInt8[ndarray, "h w c"]) -> _Layout:
    longest = max(pixels.shape[:2])
    step = max(1, round(longest / SQUARES))
    sums = squares(account.pixels.numpy(), step)
    factor = max(1, -(-SIDE // longest))
    return _Layout(greyed(pixels), factor, step, sums, float(np.abs(sums).max()) or 1.0)


def _painted(layout: _Layout) -> UInt8[ndarray, "h w 3"]:
    height, width = layout.grey.shape[:2]
    sums = layout.sums.repeat(layout.step, axis=0).repeat(layout.step, axis=1)[:height, :width]
    return mixed(layout.grey, sums).repeat(layout.factor, axis=0).repeat(layout.factor, axis=1)


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
    height, width = (side * layout.factor for side in layout.grey.shape[:2])
    entries = _entries(account, layout)
    lines = [_line(text, color, height + 24 * at) for at, (text, color) in enumerate(entries)]
    size = (width, height + 24 * len(entries) + 8)
    return drawing(size, entries[0][0], [*_marks(layout), *lines])


def drawing(size: tuple[int, int], title: str, marks: Sequence[str]) -> str:
    """An SVG of that width and height on white."""
    width, height = size
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="14" role="img"><title>{escape(title)}</title>'
    )
    return "\n".join([head, f'<rect width="{width}" height="{height}" fill="#fff"/>', *marks, "</svg>\n"])


def _marks(layout: _Layout, least: float = -1.0) -> list[str]:
    """The view, and the squares on it, cut at its edge; inside the two groups a square is the unit of length.

    Squares are those of more than `least` of the largest.
    """
    height, width = (side * layout.factor for side in layout.grey.shape[:2])
    paper = np.rint(faded(layout.grey)).astype(np.uint8)[..., :1]
    image = f'<image width="{width}" height="{height}" image-rendering="pixelated" href="{data_uri(paper, SIDE)}"/>'
    clip = f'<clipPath id="view"><rect width="{width}" height="{height}"/></clipPath>'
    seen = np.abs(layout.sums) > least * layout.largest
    above = layout.sums > 0
    groups = [*_group(layout, above & seen, ABOVE), *_group(layout, ~above & seen, BELOW)]
    return [clip, image, '<g clip-path="url(#view)">', *groups, "</g>"]


def _group(layout: _Layout, chosen: Bool[ndarray, "rows columns"], ink: ndarray) -> list[str]:
    """The squares of one colour."""
    found = [
        _square(float(layout.sums[row, column]), (column, row), layout.largest)
        for row, column in np.argwhere(chosen).tolist()
    ]
    return [f'<g fill="{_hex(ink)}" transform="scale({layout.step * layout.factor})">', *found, "</g>"]


def _square(value: float, place: tuple[int, int], largest: float) -> str:
    opacity = f"{COVER * abs(value) / largest:.3f}"
    return (
        f'<rect x="{place[0]}" y="{place[1]}" width="1" height="1" fill-opacity="{opacity}">'
        f"<title>{value:+.6g}</title></rect>"
    )


def _line(text: str, color: ndarray, top: int) -> str:
    box = f'<rect x="8" y="{top + 10}" width="14" height="14" fill="{_hex(color)}" stroke="#888"/>'
    return f'{box}<text x="30" y="{top + 22}">{escape(text)}</text>'


def _hex(color: ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color.tolist())
