"""The figures of segmentation, from counts of each image; and how they are shown."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.metrics import regions
from pellucid.metrics.boundary import DISTANCES, boundary_counts, contour_counts
from pellucid.metrics.counts import most_confused
from pellucid.metrics.intervals import Difference, paired_figure_bootstrap, percentile_interval, resampled_sums
from pellucid.panels import Bars, Curve, Matrix, Panel, Table
from pellucid.preprocess import resize_nearest
from pellucid.tasks.base import AbstractMetric, Scores

__all__ = ["MaskMetric"]

SHOWN = 40  # classes a panel shows
FIGURES = {
    "mean_iou": regions.mean_iou,
    "pixel_accuracy": regions.pixel_accuracy,
    "mean_class_accuracy": regions.mean_accuracy,
    "frequency_weighted_iou": regions.frequency_weighted_iou,
}


class MaskMetric(AbstractMetric):
    """Counts of each image, `3 classes`: hits, target pixels and predicted pixels; of the boundaries, likewise.

    They are counted in the photo's own pixels. A `brief` metric has no boundaries.
    """

    def __init__(self, classes: tuple[str, ...], *, brief: bool) -> None:
        self.classes = classes
        self._brief = brief
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)
        self._regions: list[Int[ndarray, "3 classes"]] = []
        self._boundaries: list[Int[ndarray, "3 classes"]] = []
        self._contours = np.zeros((2, len(DISTANCES) + 1), np.int64)

    def add(self, decoded: dict[str, Tensor], targets: UInt8[Tensor, "n h w"]) -> None:
        """Take in one batch: `labels` in network pixels, and masks in the photos' pixels."""
        for labels, target in zip(decoded["labels"].cpu().numpy(), targets.numpy(), strict=True):
            self._add(resize_nearest(labels, target.shape), target)

    def _add(self, labels: UInt8[ndarray, "h w"], target: UInt8[ndarray, "h w"]) -> None:
        confusion = regions.pixel_confusion(labels, target, len(self.classes))
        self._confusion += confusion
        self._regions.append(regions.region_counts(confusion))
        if not self._brief:
            self._boundaries.append(boundary_counts(labels, target, len(self.classes)))
            self._contours += contour_counts(labels, target)

    def rows(self) -> dict[str, ndarray]:
        """Counts by image, and the sums over them of what is only kept as a sum."""
        if not self._regions:
            return {}
        rows = {"confusion": self._confusion, "contours": self._contours, "regions": np.stack(self._regions)}
        return rows if self._brief else {**rows, "boundaries": np.stack(self._boundaries)}

    def add_rows(self, rows: Mapping[str, ndarray]) -> None:
        """Take in what `rows` of another metric gave."""
        self._confusion += rows["confusion"]
        self._contours += rows["contours"]
        self._regions += list(rows["regions"])
        self._boundaries += list(rows.get("boundaries", ()))

    def headline(self) -> tuple[str, float]:
        """Mean IoU over all pixels of all images."""
        return "mean_iou", float(regions.mean_iou(self._counts().sum(axis=0)))

    def compared(self, other: "AbstractMetric", seed: int = 0) -> Difference:
        """The difference in mean IoU, resampled over the images."""
        assert isinstance(other, MaskMetric)
        generator = np.random.default_rng(seed)
        return paired_figure_bootstrap(self._counts(), other._counts(), regions.mean_iou, generator)

    def scores(self, seed: int = 0) -> Scores:
        """All figures, each with its bootstrap interval over images."""
        sums = self._counts().sum(axis=0)
        streams = np.random.default_rng(seed).spawn(2)
        resampled = resampled_sums(self._counts(), streams[0])
        metrics = {name: float(figure(sums)) for name, figure in FIGURES.items()}
        ranges = {name: percentile_interval(figure(resampled)) for name, figure in FIGURES.items()}
        edges = np.stack(self._boundaries)
        metrics["boundary_iou"] = float(regions.mean_iou(edges.sum(axis=0)))
        ranges["boundary_iou"] = percentile_interval(regions.mean_iou(resampled_sums(edges, streams[1])))
        return Scores(
            count=len(self._regions),
            metrics=metrics,
            intervals=ranges,
            per_class=self._per_class(resampled),
            details={"confusion": self._confusion.tolist()},
        )

    def _per_class(self, resampled: ndarray) -> tuple[dict[str, Any], ...]:
        """One row a class; None where it occurs neither as target nor as prediction."""
        sums, edges = self._counts().sum(axis=0), np.stack(self._boundaries).sum(axis=0)
        columns = {
            "iou": regions.class_iou(sums),
            "accuracy": regions.class_accuracy(sums),
            "boundary_iou": regions.class_iou(edges),
        }
        ious = regions.class_iou(resampled)
        return tuple(
            {"class": name, "pixels": int(sums[1, at])}
            | {column: _known(values[at]) for column, values in columns.items()}
            | {"iou_interval": [_known(bound) for bound in percentile_interval(ious[:, at])]}
            for at, name in enumerate(self.classes)
        )

    def mistakes(self, most: int) -> list[tuple[int, str]]:
        """The images with the greatest share of wrong pixels: `12.3% wrong, Pole IoU 0.00`."""
        counts = self._counts()
        right = regions.pixel_accuracy(counts)
        worst = np.argsort(np.nan_to_num(right, nan=1.0), kind="stable")[:most]
        return [(int(at), self._caption(right[at], regions.class_iou(counts[at]))) for at in worst if right[at] < 1]

    def _caption(self, right: float, ious: ndarray) -> str:
        lowest = int(np.nanargmin(ious))
        return f"{1 - right:.1%} wrong, {self.classes[lowest]} IoU {ious[lowest]:.2f}"

    def learnt(self) -> dict[str, float]:
        """Nothing: the greatest logit decides."""
        return {}

    def panels(self) -> list[Panel]:
        """IoU by class, the classes in a table, which are taken for which, and how far from contours."""
        rows = self.scores().per_class
        shown = self._shown(rows)
        note = "" if len(shown) == len(rows) else f"Shown: {len(shown)} of {len(rows)} classes, the lowest IoU first."
        panels: list[Panel] = [_bars(rows, shown, note), _table(rows, shown, note), self._confused()]
        panels += [self._distances()] if self._contours[0, -1] else []
        if len(self.classes) <= SHOWN:
            counts = tuple(map(tuple, self._confusion.tolist()))
            panels.insert(0, Matrix("Confusion in pixels", self.classes, counts))
        return panels

    def _shown(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """All classes in their order, or of many those of the lowest IoU."""
        if len(rows) <= SHOWN:
            return list(range(len(rows)))
        return sorted(range(len(rows)), key=lambda at: -1.0 if rows[at]["iou"] is None else rows[at]["iou"])[:SHOWN]

    def _confused(self) -> Table:
        found = most_confused(self._confusion, 10)
        support = self._confusion.sum(axis=1)
        pairs = tuple(
            (self.classes[row], self.classes[column], count, count / int(support[row])) for row, column, count in found
        )
        return Table("Most confused", ("target", "prediction", "pixels", "share of the target's pixels"), pairs)

    def _distances(self) -> Curve:
        """Errors against all pixels, by their distance from a contour."""
        shares = self._contours[:, :-1] / self._contours[:, -1:]
        names = ("wrong pixels", "all pixels")
        series = tuple(
            (name, tuple(map(float, DISTANCES)), tuple(row.tolist())) for name, row in zip(names, shares, strict=True)
        )
        note = "Where the lines part, errors lie along the contours; where they meet, anywhere."
        return Curve("Boundary errors", "pixels from a contour of the target", "share within", series, note)

    def _counts(self) -> Int[ndarray, "images 3 classes"]:
        if not self._regions:
            raise UsageError("No image was judged, so there is no figure. Choose a split that has images.")
        return np.stack(self._regions)


def _bars(rows: Sequence[dict[str, Any]], shown: Sequence[int], note: str) -> Bars:
    known = [rows[at] for at in shown if rows[at]["iou"] is not None]
    return Bars(
        "IoU by class",
        names=tuple(row["class"] for row in known),
        values=tuple(row["iou"] for row in known),
        intervals=tuple((row["iou_interval"][0], row["iou_interval"][1]) for row in known),
        note=f"Lines are 95 % bootstrap intervals over the images. {note}".strip(),
    )


def _table(rows: Sequence[dict[str, Any]], shown: Sequence[int], note: str) -> Table:
    columns = ("class", "pixels", "IoU", "accuracy", "boundary IoU")
    names = ("class", "pixels", "iou", "accuracy", "boundary_iou")
    return Table("Classes", columns, tuple(tuple(rows[at][name] for name in names) for at in shown), note)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
