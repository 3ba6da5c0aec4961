"""Detections against targets: who overlaps whom, and which detection finds which object, by COCO's rules.

Everything that detection is judged by starts from one table of detections in descending order of score, those of equal
score in the order they came in, and one list of the pairs that overlap. A detection finds the free object of its class
of highest IoU, of equal ones the last; what is left of an ignored object counts neither way. Boxes are float64 `xyxy`
in the photo's own pixels, corners half-open.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

__all__ = [
    "LEAST",
    "THRESHOLDS",
    "Detections",
    "Judged",
    "Matches",
    "Objects",
    "Pairs",
    "gathered",
    "matched",
    "paired",
]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""The IoUs from which on a detection finds an object: COCO's ten."""
LEAST = 0.1
"""The overlap from which on a pair is noted: below, a detection has to do with the background only."""
MOST = 100  # detections of a class that an image is judged by
CHUNK = 1 << 14  # detections whose overlaps are computed at once


@dataclass(frozen=True, slots=True)
class Detections:
    """What a model found, in one image or in several."""

    xyxy: Float[ndarray, "n 4"]
    scores: Float[ndarray, " n"]
    labels: Int[ndarray, " n"]


@dataclass(frozen=True, slots=True)
class Objects:
    """What is there, in one image or in several; `areas` are the annotation's own, which sizes are judged by."""

    xyxy: Float[ndarray, "m 4"]
    labels: Int[ndarray, " m"]
    ignored: Bool[ndarray, " m"]
    areas: Float[ndarray, " m"]


@dataclass(frozen=True, slots=True)
class Judged:
    """All images in one table: detections by descending score, objects by image, and of each in which image it is."""

    images: int
    classes: int
    detections: Detections
    seen_in: Int[ndarray, " n"]
    objects: Objects
    lies_in: Int[ndarray, " m"]

    @property
    def positives(self) -> Int[ndarray, "images classes"]:
        """Objects that count, by image and class."""
        counted = ~self.objects.ignored
        cells = (self.lies_in * self.classes + self.objects.labels)[counted]
        return np.bincount(cells, minlength=self.images * self.classes).reshape(self.images, self.classes)


@dataclass(frozen=True, slots=True)
class Pairs:
    """A detection and an object of the same image, of any class, that overlap by LEAST; sorted by detection.

    The overlap is the IoU. With an ignored object, which may stand for a crowd, it is the share of the detection in it.
    """

    detections: Int[ndarray, " pairs"]
    objects: Int[ndarray, " pairs"]
    overlaps: Float[ndarray, " pairs"]


@dataclass(frozen=True, slots=True)
class Matches:
    """At each of THRESHOLDS, the object that a detection finds, or -1, and whether it counts: as hit or false alarm."""

    objects: Int[ndarray, "thresholds n"]
    counted: Bool[ndarray, "thresholds n"]

    @property
    def hits(self) -> Bool[ndarray, "thresholds n"]:
        """Whether a detection finds an object that counts."""
        return self.objects >= 0


def gathered(detections: Sequence[Detections], objects: Sequence[Objects], classes: int) -> Judged:
    """One table of the images' detections and objects; of each class in each image the MOST highest scores."""
    seen_in = np.repeat(np.arange(len(detections)), [len(image.labels) for image in detections])
    lies_in = np.repeat(np.arange(len(objects)), [len(image.labels) for image in objects])
    xyxy = np.concatenate([image.xyxy for image in detections])
    scores = np.concatenate([image.scores for image in detections])
    labels = np.concatenate([image.labels for image in detections])
    order = np.argsort(-scores, kind="stable")
    order = order[_ranks((seen_in * classes + labels)[order]) < MOST]
    return Judged(
        images=len(objects),
        classes=classes,
        detections=Detections(xyxy[order], scores[order], labels[order]),
        seen_in=seen_in[order],
        objects=Objects(
            xyxy=np.concatenate([image.xyxy for image in objects]),
            labels=np.concatenate([image.labels for image in objects]),
            ignored=np.concatenate([image.ignored for image in objects]),
            areas=np.concatenate([image.areas for image in objects]),
        ),
        lies_in=lies_in,
    )


def paired(judged: Judged) -> Pairs:
    """Which detections overlap which objects of their image."""
    starts = range(0, len(judged.seen_in), CHUNK)
    parts = [_paired(judged, slice(start, start + CHUNK)) for start in starts]
    nothing = np.zeros(0, np.int64)
    columns = zip((nothing, nothing, np.zeros(0)), *parts, strict=True)
    return Pairs(*(np.concatenate(column) for column in columns))


