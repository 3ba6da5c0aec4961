"""Class ids that were mixed up: labels and predictions agree once the classes are renumbered."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from pellucid.inspection.findings import Finding
from pellucid.metrics.counts import confusion_matrix
from pellucid.metrics.regions import pixel_confusion
from pellucid.preprocess import resize_nearest

__all__ = ["agreement", "mixup_findings"]

GAIN = 0.2
"""Share of what is labelled that agrees only after renumbering, from which on it is a finding."""
MOST = 0.5
"""Share of a class that the other class takes, for it to be meant."""
FEW = 3
"""Examples below which a class says nothing."""
OVERLAP = 0.5
"""IoU from which a candidate is of an object."""


def agreement(decoded: dict[str, Tensor], targets: Any, classes: int) -> Int[ndarray, "classes classes"]:
    """How often a class (row) was taken for a class (column) in a batch: images, pixels or objects."""
    if "logits" in decoded:
        return confusion_matrix(decoded["logits"].argmax(dim=1).cpu().numpy(), targets.numpy(), classes)
    if "labels" in decoded:
        pairs = zip(decoded["labels"].cpu().numpy(), targets.numpy(), strict=True)
        return sum(
            (pixel_confusion(resize_nearest(labels, mask.shape), mask, classes) for labels, mask in pairs),
            np.zeros((classes, classes), np.int64),
        )
    return _objects(decoded, targets.tensors, classes)


def _objects(decoded: dict[str, Tensor], targets: dict[str, Tensor], classes: int) -> Int[ndarray, "classes classes"]:
    """Of every object the class of the surest candidate that lies on it, whatever its class."""
    counts = np.zeros((classes, classes), np.int64)
    arrays = (decoded["xyxy"], decoded["scores"], targets["xyxy"], targets["labels"], targets["ignored"])
    for boxes, scores, objects, labels, ignored in zip(*(one.float().cpu().numpy() for one in arrays), strict=True):
        sure = scores.max(axis=1)
        for place in np.flatnonzero((labels >= 0) & (ignored == 0)):
            on_it = _ious(boxes, objects[place]) >= OVERLAP
            if on_it.any():
                best = int(np.where(on_it, sure, -1).argmax())
                counts[int(labels[place]), int(scores[best].argmax())] += 1
    return counts


def _ious(boxes: Float[ndarray, "n 4"], one: Float[ndarray, " 4"]) -> Float[ndarray, " n"]:
    sides = np.minimum(boxes[:, 2:], one[2:]) - np.maximum(boxes[:, :2], one[:2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1) + (one[2:] - one[:2]).prod()
    found: Float[ndarray, " n"] = shared / np.maximum(areas - shared, 1e-9)
    return found


def mixup_findings(
    counts: Int[ndarray, "classes classes"], classes: tuple[str, ...]
) -> tuple[list[Finding], list[str]]:
    """Whether every class that is taken for another is taken for one of its own; and what is well."""
    rows = counts.sum(axis=1)
    known = np.flatnonzero(rows >= FEW)
    taken = counts.argmax(axis=1)
    moved = [int(at) for at in known if taken[at] != at and counts[at, taken[at]] >= MOST * rows[at]]
    one_to_one = len(set(taken[known].tolist())) == len(known)
    right, total = int(np.trace(counts)), max(1, int(counts.sum()))
    gain = sum(int(counts[at, taken[at]] - counts[at, at]) for at in moved) / total
    if len(moved) < 1 or not one_to_one or gain < GAIN:
        return [], [f"class ids fit: {right / total:.1%} agree, and no renumbering would do better by {GAIN:.0%}"]
    steps = {(int(taken[at]) - at) % len(classes) for at in moved}
    shift = steps.pop() if len(steps) == 1 and len(moved) == len(known) else None
    told = f"class ids are shifted by {_signed(shift, len(classes))}" if shift else f"{len(moved)} classes are permuted"
    text = f"{right / total:.1%} of labels agree with the model, and {right / total + gain:.1%} if the {told}."
    where = tuple(f"{classes[at]} ({at}) is called {classes[taken[at]]} ({taken[at]})" for at in moved)
    cure = "Compare the order of the class names of data and model; a background at 0 in one of them shifts all others."
    return [Finding("error", "class-ids", text.replace("if the class", "if class"), gain, GAIN, where, cure)], []


def _signed(shift: int, classes: int) -> str:
    return f"{shift:+d}" if shift <= classes // 2 else f"{shift - classes:+d}"
