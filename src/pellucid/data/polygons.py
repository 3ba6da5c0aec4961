"""Polygons and pixels: which pixels a polygon covers, and the polygons around given pixels.

A pixel belongs to a polygon when its centre lies inside by the even-odd rule. Edges are half-open: a centre exactly on
a left or upper edge is inside, one on a right or lower edge is not, so polygons that share an edge share no pixel and
leave none out between them. Coordinates are x to the right and y down: the left edge of pixel 0 is 0.0, its centre 0.5.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

__all__ = ["outlines", "polygon_pixels", "polygon_window", "ring_trouble"]

Window = tuple[int, int, int, int]

# Sides of a pixel, clockwise: the neighbour across (row, column), and the corner (row, column) where the side begins.
SIDES = ((-1, 0, 0, 0), (0, 1, 0, 1), (1, 0, 1, 1), (0, -1, 1, 0))
RIGHT, STRAIGHT, LEFT = 1, 0, 3
MOST_CROSSINGS = 1_000_000  # of edges and rows at a time: memory has an end, polygons of hostile files have none


def ring_trouble(ring: Any, width: float, height: float, slack: float) -> str | None:
    """What is wrong with coordinates x, y, x, y, … of an image of this size; they may leave it by `slack`."""
    if not isinstance(ring, Sequence) or any(type(value) not in (int, float) for value in ring):
        return "its outline is no list of numbers"
    if len(ring) % 2:
        return f"its outline has an odd number of coordinates, {len(ring)}"
    if len(ring) < 6:
        return f"its outline has {len(ring) // 2} points, and a polygon has three"
    for x, y in zip(ring[::2], ring[1::2], strict=True):
        if not (-slack <= x <= width + slack and -slack <= y <= height + slack):  # true for NaN, too
            return f"its point ({str(x)[:20]}, {str(y)[:20]}) lies outside the image of {width:g}x{height:g}"
    return None


def polygon_window(points: Float[ndarray, "points 2"], size: tuple[int, int]) -> Window:
    """(top, left, bottom, right) of the pixels of an image (height, width) that a polygon may cover, half-open."""
    low, high = np.ceil(points.min(axis=0) - 0.5), np.ceil(points.max(axis=0) - 0.5)
    (left, top), (right, bottom) = (np.clip(corner, 0, size[::-1]).astype(int).tolist() for corner in (low, high))
    return top, left, bottom, right


def polygon_pixels(points: Float[ndarray, "points 2"], window: Window) -> Bool[ndarray, "h w"]:
    """The pixels of a window that a polygon x, y covers: a row's pixels lie inside from odd to even crossings."""
    top, left, bottom, right = window
    start, end = points, np.roll(points, -1, axis=0)
    falling = (start[:, 1:] > end[:, 1:]).repeat(2, axis=1)
    upper, lower = np.where(falling, end, start), np.where(falling, start, end)  # both ways round give the same sums
    toggles = np.zeros((bottom - top, right - left + 1), bool)
    block = max(1, MOST_CROSSINGS // max(1, bottom - top))
    for at in range(0, len(points), block):
        row, column = _crossings(upper[at : at + block], lower[at : at + block], window)
        np.logical_xor.at(toggles, (row - top, column - left), True)
    return np.logical_xor.accumulate(toggles, axis=1)[:, :-1]


def _crossings(
    upper: Float[ndarray, "edges 2"], lower: Float[ndarray, "edges 2"], window: Window
) -> tuple[Int[ndarray, " n"], Int[ndarray, " n"]]:
    """(row, column) of the first pixel behind each crossing of an edge x, y with the centres of a row of a window."""
    top, left, bottom, right = window
    first = np.clip(np.ceil(upper[:, 1] - 0.5), top, bottom).astype(int)
    counts = np.clip(np.ceil(lower[:, 1] - 0.5), top, bottom).astype(int) - first
    edge = np.repeat(np.arange(len(upper)), counts)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    (x, y), (width, height) = upper[edge].T, (lower - upper)[edge].T
    crossing = x + (row + 0.5 - y) * width / height
    return row, np.clip(np.ceil(crossing - 0.5), left, right).astype(int)


def outlines(mask: Bool[ndarray, "h w"]) -> list[Float[ndarray, "points 2"]]:
    """A polygon for every region of a mask (pixels connected by their sides), which covers exactly its pixels.

    A hole is reached from the region's first corner and left the same way back: what is crossed twice changes nothing.
    """
    loops = sorted(_loops(mask), key=_area, reverse=True)
    outer, holes = [loop for loop in loops if _area(loop) > 0], [loop for loop in loops if _area(loop) < 0]
    owners = np.zeros(mask.shape, int)
    for at, loop in enumerate(outer):  # the largest first: what lies in a hole of it belongs to itself
        top, left, bottom, right = window = polygon_window(loop, mask.shape)
        owners[top:bottom, left:right][polygon_pixels(loop, window)] = at
    polygons = [[loop] for loop in outer]
    for hole in holes:
        x, y = hole[0].astype(int)  # its first corner is its upper left one, and the region lies above that
        polygon = polygons[owners[y - 1, x]]
        polygon += [polygon[0][:1], hole, hole[:1]]
    return [np.concatenate(polygon) for polygon in polygons]


def _area(loop: Float[ndarray, "points 2"]) -> float:
    """What a loop encloses, in pixels; negative where it runs anticlockwise, as around a hole."""
    (x, y), (next_x, next_y) = loop.T, np.roll(loop, -1, axis=0).T
    return float(x @ next_y - next_x @ y) / 2


def _loops(mask: Bool[ndarray, "h w"]) -> list[Float[ndarray, "points 2"]]:
    """The corners of every closed line between pixels of the mask and others; the mask lies on its right.

    A side of a pixel is a number: 4 times the corner where it begins, counted row by row, plus its direction (right,
    down, left, up). Each loop begins in its upper left corner.
    """
    columns = mask.shape[1] + 1
    steps = (1, columns, -1, -columns)
    sides = _sides(mask)
    loops = []
    for first in sorted(sides):
        corners, side = [first // 4], first
        while side in sides:
            sides.remove(side)
            direction = side % 4
            corner = side // 4 + steps[direction]
            turns = (4 * corner + (direction + turn) % 4 for turn in (RIGHT, STRAIGHT, LEFT))
            side = next(turned for turned in turns if turned in sides or turned == first)
            if side % 4 != direction and side != first:
                corners.append(corner)
        if len(corners) > 1:
            loops.append(np.stack(np.divmod(corners, columns)[::-1], axis=1).astype(float))
    return loops


def _sides(mask: Bool[ndarray, "h w"]) -> set[int]:
    """The sides where a pixel of the mask meets one that is not."""
    height, width = mask.shape
    padded = np.pad(mask, 1)
    found: set[int] = set()
    for direction, (down, across, row, column) in enumerate(SIDES):
        other = padded[1 + down : 1 + down + height, 1 + across : 1 + across + width]
        rows, columns = np.nonzero(mask & ~other)
        found.update((4 * ((rows + row) * (width + 1) + columns + column) + direction).tolist())
    return found
