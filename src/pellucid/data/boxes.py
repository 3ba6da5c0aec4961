"""Boxes: labels that say where objects are, in the photo's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Boxes"]


@dataclass(frozen=True, slots=True)
class Boxes:
    """The label of a record for detection: one row an object; no row is an image of nothing but background.

    `xyxy` are left, top, right, bottom in the photo's own pixels, corners half-open: the box of pixel 0 alone is 0 to 1.
    `labels` are class indices. Objects that are `ignored` (crowds, difficult ones) are neither learnt nor counted.
    `areas` are those that the annotation gives, which may be an outline's; without them a box's area is its own.
    Fields are plain values, for they are part of the data's digest.
    """

    xyxy: tuple[tuple[float, float, float, float], ...]
    labels: tuple[int, ...]
    ignored: tuple[bool, ...]
    areas: tuple[float, ...]

    @classmethod
    def of(cls, rows: Sequence[tuple[tuple[float, float, float, float], int]]) -> "Boxes":
        """Boxes with their labels, none of them ignored."""
        areas = tuple((right - left) * (bottom - top) for (left, top, right, bottom), _ in rows)
        return cls(tuple(xyxy for xyxy, _ in rows), tuple(label for _, label in rows), (False,) * len(rows), areas)

    def renumbered(self, places: Sequence[int]) -> "Boxes":
        """These boxes after class `i` became class `places[i]`."""
        return replace(self, labels=tuple(places[label] for label in self.labels))
