"""The figures of classification, from logits and labels of each image; and how they are shown."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from pellucid.errors import NonFiniteError, UsageError
from pellucid.metrics import calibration, counts, intervals
from pellucid.panels import Bars, Curve, Matrix, Panel, Table
from pellucid.tasks.base import AbstractMetric, Scores

__all__ = ["ClassMetric"]

SHOWN = 40  # classes a panel shows: a page of 1,000 rows says less than the worst 40


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is kept of n images. `ranks`: classes that stand before the label; `scores`: greatest probs."""

    logits: Float[ndarray, "n classes"]
    labels: Int[ndarray, " n"]
    predictions: Int[ndarray, " n"]
    ranks: Int[ndarray, " n"]
    scores: Float[ndarray, " n"]
    losses: Float[ndarray, " n"]
    briers: Float[ndarray, " n"]

    @classmethod
    def of(cls, logits: Float[ndarray, "n classes"], labels: Int[ndarray, " n"]) -> "_Rows":
        """The rows of one batch."""
        probs = counts.softmax(logits)
        return cls(
            logits=logits,
            labels=labels,
            predictions=logits.argmax(axis=1),
            ranks=counts.label_ranks(logits, labels),
            scores=probs.max(axis=1),
            losses=counts.cross_entropies(logits, labels),
            briers=calibration.brier_scores(probs, labels),
        )

    @classmethod
    def joined(cls, parts: Sequence["_Rows"]) -> "_Rows":
        """The rows of several batches, in order."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class ClassMetric(AbstractMetric):
    """Logits and label of every image; every figure is derived from them."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._parts: list[_Rows] = []

    def add(self, decoded: dict[str, Tensor], targets: Int[Tensor, " n"]) -> None:
        """Take in one batch: `logits` of any precision on any device, and class indices."""
        logits = decoded["logits"].detach().float().cpu().numpy()
        if not np.isfinite(logits).all():
            count = int((~np.isfinite(logits)).any(axis=1).sum())
            raise NonFiniteError(
                f"The logits of {count} of {len(logits)} images of a batch are not finite. "
                "The weights or the images fed to it are damaged."
            )
        self._parts.append(_Rows.of(logits, targets.detach().cpu().numpy().astype(np.int64)))

    def rows(self) -> dict[str, ndarray]:
        """One row an image of everything that is kept."""
        return dataclasses.asdict(self._rows()) if self._parts else {}

    def add_rows(self, rows: Mapping[str, ndarray]) -> None:
        """Take in what `rows` of another metric gave."""
        self._parts.append(_Rows(**rows))

    def headline(self) -> tuple[str, float]:
        """The share of images whose greatest logit is the label's."""
        return "top1", float(self.outcomes().mean())

    def compared(self, other: AbstractMetric, seed: int = 0) -> intervals.Difference:
        """The difference in top1, resampled over the images."""
        assert isinstance(other, ClassMetric)
        return intervals.paired_bootstrap(self.outcomes(), other.outcomes(), np.random.default_rng(seed))

    def outcomes(self) -> Float[ndarray, " n"]:
        """1 for a correct image, 0 for a wrong one."""
        return (self._rows().ranks == 0).astype(np.float64)

    def scores(self, seed: int = 0) -> Scores:
        """All figures, with bootstrap intervals of top1, top5 and macro_f1."""
        rows = self._rows()
        confusion = self._confusion()
        curve = calibration.reliability(rows.scores, rows.ranks == 0)
        figures = counts.class_figures(confusion)
        best = min(5, len(self.classes))
        metrics = {
            "top1": np.mean(rows.ranks == 0),
            "top5": np.mean(rows.ranks < best),
            "loss": np.mean(rows.losses),
            "macro_f1": counts.macro_f1(figures),
            "ece": calibration.calibration_error(curve),
            "brier": np.mean(rows.briers),
        }
        return Scores(
            count=len(rows.labels),
            metrics={name: float(value) for name, value in metrics.items()},
            intervals=_intervals(rows, len(self.classes), best, seed),
            per_class=_per_class(self.classes, figures),
            details={
                "correct": int(np.sum(rows.ranks == 0)),
                "weighted_f1": float(counts.weighted_f1(figures)),
                "confusion": confusion.tolist(),
                "calibration": _calibration(rows, curve),
            },
        )

    def mistakes(self, most: int) -> list[tuple[int, str]]:
        """The wrong images of the greatest scores: `Shirt 0.98 (target: Coat)`."""
        rows = self._rows()
        wrong = np.flatnonzero(rows.ranks)
        worst = wrong[np.argsort(-rows.scores[wrong], kind="stable")][:most]
        return [(at, self._caption(rows, at)) for at in worst.tolist()]

    def learnt(self) -> dict[str, float]:
        """Nothing: the greatest logit decides."""
        return {}

    def panels(self) -> list[Panel]:
        """Confusion, most confused pairs, recall, classes and reliability, as far as they can be read."""
        rows, confusion = self._rows(), self._confusion()
        curve = calibration.reliability(rows.scores, rows.ranks == 0)
        shown = _shown(counts.class_figures(confusion))
        panels: list[Panel] = []
        if len(self.classes) <= SHOWN:
            panels.append(Matrix("Confusion", self.classes, tuple(map(tuple, confusion.tolist()))))
        panels.append(self._confused_pairs(confusion))
        panels.append(self._recall_bars(confusion, shown))
        panels.append(self._class_table(confusion, shown))
        panels.append(_reliability_curve(curve))
        return panels

    def _rows(self) -> _Rows:
        if not self._parts:
            raise UsageError("No image was judged, so there is no figure. Choose a split that has images.")
        self._parts = [_Rows.joined(self._parts)]
        return self._parts[0]

    def _confusion(self) -> Int[ndarray, "classes classes"]:
        rows = self._rows()
        return counts.confusion_matrix(rows.labels, rows.predictions, len(self.classes))

    def _caption(self, rows: _Rows, at: int) -> str:
        given, target = self.classes[rows.predictions[at]], self.classes[rows.labels[at]]
        return f"{given} {rows.scores[at]:.2f} (target: {target})"

    def _confused_pairs(self, confusion: Int[ndarray, "classes classes"]) -> Table:
        found = counts.most_confused(confusion, 10)
        support = confusion.sum(axis=1)
        pairs = tuple(
            (self.classes[row], self.classes[column], count, count / int(support[row])) for row, column, count in found
        )
        return Table("Most confused", ("target", "prediction", "images", "share of the target's images"), pairs)

    def _recall_bars(self, confusion: Int[ndarray, "classes classes"], shown: list[int]) -> Bars:
        figures = counts.class_figures(confusion)
        ranges = intervals.wilson(figures.hits, figures.support)
        shown = [at for at in shown if figures.support[at] > 0]
        return Bars(
            "Recall by class",
            names=tuple(self.classes[at] for at in shown),
            values=tuple(float(figures.recall[at]) for at in shown),
            intervals=tuple((float(ranges[at, 0]), float(ranges[at, 1])) for at in shown),
            note=f"Lines are 95 % Wilson intervals.{self._cut(shown)}",
        )

    def _class_table(self, confusion: Int[ndarray, "classes classes"], shown: list[int]) -> Table:
        rows = _per_class(self.classes, counts.class_figures(confusion))
        columns = ("class", "images", "precision", "recall", "F1")
        return Table("Classes", columns, tuple(tuple(rows[at].values()) for at in shown), self._cut(shown).strip())

    def _cut(self, shown: list[int]) -> str:
        few = len(shown) < len(self.classes)
        return f" Shown: {len(shown)} of {len(self.classes)} classes, the lowest F1 first." if few else ""


