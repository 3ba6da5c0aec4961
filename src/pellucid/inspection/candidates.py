"""Where the boxes of a photo come from: every candidate, the cell that gave it, and what became of it.

Suppression is `BoxPostprocess.judged`, which predictions are made with; with the objects of the photo known, who learns
what and the terms of the loss are those of the network's own loss, cell by cell.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.inspection.cells import Lesson, Place, lessons_of, places_of
from pellucid.inspection.notebook import notebook, rows_of
from pellucid.models.base import AbstractDetector
from pellucid.network import Predictor
from pellucid.predictions.detect import BoxPostprocess, Judged, photo_xyxy
from pellucid.types import Frame

__all__ = ["Candidate", "Candidates", "Object", "candidates_of"]

LOW = 0.05
"""Least score of a candidate that is listed; a threshold below it is."""

Corners = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One box before suppression, with a score for one class; `xyxy` in the photo's own pixels.

    `number` is its place in `decode`, `raw` the number of the last layer that the score rises with. `fate` is kept,
    suppressed, low (left by suppression, but below the threshold) or cut (there are as many as an image may have). Of
    a suppressed one `by` is the place in the list of the box that suppressed it, and `overlap` their IoU.
    """

    number: int
    label: str
    score: float
    raw: float
    xyxy: Corners
    fate: str
    by: int | None
    overlap: float | None
    place: Place | None
    lesson: Lesson | None


@dataclass(frozen=True, slots=True)
class Object:
    """One that is there; `learners` are the candidates whose cells learn it, the surest first."""

    label: str
    xyxy: Corners
    learners: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Candidates:
    """All candidates of a photo, the surest first, and the numbers that decide: `threshold` and `overlap`.

    Where the objects of the photo are known, `loss` are the terms of its loss, and every row has its lesson.
    """

    rows: tuple[Candidate, ...]
    threshold: float
    overlap: float
    objects: tuple[Object, ...] = ()
    loss: Mapping[str, float] | None = None

    def text(self, most: int = 12) -> str:
        """A line a candidate, of many the surest."""
        fates = [row.fate for row in self.rows]
        said = ", ".join(f"{fates.count(fate)} {fate}" for fate in dict.fromkeys(fates))
        lines = [f"{len(fates)} candidates: {said or 'none'}; threshold {self.threshold:g}, IoU {self.overlap:g}"]
        lines += [f"  {self.told(at)}{_learnt(self.rows[at].lesson)}" for at in range(min(most, len(fates)))]
        lines += [f"  … {len(fates) - most} more"] if len(fates) > most else []
        lines += [f"  object {at}: {one.label}, learnt by {len(one.learners)}" for at, one in enumerate(self.objects)]
        terms = (f"{name} {value:.4g}" for name, value in (self.loss or {}).items())
        return "\n".join([*lines, *(["  loss: " + ", ".join(terms)] if self.loss else [])])

    def _repr_html_(self) -> str:
        title, *lines = self.text(most=len(self.rows)).splitlines()
        return notebook(title, rows_of("candidates", ("",), [(line.strip(),) for line in lines]))

    def told(self, at: int) -> str:
        """What became of a candidate, in a line."""
        row = self.rows[at]
        place = "" if row.place is None else f"  {row.place.text()}"
        fate = row.fate if row.by is None else f"suppressed by #{row.by}: IoU {row.overlap:.3f} > {self.overlap:g}"
        return f"#{at} {row.label} {row.score:.3f} (raw {row.raw:+.4g}){place}  {fate}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def candidates_of(
    predictor: Predictor, outputs: Any, frame: Frame, targets: Mapping[str, Tensor] | None = None
) -> Candidates:
    """The candidates of raw outputs for one photo; `targets` are its objects as the loss takes them."""
    model, postprocess = predictor.model, predictor.postprocess
    if not isinstance(model, AbstractDetector) or not isinstance(postprocess, BoxPostprocess):
        raise UsageError("Candidates are those of a detector.")
    with torch.no_grad():
        decoded = {name: value[0].numpy() for name, value in model.decode(outputs).items()}
        raw = model.evidence(outputs)[0]
    judged = postprocess.judged(decoded, min(LOW, postprocess.threshold))
    corners = photo_xyxy(decoded["xyxy"][judged.candidates].astype(np.float64), frame).tolist()
    places = places_of(model, outputs)
    lessons = [] if targets is None else lessons_of(model, outputs, targets)
    rows = [
        Candidate(
            *(number, postprocess.classes[label], score, float(raw[number, label])),
            xyxy=tuple(xyxy),
            fate=fate,
            by=by,
            overlap=overlap,
            place=places[number] if places else None,
            lesson=lessons[number] if lessons else None,
        )
        for number, label, score, xyxy, (fate, by, overlap) in zip(
            *(one.tolist() for one in (judged.candidates, judged.labels, judged.scores)),
            *(corners, _fates(judged, postprocess.threshold)),
            strict=True,
        )
    ]
    found = Candidates(tuple(rows), postprocess.threshold, postprocess.overlap)
    return found if targets is None else _with_truth(found, predictor, outputs, targets, frame)


def _fates(judged: Judged, threshold: float) -> list[tuple[str, int | None, float | None]]:
    """Of every candidate its fate, who suppressed it and their IoU."""
    kept = set(judged.kept.tolist())
    found: list[tuple[str, int | None, float | None]] = []
    for at, (by, overlap) in enumerate(zip(judged.suppressor.tolist(), judged.overlap.tolist(), strict=True)):
        if by >= 0:
            found.append(("suppressed", by, overlap))
        else:
            left = "kept" if judged.scores[at] >= threshold else "low"
            found.append((left if at in kept else "cut", None, None))
    return found


def _with_truth(
    found: Candidates, predictor: Predictor, outputs: Any, targets: Mapping[str, Tensor], frame: Frame
) -> Candidates:
    with torch.no_grad():
        loss = {name: float(term) for name, term in predictor.model.loss(outputs, targets).items()}
    corners = photo_xyxy(targets["xyxy"][0].double().numpy(), frame).tolist()
    learners = [row.lesson.object if row.lesson else -1 for row in found.rows]
    objects = tuple(
        Object(predictor.manifest.classes[label], tuple(xyxy), tuple(i for i, one in enumerate(learners) if one == at))
        for at, (label, xyxy) in enumerate(zip(targets["labels"][0].tolist(), corners, strict=True))
    )
    return Candidates(found.rows, found.threshold, found.overlap, objects, loss)


def _learnt(lesson: Lesson | None) -> str:
    if lesson is None:
        return ""
    terms = ", ".join(f"{name} {value:.3g}" for name, value in lesson.terms.items() if value)
    what = "background" if lesson.object < 0 else f"object {lesson.object} at {lesson.share:.3f}"
    return f"  learns {what} ({terms})"
