"""How far two sets of results differ, at the level of the task: of the network that was trained, and of a file.

Results of one photo are arrays by name: `probs`; or `labels` of pixels; or `xyxy`, `scores` and `labels` of boxes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["BOUNDS", "NARROW_BOUNDS", "Figure", "Results", "agreement", "split", "worst"]

Results = Mapping[str, ndarray]

BOUNDS = {"probs": 1e-4, "boxes": 0.5, "scores": 1e-3, "pixels": 0.001, "unmatched": 0.001, "metric": 0.001}
"""What may differ: probs and scores of 1, boxes in pixels of the photo, pixels of a mask and boxes that only one of the
two has as a share of all, the metric by a tenth of a point."""
NARROW_BOUNDS = {"probs": 0.05, "boxes": 4.0, "scores": 0.05, "pixels": 0.02, "unmatched": 0.2, "metric": 0.005}
"""The same between two runtimes of one network in int8, which round sums differently; and of its metric to fp32's."""
SAME = 0.5
"""IoU from which on two boxes may be the same."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a comparison, the most that it may be, and a remark."""

    name: str
    value: float
    bound: float
    remark: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is within the bound; a value that is no number is not."""
        return bool(self.value <= self.bound)

    def text(self) -> str:
        """In a line: `probs differ by 2.4e-07 (at most 0.0001)`."""
        words = {"boxes": "boxes differ by {:.2g} px", "pixels": "{:.4%} of mask pixels differ"}
        words |= {"unmatched": "{:.4%} of boxes have no match", "metric": "the metric differs by {:.2g}"}
        said = words.get(self.name, f"{self.name} differ by {{:.2g}}").format(self.value)
        allowed = f"{self.bound:.1%}" if self.name in ("pixels", "unmatched") else f"{self.bound:g}"
        return f"{said} (at most {allowed}){self.remark}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"name": self.name, "value": float(self.value), "bound": self.bound, "ok": self.ok}


def worst(figures: Iterable[Figure]) -> list[Figure]:
    """Of each name the figure of the greatest value."""
    found: dict[str, Figure] = {}
    for figure in figures:
        if figure.name not in found or not figure.value <= found[figure.name].value:
            found[figure.name] = figure
    return list(found.values())


def split(outputs: Results) -> list[Results]:
    """The results of each photo of a batch; of boxes as many as it has."""
    photos: list[Results] = [
        {name: value[at] for name, value in outputs.items()} for at in range(len(next(iter(outputs.values()))))
    ]
    if "count" not in outputs:
        return photos
    names = ("xyxy", "scores", "labels")
    return [{name: photo[name][: int(photo["count"])] for name in names} for photo in photos]


def agreement(
    expected: Sequence[Results], found: Sequence[Results], threshold: float, bounds: Mapping[str, float] = BOUNDS
) -> list[Figure]:
    """How far the results of the same photos differ; `threshold` is the least score that boxes were asked for."""
    pairs = list(zip(expected, found, strict=True))
    first = expected[0]
    if "probs" in first:
        return [Figure("probs", max(_gap(one["probs"], other["probs"]) for one, other in pairs), bounds["probs"])]
    if "xyxy" in first:
        return _of_boxes(pairs, threshold, bounds)
    wrong = sum(_wrong(one["labels"], other["labels"]) for one, other in pairs)
    return [Figure("pixels", wrong / sum(one["labels"].size for one in expected), bounds["pixels"])]


def _gap(one: ndarray, other: ndarray) -> float:
    """The greatest difference; without bound where the shapes differ or a value is no number."""
    if one.shape != other.shape:
        return np.inf
    gaps = np.abs(one.astype(np.float64) - other)
    return float(np.where(np.isfinite(gaps), gaps, np.inf).max(initial=0))


def _wrong(one: ndarray, other: ndarray) -> int:
    return one.size if one.shape != other.shape else int((one != other).sum())


def _of_boxes(pairs: Sequence[tuple[Results, Results]], threshold: float, bounds: Mapping[str, float]) -> list[Figure]:
    """Boxes are matched one to one. One whose score is the threshold to within the bound may be there or not."""
    boxes = scores = 0.0
    alone = near = total = 0
    for one, other in pairs:
        rows, columns = _matches(one, other, bounds["boxes"])
        boxes = max(boxes, _gap(one["xyxy"][rows], other["xyxy"][columns]))
        scores = max(scores, _gap(one["scores"][rows], other["scores"][columns]))
        left = np.concatenate([np.delete(one["scores"], rows), np.delete(other["scores"], columns)])
        edge = int((np.abs(left - threshold) <= bounds["scores"]).sum())
        near, alone, total = (
            near + edge,
            alone + len(left) - edge,
            total + max(len(one["scores"]), len(other["scores"])),
        )
    remark = f"; {near} at the threshold, which one of the two leaves out" if near else ""
    return [
        Figure("boxes", boxes, bounds["boxes"]),
        Figure("scores", scores, bounds["scores"]),
        Figure("unmatched", alone / max(1, total), bounds["unmatched"], f", of {total}{remark}"),
    ]


def _matches(one: Results, other: Results, near: float) -> tuple[list[int], list[int]]:
    """Places of boxes that are the same: of one class, that overlap, the nearest corners first, each once."""
    gaps = np.abs(one["xyxy"][:, None] - other["xyxy"]).max(axis=2, initial=0)
    far = (_overlaps(one["xyxy"], other["xyxy"]) < SAME) & (gaps > near)
    apart = far | (one["labels"][:, None] != other["labels"])
    costs = np.where(apart, np.inf, gaps + 1e-3 * np.abs(one["scores"][:, None] - other["scores"]))
    rows: list[int] = []
    columns: list[int] = []
    for place in np.argsort(costs, axis=None, kind="stable"):
        row, column = divmod(int(place), costs.shape[1])
        if not np.isfinite(costs[row, column]):
            break
        if row not in rows and column not in columns:
            rows.append(row)
            columns.append(column)
    return rows, columns


def _overlaps(one: ndarray, other: ndarray) -> ndarray:
    """IoU of each box with each, 0 of those without area."""
    low, high = np.maximum(one[:, None, :2], other[:, :2]), np.minimum(one[:, None, 2:], other[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (one, other)]
    return shared / np.maximum(areas[0][:, None] + areas[1] - shared, 1e-9)
