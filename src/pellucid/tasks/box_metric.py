"""The figures of detection, from detections and objects of each image; and how they are shown."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy import ndarray
from torch import Tensor

from pellucid.data.boxes import Boxes
from pellucid.errors import NonFiniteError, UsageError
from pellucid.metrics import average_precision, box_errors, detection
from pellucid.metrics.coco import CocoTable, coco_table
from pellucid.metrics.counts import quotient
from pellucid.metrics.detection import THRESHOLDS, Detections, Objects
from pellucid.metrics.intervals import Difference, percentile_interval
from pellucid.panels import Bars, Curve, Matrix, Panel, Table
from pellucid.tasks.base import AbstractMetric, Scores

__all__ = ["BoxMetric"]

SHOWN = 40  # classes a panel shows
LINES = 8  # classes a panel of curves shows
BACKGROUND = "background"
KINDS = (*box_errors.KINDS, "missed")

Found = Callable[[dict[str, Tensor], Any], tuple[Sequence[Detections], Sequence[Boxes]]]
"""Makes detections and labels in the photos' own pixels of a batch of decoded outputs and its targets."""


class BoxMetric(AbstractMetric):
    """Detections and objects of every image, in the photo's own pixels; every figure is derived from them.

    A `brief` metric knows no figures by size. Precision, recall, confusion and mistakes are those of detections from
    the score `threshold` on, or else from the one that gives these images their best F1.
    """

    def __init__(self, classes: tuple[str, ...], *, found: Found, brief: bool, threshold: float | None = None) -> None:
        self.classes = classes
        self._found = found
        self._brief = brief
        self._threshold = threshold
        self._detections: list[Detections] = []
        self._objects: list[Objects] = []
        self._evidence: _Evidence | None = None

    def add(self, decoded: dict[str, Tensor], targets: Any) -> None:
        """Take in one batch: what `found` makes of it."""
        self.add_images(*self._found(decoded, targets))

    def add_images(self, detections: Sequence[Detections], targets: Sequence[Boxes]) -> None:
        """Take in some images: what was found in each, and its label."""
        damaged = sum(not (np.isfinite(one.xyxy).all() and np.isfinite(one.scores).all()) for one in detections)
        if damaged:
            raise NonFiniteError(
                f"The boxes or scores of {damaged} of {len(detections)} images are not finite. "
                "The weights or the images fed to the network are damaged."
            )
        pairs = list(zip(detections, map(_objects, targets), strict=True))
        self._detections += [one for one, _ in pairs]
        self._objects += [one for _, one in pairs]
        self._evidence = None

    def rows(self) -> dict[str, ndarray]:
        """The boxes of all images one behind the other, and how many each has."""
        if not self._objects:
            return {}
        return _column("found", self._detections) | _column("there", self._objects)

    def add_rows(self, rows: Mapping[str, ndarray]) -> None:
        """Take in what `rows` of another metric gave."""
        self._detections += [Detections(**row) for row in _split(rows, "found")]
        self._objects += [Objects(**row) for row in _split(rows, "there")]
        self._evidence = None

    def headline(self) -> tuple[str, float]:
        """AP by COCO's rules; refused where there is nothing to be found."""
        value = self._judged().table.ap()
        if math.isnan(value):
            raise UsageError(
                f"None of the {len(self._objects):,} images judged has an object that counts, so there is no AP. "
                "Choose a split with boxes."
            )
        return "ap", value

    def compared(self, other: AbstractMetric, seed: int = 0) -> Difference:
        """The difference in AP, resampled over the images."""
        assert isinstance(other, BoxMetric)
        first, second = self._judged(), other._judged()
        return average_precision.paired_precisions(
            (first.judged, first.matches), (second.judged, second.matches), np.random.default_rng(seed)
        )

    def scores(self, seed: int = 0) -> Scores:
        """All figures by COCO's rules, with bootstrap intervals of ap and ap50; those of no object are left out."""
        evidence = self._judged()
        drawn = average_precision.resampled_precisions(evidence.judged, evidence.matches, np.random.default_rng(seed))
        ranges = {"ap": percentile_interval(drawn.mean(axis=1)), "ap50": percentile_interval(drawn[:, 0])}
        return Scores(
            count=len(self._objects),
            metrics={name: value for name, value in self._metrics().items() if not math.isnan(value)},
            intervals={name: interval for name, interval in ranges.items() if not math.isnan(interval[0])},
            per_class=self._per_class(),
            details={
                "confusion": evidence.confusion.tolist(),
                "errors": self._errors(),
                "threshold": evidence.threshold,
            },
        )

    def mistakes(self, most: int) -> list[tuple[int, str]]:
        """The images with most errors at the best threshold: `2 missed, 1 background`."""
        evidence = self._judged()
        counts = box_errors.errors_by_image(evidence.judged, evidence.errors, evidence.least)
        worst = np.argsort(-counts.sum(axis=1), kind="stable")[:most]
        return [(int(at), _caption(counts[at])) for at in worst if counts[at].any()]

    def learnt(self) -> dict[str, float]:
        """The score from which on a detection is worth showing, where there is one."""
        best = self._judged().best
        return {} if best is None else {"threshold": best}

    def panels(self) -> list[Panel]:
        """Precision by recall, confusion, the classes in a table, what repairs would gain, AP by IoU."""
        rows = self._per_class()
        known = [at for at, row in enumerate(rows) if row["ap"] is not None]
        lowest = sorted(known, key=lambda at: rows[at]["ap50"])
        panels: list[Panel] = []
        if known:
            panels.append(self._precision_recall(known if len(known) <= LINES else lowest[:LINES]))
        if len(self.classes) < SHOWN:
            panels.append(self._confusion())
        panels.append(_table(rows, range(len(rows)) if len(rows) <= SHOWN else lowest[:SHOWN]))
        if known:
            panels += [self._budget(), self._by_threshold()]
        return panels

    def _metrics(self) -> dict[str, float]:
        table = self._judged().table
        sizes = {} if self._brief else {f"ap_{size}": table.ap(size=size) for size in ("small", "medium", "large")}
        return {
            "ap": table.ap(),
            "ap50": table.ap(threshold=0.5),
            "ap75": table.ap(threshold=0.75),
            **sizes,
            "ar": table.ar(),
        }

    def _per_class(self) -> tuple[dict[str, Any], ...]:
        """One row a class; precision and recall at the best threshold; None where there is nothing to divide by."""
        evidence = self._judged()
        confusion = evidence.confusion
        hits = np.diagonal(confusion)[:-1]
        precisions = evidence.table.precision[:, :, :, 0, -1].mean(axis=1)  # thresholds classes
        columns = {
            "ap": precisions.mean(axis=0),
            "ap50": precisions[0],
            "precision": quotient(hits, confusion.sum(axis=0)[:-1]),
            "recall": quotient(hits, confusion.sum(axis=1)[:-1]),
        }
        count = evidence.judged.positives.sum(axis=0)
        return tuple(
            {"class": name, "count": int(count[at])}
            | {column: _known(values[at]) for column, values in columns.items()}
            for at, name in enumerate(self.classes)
        )

    def _errors(self) -> dict[str, dict[str, Any]]:
        """Of each kind of error, how many there are at any score, and what AP50 would gain by their repair."""
        evidence = self._judged()
        kinds, missed = evidence.errors.kinds, evidence.errors.missed
        counts = [*np.bincount(kinds[kinds >= 0], minlength=len(box_errors.KINDS)).tolist(), int(missed.sum())]
        gains = box_errors.error_budget(evidence.judged, evidence.matches, evidence.errors)
        return {name: {"count": count, "gain": _known(gains[name])} for name, count in zip(KINDS, counts, strict=True)}

    def _precision_recall(self, shown: Sequence[int]) -> Curve:
        precision = self._judged().table.precision[0, :, :, 0, -1]
        recalls = tuple(average_precision.RECALLS.tolist())
        series = tuple((self.classes[at], recalls, tuple(precision[:, at].tolist())) for at in shown)
        known = int(np.isfinite(precision[0]).sum())
        few = f" Shown: {len(shown)} of {known} classes, the lowest AP50 first." if len(shown) < known else ""
        return Curve("Precision by recall", "recall", "precision", series, f"At IoU 0.5.{few}")

    def _confusion(self) -> Matrix:
        evidence = self._judged()
        shown = "No detection is a hit" if evidence.threshold is None else f"Scores from {evidence.threshold:.3f}"
        return Matrix(
            "Confusion",
            (*self.classes, BACKGROUND),
            tuple(map(tuple, evidence.confusion.tolist())),
            note=f"{shown}, IoU 0.5. Last column: missed; last row: found where nothing is.",
        )

    def _budget(self) -> Bars:
        errors = self._errors()
        order = sorted(errors, key=lambda name: -errors[name]["gain"])
        return Bars(
            "Error budget",
            names=tuple(f"{name} ({errors[name]['count']:,})" for name in order),
            values=tuple(max(0.0, errors[name]["gain"]) for name in order),
            note="What AP50 would gain if this kind of error alone were repaired, and how many there are at any score.",
        )

    def _by_threshold(self) -> Curve:
        values = np.nanmean(self._judged().table.precision[:, :, :, 0, -1].mean(axis=1), axis=1)
        line = ("all classes", tuple(THRESHOLDS.tolist()), tuple(values.tolist()))
        return Curve("AP by IoU", "IoU from which on an object is found", "AP", (line,), "Their mean is AP.")

    def _judged(self) -> "_Evidence":
        if not self._objects:
            raise UsageError("No image was judged, so there is no figure. Choose a split that has images.")
        if self._evidence is None:
            judged = detection.gathered(self._detections, self._objects, len(self.classes))
            self._evidence = _Evidence(judged, self._threshold, sizes=not self._brief)
        return self._evidence


