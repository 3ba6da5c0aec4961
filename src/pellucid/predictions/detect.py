"""Detection: the boxes of one photo."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy import ndarray

from pellucid.drawing import boxed, palette
from pellucid.errors import UsageError
from pellucid.metrics.detection import Detections
from pellucid.ops.suppression import nms
from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction, View
from pellucid.predictions.merging import merged
from pellucid.types import Frame

__all__ = ["POSTPROCESSES", "BoxPostprocess", "FoundBoxes", "Judged", "photo_xyxy"]

CANDIDATES = 1000
"""Boxes of the greatest scores that go into suppression."""
OVERLAP = 0.6
"""The IoU beyond which the less sure of two boxes of a class is suppressed."""
EDGE = 1 / 32
"""Share of a view's side within which a box ends at its edge."""
MOST = 300
"""Boxes that an image may have."""
THRESHOLD = 0.25
"""Least score of a box that is said, where nothing was learnt."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundBoxes(AbstractPrediction):
    """The objects found in one photo, the surest first, in its own pixels."""

    classes: tuple[str, ...]
    found: Detections

    def to_json(self) -> dict[str, Any]:
        """`boxes`: label, score and xyxy of each."""
        rows = zip(self.found.labels.tolist(), self.found.scores.tolist(), self.found.xyxy.tolist(), strict=True)
        return {"boxes": [{"label": self.classes[at], "score": score, "xyxy": xyxy} for at, score, xyxy in rows]}

    def to_row(self) -> dict[str, str | float]:
        """How many of each class."""
        return dict(zip(self.classes, self._counts(), strict=True))

    def text(self) -> str:
        """The classes that occur, the most frequent first: `12 RBC, 1 WBC`."""
        found = sorted(((count, name) for name, count in zip(self.classes, self._counts(), strict=True)), reverse=True)
        return ", ".join(f"{count} {name}" for count, name in found if count) or "nothing"

    def arrays(self) -> dict[str, ndarray]:
        """`xyxy` float32 K 4, `scores` float32 K, `labels` int64 K."""
        found = self.found
        xyxy, scores = found.xyxy.astype(np.float32).reshape(-1, 4), found.scores.astype(np.float32)
        return {"xyxy": xyxy, "scores": scores, "labels": found.labels.astype(np.int64)}

    def _counts(self) -> list[int]:
        return np.bincount(self.found.labels, minlength=len(self.classes)).tolist()


@dataclass(frozen=True, slots=True)
class BoxPostprocess(AbstractPostprocess):
    """Candidate boxes and their scores to `FoundBoxes`: a threshold and suppression.

    Learnt are `threshold`, the least score of a box that is said: the one of the best F1 on the validation split; and
    `overlap`, the IoU beyond which the less sure of two boxes of a class is suppressed, where a network needs another.
    `agnostic` says whether boxes of different classes suppress each other, too.
    """

    agnostic: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes: a row holds their numbers."""
        return self.classes

    @property
    def tensors(self) -> tuple[dict[str, Any], ...]:
        """`xyxy`, `scores`, `labels` of the boxes, and their `count`, behind which a photo has none."""
        boxes = {"xyxy": ("FP32", [-1, -1, 4]), "scores": ("FP32", [-1, -1]), "labels": ("INT64", [-1, -1])}
        rows = boxes | {"count": ("INT64", [-1])}
        return tuple({"name": name, "datatype": kind, "shape": shape} for name, (kind, shape) in rows.items())

    @property
    def threshold(self) -> float:
        """The least score of a box that is said."""
        return self.learnt.get("threshold", THRESHOLD)

    def adjusted(self, *, threshold: float | None = None, agnostic: bool = False) -> "BoxPostprocess":
        """The same with another threshold, or with suppression across classes."""
        if threshold is not None and not 0 < threshold <= 1:
            raise UsageError(f"A threshold of {threshold:g}: scores lie between 0 and 1.")
        learnt = self.learnt if threshold is None else {**self.learnt, "threshold": threshold}
        return replace(self, learnt=learnt, agnostic=agnostic or self.agnostic)

    def prediction(self, decoded: Mapping[str, ndarray], frame: Frame) -> FoundBoxes:
        """The boxes of one photo whose score reaches the threshold."""
        return FoundBoxes(self.classes, self.found(decoded, frame, self.threshold))

    def found(self, decoded: Mapping[str, ndarray], frame: Frame, least: float) -> Detections:
        """Candidates with a score from `least` up after suppression, in the photo's own pixels."""
        scores, labels, candidates = self.kept(decoded, least)
        photo = photo_xyxy(decoded["xyxy"][candidates].astype(np.float64), frame)
        return Detections(photo, scores.astype(np.float64), labels)

    def kept(
        self, decoded: Mapping[str, ndarray], least: float
    ) -> tuple[Float[ndarray, " n"], Int[ndarray, " n"], Int[ndarray, " n"]]:
        """Score, label and candidate of each box that suppression leaves, the surest first."""
        found = self.judged(decoded, least)
        return found.scores[found.kept], found.labels[found.kept], found.candidates[found.kept]

    def judged(self, decoded: Mapping[str, ndarray], least: float) -> "Judged":
        """What becomes of each candidate with a score from `least` up, the surest first."""
        scores, labels, candidates = _greatest(decoded["scores"], least)
        boxes = decoded["xyxy"][candidates]
        fates = nms(boxes, scores, labels, self.overlap, most=MOST, agnostic=self.agnostic)
        return Judged(scores, labels, candidates, *fates)

    @property
    def overlap(self) -> float:
        """The IoU beyond which the less sure of two boxes is suppressed."""
        return OVERLAP if self.agnostic else self.learnt.get("overlap", OVERLAP)

    def merged(self, views: Iterable[View]) -> FoundBoxes:
        """The boxes of all views, the closest of which come first, each object once.

        What a view cuts is whole in another one, so that boxes which end where their view does are left out.
        """
        levels = ([self._whole(view) for view in level] for _, level in groupby(views, key=_side))
        return FoundBoxes(self.classes, merged(levels, agnostic=self.agnostic))

    def _whole(self, view: View) -> Detections:
        """The boxes of a view that do not end at an edge of it within the photo."""
        found = self.found(view.decoded, view.frame, self.threshold)
        top, left, bottom, right = view.seen
        height, width = view.frame.photo
        near = EDGE * _side(view)
        low = [near + left if left else -1, near + top if top else -1]
        high = [right - near if right < width else width + 1, bottom - near if bottom < height else height + 1]
        kept = np.all((found.xyxy[:, :2] > low) & (found.xyxy[:, 2:] < high), axis=1)
        return Detections(found.xyxy[kept], found.scores[kept], found.labels[kept])

    def draw(
        self, pixels: UInt8[ndarray, "h w c"], prediction: FoundBoxes, *, steady: bool = False
    ) -> UInt8[ndarray, "h2 w2 3"]:
        """The photo with boxes in the colours of their classes, each with its name and score."""
        found = prediction.found
        names = [self.classes[at] for at in found.labels]
        colors = self.colors()[found.labels]
        return boxed(pixels, found.xyxy, names, colors, scores=found.scores.tolist(), steady=steady)

    def save(self, prediction: Any, path: Path) -> None:
        """Refused: boxes are numbers, which --json gives."""
        raise UsageError("--save has no effect where the task is to detect: --json gives the boxes.")

    def colors(self) -> UInt8[ndarray, "classes 3"]:
        """The colour of each class."""
        return palette(len(self.classes) + 1)[1:]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Candidates before suppression, the surest first, and what became of each, as `ops.suppression.nms` says it."""

    scores: Float[ndarray, " n"]
    labels: Int[ndarray, " n"]
    candidates: Int[ndarray, " n"]
    kept: Int[ndarray, " kept"]
    suppressor: Int[ndarray, " n"]
    overlap: Float[ndarray, " n"]


def _side(view: View) -> int:
    """The longer one, in the photo's pixels."""
    top, left, bottom, right = view.seen
    return max(bottom - top, right - left)


def _greatest(
    scores: Float[ndarray, "candidates classes"], least: float
) -> tuple[Float[ndarray, " n"], Int[ndarray, " n"], Int[ndarray, " n"]]:
    """Scores from `least` up, the greatest 1,000 of them, with their classes and candidates."""
    candidates, labels = np.nonzero(scores >= least)
    found = scores[candidates, labels]
    chosen = np.argsort(-found, kind="stable")[:CANDIDATES]
    return found[chosen], labels[chosen], candidates[chosen]


def photo_xyxy(xyxy: Float[ndarray, "n 4"], frame: Frame) -> Float[ndarray, "n 4"]:
    """`photo = (network - offset) / scale`, cut at the photo's edges."""
    (down, across), (top, left) = frame.scale, frame.offset
    height, width = frame.photo
    placed = (xyxy - [left, top, left, top]) / [across, down, across, down]
    return np.clip(placed, 0, [width, height, width, height])


POSTPROCESSES = {"detect": BoxPostprocess}
