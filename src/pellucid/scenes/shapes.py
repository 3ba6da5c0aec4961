"""Shapes as signed distances: below 0 inside, 0 on the outline, above 0 outside, in units of the shape's radius.

Points are x to the right and y down from the shape's centre. A distance need only be exact near the outline. Every
operation here is one that IEEE 754 rounds the same on every machine; there is no sine, no cosine and no matrix product.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

__all__ = ["SHAPES", "Distance", "cross", "digit", "disc", "ring", "square", "star", "triangle"]

Distance = Callable[[Float[ndarray, "h w"], Float[ndarray, "h w"]], Float[ndarray, "h w"]]

COS_30 = 0.8660254037844386
COS_36 = 0.8090169943749475
SIN_36 = 0.5877852522924731
STAR_TIP, STAR_NOTCH = 1.08, 0.52  # radii

CELLS = 3.9  # of a digit's 8x8, to a radius
MARGIN = 3  # empty cells around a digit
LEVEL = 6  # of 16: the ink on its outline
SLOPE = 24.0  # ink to a radius, across the outline of most digits


def disc(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """A circle of radius 0.92."""
    return np.sqrt(x * x + y * y) - 0.92


def ring(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """What lies between the circles of radius 0.45 and 0.95."""
    return np.abs(np.sqrt(x * x + y * y) - 0.7) - 0.25


def square(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """A square of side 1.52."""
    return _rectangle(x, y, 0.76, 0.76)


def cross(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """Two bars of 1.9 by 0.68, one upright and one level."""
    return np.minimum(_rectangle(x, y, 0.95, 0.34), _rectangle(x, y, 0.34, 0.95))


def triangle(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """An equilateral triangle with a corner 1.1 above the centre."""
    return np.maximum(COS_30 * np.abs(x) - y / 2, y) - 0.55


def star(x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """A star of five points, one of them 1.08 above the centre.

    Reflections fold the plane onto the half of one point, where one straight edge is left.
    """
    x, y = np.abs(x), -y
    for mirror in (COS_36, -COS_36):
        beyond = 2 * np.maximum(mirror * x - SIN_36 * y, 0)
        x, y = x - beyond * mirror, y + beyond * SIN_36
    edge_x, edge_y = STAR_NOTCH * SIN_36, STAR_NOTCH * COS_36 - STAR_TIP
    length = math.sqrt(edge_x * edge_x + edge_y * edge_y)
    return (edge_x * (y - STAR_TIP) - edge_y * np.abs(x)) / length


def digit(ink: Int[ndarray, "8 8"], x: Float[ndarray, "h w"], y: Float[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """A handwritten digit: where the ink (0 to 16), interpolated by cubics (Keys 1981, a = -1/2), reaches LEVEL."""
    padded = np.pad(ink, MARGIN)
    (row, row_weights), (column, column_weights) = _taps(y), _taps(x)
    found = np.zeros_like(x)
    for down, row_weight in enumerate(row_weights):
        across = (weight * padded[row + down, column + at] for at, weight in enumerate(column_weights))
        found += row_weight * sum(across)
    return (LEVEL - found) / SLOPE


SHAPES: dict[str, Distance] = {
    "disc": disc,
    "ring": ring,
    "square": square,
    "triangle": triangle,
    "star": star,
    "cross": cross,
}


def _rectangle(
    x: Float[ndarray, "h w"], y: Float[ndarray, "h w"], half_width: float, half_height: float
) -> Float[ndarray, "h w"]:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _taps(at: Float[ndarray, "h w"]) -> tuple[Int[ndarray, "h w"], tuple[Float[ndarray, "h w"], ...]]:
    """The first of the four padded cells around each point, and the weight of each of the four."""
    cells = np.clip(at * CELLS + 3.5 + MARGIN, 1.0, 8.0 + MARGIN)  # 3.5: the middle of eight cells
    first = np.floor(cells).astype(np.intp) - 1
    t = cells - 1 - first
    u = 1 - t
    return first, (-t * u * u / 2, u + t * u * (3 * u - 1) / 2, t + t * u * (3 * t - 1) / 2, -t * t * u / 2)
