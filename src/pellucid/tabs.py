"""Where the names of boxes find room on a picture."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

__all__ = ["Rectangle", "tab_places"]

COVERED = 0.25
"""Of a box, what a tab of another one may cover."""
ROOMY = 3
"""Heights of a tab that a box must have to hold it."""

Rectangle = tuple[float, float, float, float]


def tab_places(
    xyxy: Float[ndarray, "n 4"], sizes: Sequence[Sequence[tuple[float, float]]], picture: tuple[int, int]
) -> list[tuple[int, Rectangle] | None]:
    """For each box one of its tabs, by its number, and where it goes (left, top, right, bottom).

    `sizes` are (width, height) of the tabs a box could have, the best first, and `picture` is (width, height). Boxes
    come first that are first in order. A tab touches its box, lies in the picture and on no other tab, and hides no
    other box; None where there is no such place.
    """
    areas = COVERED * np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)
    taken = np.zeros((0, 4))
    found: list[tuple[int, Rectangle] | None] = []
    for at, tabs in enumerate(sizes):
        places = [(which, place) for which, tab in enumerate(tabs) for place in _around(xyxy[at], tab, picture)]
        rectangles = np.array([place for _, place in places]).reshape(-1, 4)
        hidden = _shared(rectangles, xyxy) > areas
        hidden[:, at] = False
        free = np.flatnonzero(~hidden.any(axis=1) & ~_shared(rectangles, taken).any(axis=1))
        found.append(places[free[0]] if len(free) else None)
        taken = np.concatenate([taken, rectangles[free[:1]]])
    return found


def _around(box: Float[ndarray, " 4"], tab: tuple[float, float], picture: tuple[int, int]) -> Iterator[Rectangle]:
    """Above the box, in it, below it: from its left side, then to its right one; within the picture."""
    (left, top, right, bottom), (width, height) = box.tolist(), tab
    roomy = width <= right - left and height * ROOMY <= bottom - top
    for x in (left, right - width):
        x = min(max(x, 0.0), picture[0] - width)
        for y in (top - height, *([top] if roomy else []), bottom):
            if x >= 0 and 0 <= y <= picture[1] - height:
                yield x, y, x + width, y + height


def _shared(places: Float[ndarray, "n 4"], boxes: Float[ndarray, "m 4"]) -> Float[ndarray, "n m"]:
    """The area that each place has in common with each of the boxes."""
    left, top, right, bottom = places.T[:, :, None]
    left_2, top_2, right_2, bottom_2 = boxes.T
    width = np.minimum(right, right_2) - np.maximum(left, left_2)
    height = np.minimum(bottom, bottom_2) - np.maximum(top, top_2)
    return np.maximum(width, 0) * np.maximum(height, 0)