def matched(judged: Judged, pairs: Pairs) -> Matches:
    """Who finds whom, at each of THRESHOLDS."""
    alike = judged.detections.labels[pairs.detections] == judged.objects.labels[pairs.objects]
    near = alike & (pairs.overlaps >= THRESHOLDS[0])
    ignored = near & judged.objects.ignored[pairs.objects]
    found = _found(judged, pairs, near & ~ignored)
    most = np.zeros(len(judged.seen_in))
    np.maximum.at(most, pairs.detections[ignored], pairs.overlaps[ignored])
    return Matches(found, (found >= 0) | (most < THRESHOLDS[:, None]))


def _found(judged: Judged, pairs: Pairs, eligible: Bool[ndarray, " pairs"]) -> Int[ndarray, "thresholds n"]:
    """The objects found: in a round, every class of every image has the turn of its next detection with a pair left."""
    found = np.full((len(THRESHOLDS), len(judged.seen_in)), -1)
    free = np.ones((len(THRESHOLDS), len(judged.lies_in)), bool)
    places = np.flatnonzero(eligible)
    turns = _turns(judged, pairs.detections[places])
    order = np.argsort(turns, kind="stable")
    ends = np.searchsorted(turns[order], np.arange(turns.max(initial=-1) + 1), side="right")
    for places_now in np.split(places[order], ends[:-1]) if len(ends) else []:
        owner, objects = pairs.detections[places_now], pairs.objects[places_now]
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        overlaps = pairs.overlaps[places_now]
        values = np.where(free[:, objects] & (overlaps >= THRESHOLDS[:, None]), overlaps, -1.0)
        best = np.repeat(np.maximum.reduceat(values, first, axis=1), np.diff(first, append=len(owner)), axis=1)
        last = np.where((values == best) & (values >= 0), np.arange(len(owner)), -1)
        chosen = np.maximum.reduceat(last, first, axis=1)
        level, column = np.nonzero(chosen >= 0)
        taken = objects[chosen[level, column]]
        found[level, owner[first][column]] = taken
        free[level, taken] = False
    return found


def _turns(judged: Judged, detections: Int[ndarray, " pairs"]) -> Int[ndarray, " pairs"]:
    """Of each pair, how many detections of its class and image come before its detection, among these."""
    different, back = np.unique(detections, return_inverse=True)
    groups = judged.seen_in[different] * judged.classes + judged.detections.labels[different]
    return _ranks(groups)[back]


def _ranks(groups: Int[ndarray, " n"]) -> Int[ndarray, " n"]:
    """How many of the same group come before each: `[5, 7, 5, 5] -> [0, 0, 1, 2]`."""
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], groups[order], side="left")
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(groups)) - starts
    return ranks


def _paired(judged: Judged, part: slice) -> tuple[ndarray, ndarray, ndarray]:
    """The pairs of some of the detections."""
    objects, seen_in = judged.objects, judged.seen_in[part]
    first = np.searchsorted(judged.lies_in, seen_in, side="left")
    counts = np.searchsorted(judged.lies_in, seen_in, side="right") - first
    owner = np.repeat(np.arange(len(seen_in)), counts)
    other = np.arange(len(owner)) - np.repeat(counts.cumsum() - counts - first, counts)
    overlaps = _overlaps(judged.detections.xyxy[part][owner], objects.xyxy[other], objects.ignored[other])
    near = overlaps >= LEAST
    return owner[near] + part.start, other[near], overlaps[near]


def _overlaps(
    xyxy: Float[ndarray, "n 4"], objects: Float[ndarray, "n 4"], ignored: Bool[ndarray, " n"]
) -> Float[ndarray, " n"]:
    """IoU side by side; with an ignored object the share of the box in it. 0 where there is no area to divide by."""
    left, top, right, bottom = xyxy.T
    left_2, top_2, right_2, bottom_2 = objects.T
    width = np.maximum(np.minimum(right, right_2) - np.maximum(left, left_2), 0)
    height = np.maximum(np.minimum(bottom, bottom_2) - np.maximum(top, top_2), 0)
    area, shared = (right - left) * (bottom - top), width * height
    union = np.where(ignored, area, area + (right_2 - left_2) * (bottom_2 - top_2) - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
