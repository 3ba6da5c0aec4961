"""Boxes from several views of one photo as one list, each object once."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from pellucid.metrics.detection import Detections
from pellucid.ops.suppression import nms

__all__ = ["joined", "merged"]

SAME = 0.35
"""The IoU beyond which boxes from two views are of one object: they see it in different detail."""
WITHIN, TIMES = 0.8, 9.0
"""A box that has so much of a closer view's box in it, and up to so many times its area, is of the same object: from
afar, boxes of what is small are too large."""


def merged(levels: Iterable[Sequence[Detections]], *, agnostic: bool) -> Detections:
    """The boxes of views by their closeness, the closest first: of views as close, the surest of each object; of views
    from farther away, what no closer one has shown; in the end the surest first."""
    kept = joined([])
    for level in levels:
        found = joined(level)
        alone, _, _ = nms(found.xyxy, found.scores, found.labels, SAME, most=len(found.scores), agnostic=agnostic)
        found = _chosen(found, alone)
        new = np.flatnonzero(~_shown(found, kept, agnostic=agnostic).any(axis=1))
        kept = joined([kept, _chosen(found, new)])
    return _chosen(kept, np.argsort(-kept.scores, kind="stable"))


def joined(parts: Sequence[Detections]) -> Detections:
    """All boxes of the parts, in their order."""
    xyxy = np.concatenate([np.zeros((0, 4)), *(part.xyxy for part in parts)])
    scores = np.concatenate([np.zeros(0), *(part.scores for part in parts)])
    labels = np.concatenate([np.zeros(0, np.int64), *(part.labels for part in parts)])
    return Detections(xyxy, scores, labels)


def _chosen(found: Detections, places: Int[ndarray, " k"]) -> Detections:
    return Detections(found.xyxy[places], found.scores[places], found.labels[places])


def _shown(found: Detections, closer: Detections, *, agnostic: bool) -> Bool[ndarray, "n m"]:
    """Whether a box is of the same object as one from a closer view."""
    shared, areas, others = _areas(found.xyxy, closer.xyxy)
    alike = shared > SAME * (areas + others - shared)
    around = (shared >= WITHIN * others) & (areas <= TIMES * others)
    return (alike | around) & (agnostic | (found.labels[:, None] == closer.labels))


def _areas(
    first: Float[ndarray, "n 4"], second: Float[ndarray, "m 4"]
) -> tuple[Float[ndarray, "n m"], Float[ndarray, "n 1"], Float[ndarray, " m"]]:
    """What each box shares with each of the others, and the areas of both."""
    left, top, right, bottom = first.T[:, :, None]
    left_2, top_2, right_2, bottom_2 = second.T
    width = np.minimum(right, right_2) - np.maximum(left, left_2)
    height = np.minimum(bottom, bottom_2) - np.maximum(top, top_2)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    return shared, (right - left) * (bottom - top), (right_2 - left_2) * (bottom_2 - top_2)
