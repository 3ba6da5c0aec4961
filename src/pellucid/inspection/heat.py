"""Signed maps drawn on a photo: colour and opacity over a photo without colour, and lines of equal height.

The two colours are the ends of the diverging scale of the reference: equal lightness at equal size, told apart by most
people. Lines are drawn at a quarter, a half and three quarters of the largest value, of either sign.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from PIL import Image

__all__ = ["ABOVE", "BELOW", "COVER", "SIDE", "faded", "greyed", "heat_picture", "mixed", "square_picture"]

ABOVE, BELOW = np.array((159, 81, 4)), np.array((42, 105, 180))
SIDE = 512
"""Pixels of the longer side of a picture at least."""
COVER = 0.8
"""Opacity of the largest value; others have less in proportion."""
LEVELS = 4


def heat_picture(pixels: UInt8[ndarray, "h w c"], cells: Float[ndarray, "rows columns"]) -> UInt8[ndarray, "h2 w2 3"]:
    """A map whose cells lie evenly on the picture, interpolated, with its contours."""
    grey = _enlarged(greyed(pixels))
    height, width = grey.shape[:2]
    plane = np.asarray(Image.fromarray(cells.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    found = mixed(grey, plane)
    for sign, ink in ((1, ABOVE), (-1, BELOW)):
        heights = np.floor(LEVELS * np.clip(sign * plane / _largest(plane), 0, 0.999))
        found[_edges(heights)] = ink
    return found


def square_picture(pixels: UInt8[ndarray, "h w c"], cells: Float[ndarray, "rows columns"]) -> UInt8[ndarray, "h2 w2 3"]:
    """A map of squares, each in one colour."""
    grey = _enlarged(greyed(pixels))
    rows, columns = (
        (2 * np.arange(side) + 1) * many // (2 * side) for side, many in zip(grey.shape[:2], cells.shape, strict=True)
    )
    return mixed(grey, cells[np.ix_(rows, columns)])


def greyed(pixels: UInt8[ndarray, "h w c"]) -> UInt8[ndarray, "h w 3"]:
    """Without colour."""
    return np.repeat(np.rint(pixels.mean(axis=2, keepdims=True)).astype(np.uint8), 3, axis=2)


def faded(grey: UInt8[ndarray, "h w 3"]) -> Float[ndarray, "h w 3"]:
    """Half way to white, so that both colours stand out."""
    return (grey + 255.0) / 2


def mixed(grey: UInt8[ndarray, "h w 3"], plane: Float[ndarray, "h w"]) -> UInt8[ndarray, "h w 3"]:
    """The faded picture under the colours of a map."""
    opacity = COVER * np.abs(plane)[..., None] / _largest(plane)
    ink = np.where(plane[..., None] > 0, ABOVE, BELOW)
    return np.rint(faded(grey) * (1 - opacity) + ink * opacity).astype(np.uint8)


def _largest(plane: Float[ndarray, "h w"]) -> float:
    return float(np.abs(plane).max()) or 1.0


def _edges(heights: Float[ndarray, "h w"]) -> Bool[ndarray, "h w"]:
    """Where the height changes to the right or below, two pixels wide."""
    edge = np.zeros(heights.shape, bool)
    across, down = heights[:, 1:] != heights[:, :-1], heights[1:] != heights[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def _enlarged(grey: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, "h2 w2 3"]:
    """By whole times, up to the side that a picture has at least."""
    factor = max(1, -(-SIDE // max(grey.shape[:2])))
    return grey.repeat(factor, axis=0).repeat(factor, axis=1)
