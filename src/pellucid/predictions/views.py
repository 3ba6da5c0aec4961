"""Large photos in overlapping views at the network's own scale, and once whole: what is small in them is found, too."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.predictions.base import View
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.types import Frame

__all__ = ["views", "windows"]

LARGE = 1.5
"""Sides of the network's view from which on a photo is seen in parts."""
STEP = 2.0
"""How many times as large as those of the level below views are at most: what is too large to be whole in one of these
is still large in those."""
SHARED = 0.25
"""Of its side, what a view has in common with the next: an object up to there is whole in one of them."""
TOGETHER = 16
"""Views that go through a network at once."""

Window = tuple[int, int, int, int]


def views(predictor: AbstractPredictor, photo: UInt8[ndarray, "h w c"]) -> Iterator[View]:
    """What the network gives for each window of a photo, placed in the photo's own pixels; the closest views first."""
    size = photo.shape[0], photo.shape[1]
    places = windows(size, predictor.preprocess.size)
    for start in range(0, len(places), TOGETHER):
        some = places[start : start + TOGETHER]
        parts = [photo[top:bottom, left:right] for top, left, bottom, right in some]
        for seen, (decoded, frame) in zip(some, predictor.outputs(parts), strict=True):
            yield View(decoded, _placed(frame, seen, size), seen)


def windows(photo: tuple[int, int], network: tuple[int, int]) -> list[Window]:
    """Parts of a photo (top, left, bottom, right) for a network's view of this (height, width): if it is much larger,
    windows of that size, then larger ones; the whole comes last.

    1280 x 960 at 320 x 320: 5 x 4 windows of 320 x 320, 3 x 2 of 640 x 640, the whole.
    """
    times = max(photo[0] / network[0], photo[1] / network[1])
    levels = math.ceil(math.log(times, STEP)) if times >= LARGE else 0
    found = []
    for level in range(levels):
        factor = times ** (level / levels)
        rows, columns = (_spans(side, round(view * factor)) for side, view in zip(photo, network, strict=True))
        found += [(top, left, bottom, right) for top, bottom in rows for left, right in columns]
    return [*found, (0, 0, *photo)]


def _spans(side: int, view: int) -> Sequence[tuple[int, int]]:
    """As few intervals of a view's length as cover a side and share enough with their neighbours, evenly."""
    if view >= side:
        return [(0, side)]
    shared = round(SHARED * view)
    count = math.ceil((side - shared) / (view - shared))
    starts = [round(place * (side - view) / (count - 1)) for place in range(count)]
    return [(start, start + view) for start in starts]


def _placed(frame: Frame, seen: Window, photo: tuple[int, int]) -> Frame:
    """The frame of a part as one of the whole photo: `network = (photo - corner) · scale + offset`."""
    top, left = seen[0] * frame.scale[0], seen[1] * frame.scale[1]
    return replace(frame, photo=photo, offset=(frame.offset[0] - top, frame.offset[1] - left))