class _Evidence:
    """What is known of the images so far, each part found when it is first asked for."""

    def __init__(self, judged: detection.Judged, threshold: float | None, *, sizes: bool) -> None:
        self.judged = judged
        self._given = threshold
        self._sizes = sizes

    @cached_property
    def table(self) -> CocoTable:
        """Precisions and recalls by COCO's rules."""
        return coco_table(self.judged, sizes=self._sizes)

    @cached_property
    def pairs(self) -> detection.Pairs:
        """Which detections overlap which objects."""
        return detection.paired(self.judged)

    @cached_property
    def matches(self) -> detection.Matches:
        """Which detections find which objects."""
        return detection.matched(self.judged, self.pairs)

    @cached_property
    def errors(self) -> box_errors.Errors:
        """The kind of every false alarm."""
        return box_errors.errors_of(self.judged, self.pairs, self.matches)

    @cached_property
    def best(self) -> float | None:
        """The score from which on F1 is greatest, if anything is found."""
        return box_errors.best_threshold(self.judged, self.matches)

    @property
    def threshold(self) -> float | None:
        """The score that was given, or else the best."""
        return self.best if self._given is None else self._given

    @property
    def least(self) -> float:
        """The score that a detection needs to be shown: none has it where nothing is found."""
        return math.inf if self.threshold is None else self.threshold

    @cached_property
    def confusion(self) -> ndarray:
        """Objects by what is found there, at that threshold."""
        return box_errors.confusion_with_background(self.judged, self.pairs, self.matches, self.least)


