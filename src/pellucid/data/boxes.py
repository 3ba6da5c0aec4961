"""Boxes: labels that say where objects are, in the photo's own pixels."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

__all__ = ["Box", "Boxes", "ScoredBoxes", "Xyxy", "box_area", "fitted"]

Xyxy = tuple[float, float, float, float]

SLACK = 1.0  # pixels that a box may leave its photo; what lies outside is cut off
SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Box:
    """One object: `xyxy` in the photo's own pixels, the index of its class, and the area that its annotation gives; the
    score, where a model says so."""

    xyxy: Xyxy
    label: int
    ignored: bool = False
    area: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Boxes:
    """The label of a record for detection: one row an object; no row is an image of nothing but background.

    `xyxy` are left, top, right, bottom in the photo's own pixels, half-open: the box of pixel 0 alone is 0 to 1.
    `labels` are class indices. Objects that are `ignored` (crowds, difficult ones) are neither learnt nor counted.
    `areas` are those that the annotation gives, which may be an outline's; without them a box's area is its own.
    Fields are plain values, for they are part of the data's digest.
    """

    xyxy: tuple[Xyxy, ...]
    labels: tuple[int, ...]
    ignored: tuple[bool, ...]
    areas: tuple[float, ...]

    @classmethod
    def of(cls, rows: Sequence[tuple[Xyxy, int]]) -> "Boxes":
        """Boxes with their labels, none of them ignored."""
        return cls.gathered([Box(xyxy, label) for xyxy, label in rows])

    @classmethod
    def gathered(cls, boxes: Sequence[Box]) -> "Boxes":
        """Objects as one label; an area that no annotation gives is the box's own."""
        areas = tuple(box_area(box.xyxy) if box.area is None else box.area for box in boxes)
        ignored = tuple(box.ignored for box in boxes)
        return cls(tuple(box.xyxy for box in boxes), tuple(box.label for box in boxes), ignored, areas)

    def __iter__(self) -> Iterator[Box]:
        """The objects one by one."""
        return map(Box, self.xyxy, self.labels, self.ignored, self.areas)

    def __len__(self) -> int:
        return len(self.xyxy)

    def renumbered(self, places: Sequence[int]) -> "Boxes":
        """These boxes after class `i` became class `places[i]`."""
        return replace(self, labels=tuple(places[label] for label in self.labels))


@dataclass(frozen=True, slots=True)
class ScoredBoxes:
    """What a model says of an image: boxes with their scores, written by the formats that have a place for these."""

    boxes: Boxes
    scores: tuple[float, ...]

    def __iter__(self) -> Iterator[Box]:
        """The objects one by one."""
        return (replace(box, score=score) for box, score in zip(self.boxes, self.scores, strict=True))

    def __len__(self) -> int:
        return len(self.boxes)


def box_area(xyxy: Xyxy) -> float:
    """Width times height."""
    left, top, right, bottom = xyxy
    return (right - left) * (bottom - top)


def fitted(xyxy: Xyxy, size: tuple[int, int]) -> Xyxy | str:
    """A box as it lies in a photo of this (height, width), cut at its edge, or what is wrong with it."""
    for side, value in zip(SIDES, xyxy, strict=True):
        if not math.isfinite(value):
            return f"its {side} is {value}, no finite number"
    left, top, right, bottom = xyxy
    if left > right or top > bottom:
        axis, low, high = ("left", left, right) if left > right else ("top", top, bottom)
        return f"its corners are swapped: {axis} {low:.12g}, {'right' if axis == 'left' else 'bottom'} {high:.12g}"
    if not box_area(xyxy):
        return f"it has no area: {right - left:.12g} x {bottom - top:.12g} pixels"
    height, width = size
    beyond = max(-left, -top, right - width, bottom - height)
    cut = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
    if beyond > SLACK or cut[0] >= cut[2] or cut[1] >= cut[3]:
        return f"it lies outside the image of {width}x{height}: {', '.join(f'{value:.12g}' for value in xyxy)}"
    return cut