def _intervals(rows: _Rows, classes: int, best: int, seed: int) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals; each figure has its own generator, so that none depends on another."""
    streams = np.random.default_rng(seed).spawn(3)
    return {
        "top1": intervals.bootstrap_mean((rows.ranks == 0).astype(np.float64), streams[0]),
        "top5": intervals.bootstrap_mean((rows.ranks < best).astype(np.float64), streams[1]),
        "macro_f1": intervals.bootstrap_macro_f1(rows.labels, rows.predictions, classes, streams[2]),
    }


def _per_class(classes: tuple[str, ...], figures: counts.ClassFigures) -> tuple[dict[str, Any], ...]:
    """One row a class; None where nothing was observed (0/0)."""
    columns = (figures.precision, figures.recall, figures.f1)
    return tuple(
        {"class": name, "count": int(figures.support[at])}
        | dict(zip(("precision", "recall", "f1"), (_known(column[at]) for column in columns), strict=True))
        for at, name in enumerate(classes)
    )


def _shown(figures: counts.ClassFigures) -> list[int]:
    """All classes in their order, or of many the ones of lowest F1."""
    if len(figures.f1) <= SHOWN:
        return list(range(len(figures.f1)))
    return [int(at) for at in np.argsort(figures.f1, kind="stable")[:SHOWN]]


def _calibration(rows: _Rows, curve: calibration.Reliability) -> dict[str, Any]:
    """The bins, and what one temperature fitted on these very images would give: a flattering figure."""
    temperature = calibration.fit_temperature(rows.logits, rows.labels)
    cooled = calibration.scores_at(rows.logits, temperature)
    after = calibration.reliability(cooled, rows.ranks == 0)
    return {
        "edges": curve.edges.tolist(),
        "count": curve.count.tolist(),
        "score": [_known(value) for value in curve.score],
        "accuracy": [_known(value) for value in curve.accuracy],
        "temperature": temperature,
        "ece_after": calibration.calibration_error(after),
    }


def _reliability_curve(curve: calibration.Reliability) -> Curve:
    filled = curve.count > 0
    points = (tuple(curve.score[filled].tolist()), tuple(curve.accuracy[filled].tolist()))
    return Curve(
        "Reliability",
        x_label="score",
        y_label="accuracy",
        series=(("accuracy", *points),),
        note="Below the diagonal the network is surer than it is right.",
        diagonal=True,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