def _column(prefix: str, images: Sequence[Detections] | Sequence[Objects]) -> dict[str, ndarray]:
    """Their fields as `prefix/…`, one behind the other, and as `prefix` how many rows each image has."""
    names = [field.name for field in dataclasses.fields(images[0])]
    columns = {f"{prefix}/{name}": np.concatenate([getattr(one, name) for one in images]) for name in names}
    return {prefix: np.array([len(one.labels) for one in images], np.int64), **columns}


def _split(rows: Mapping[str, ndarray], prefix: str) -> Iterator[dict[str, ndarray]]:
    """The fields of each image again."""
    names = [name for name in rows if name.startswith(f"{prefix}/")]
    columns = [np.split(rows[name], np.cumsum(rows[prefix])[:-1]) for name in names]
    for parts in zip(*columns, strict=True):
        yield {name.partition("/")[2]: part for name, part in zip(names, parts, strict=True)}


def _objects(boxes: Boxes) -> Objects:
    return Objects(
        xyxy=np.array(boxes.xyxy, np.float64).reshape(-1, 4),
        labels=np.array(boxes.labels, np.int64),
        ignored=np.array(boxes.ignored, bool),
        areas=np.array(boxes.areas, np.float64),
    )


def _caption(counts: ndarray) -> str:
    """`2 missed, 1 background`, the missed first."""
    names = zip(reversed(KINDS), reversed(counts.tolist()), strict=True)
    return ", ".join(f"{count} {name}" for name, count in names if count)


def _table(rows: Sequence[dict[str, Any]], shown: Sequence[int]) -> Table:
    columns = ("class", "objects", "AP", "AP50", "precision", "recall")
    few = f" Shown: {len(shown)} of {len(rows)} classes, the lowest AP50 first." if len(shown) < len(rows) else ""
    note = f"Precision and recall from the score of the confusion matrix on.{few}"
    return Table("Classes", columns, tuple(tuple(rows[at].values()) for at in shown), note)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
