"""Classification: one label for each image."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from pellucid.config import TrainConfig
from pellucid.drawing import captioned
from pellucid.errors import NonFiniteError, UsageError
from pellucid.metrics import calibration, counts, intervals
from pellucid.panels import Bars, Curve, Matrix, Panel, Table
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractMetric, AbstractPrediction, AbstractTask, Candidate, Scores
from pellucid.types import Frame, Record, Tile

__all__ = ["TASKS", "ClassMetric", "ClassScores", "Classify"]

SHOWN = 40  # classes a panel shows: a page of 1,000 rows says less than the worst 40
SMALL = 64  # pixels: images up to this side are shown to a network as they are
MANY = 10_000  # images from which a network of twice the width learns more than it remembers


@dataclass(frozen=True, slots=True)
class ClassScores(AbstractPrediction):
    """The probs of every class for one photo."""

    classes: tuple[str, ...]
    probs: tuple[float, ...]

    @property
    def label(self) -> str:
        """The class of the greatest prob; of equal ones the first."""
        return self.classes[self._ranking()[0]]

    @property
    def score(self) -> float:
        """The greatest prob."""
        return max(self.probs)

    def to_json(self) -> dict[str, Any]:
        """The label, its score, and the five greatest probs."""
        best = {self.classes[at]: self.probs[at] for at in self._ranking()[:5]}
        return {"label": self.label, "score": self.score, "probs": best}

    def to_row(self) -> dict[str, str | float]:
        """The label and its score."""
        return {"label": self.label, "score": self.score}

    def _ranking(self) -> list[int]:
        return sorted(range(len(self.probs)), key=lambda at: -self.probs[at])


@dataclass(frozen=True, slots=True)
class Classify(AbstractTask):
    """One label for each image."""

    name: ClassVar[str] = "classify"
    idle: ClassVar[tuple[str, ...]] = ("dice", "scale")
    unit: ClassVar[str] = "images"
    pieces: ClassVar[bool] = False
    mistakes_title: ClassVar[str] = "Most confident mistakes"

    @property
    def columns(self) -> tuple[str, ...]:
        """The label and its score."""
        return ("label", "score")

    def usual(self, side: int) -> tuple[str, str]:
        """`compact` for small images, else `resnet18`."""
        name = "compact" if side <= SMALL else "resnet18"
        return name, f"images are typically {side} px on their short side"

    def arguments(self, model: str, side: int, images: int) -> dict[str, Any]:
        """`compact` is built for the side; from many images it learns more with twice the width."""
        return {"side": side, "width": 64 if images >= MANY else 32} if model == "compact" else {}

    def ladder(self, side: int) -> list[Candidate]:
        """`compact` in widths and sizes."""
        if side <= SMALL:
            rungs = [(max(8, side), width) for width in (16, 24, 32, 40, 48, 64, 96)]
        else:
            rungs = [(72, 24), (96, 32), (128, 32), (128, 48), (160, 48), (192, 64), (224, 64), (224, 96)]
        rungs = list(dict.fromkeys((min(rung, side), width) for rung, width in rungs))
        return [Candidate("compact", {"width": width, "side": rung}, rung) for rung, width in rungs]

    def preprocess(self, settings: TrainConfig, channels: int, *, one_size: bool) -> Preprocess:
        """Small images and images of one size go in whole; of other photos the centre."""
        side = settings.size or 0
        whole = one_size or side <= SMALL
        mean, std = (0.5,) * channels, (0.25,) * channels
        return Preprocess(
            (side, side), "stretch" if whole else "crop", channels, mean, std, crop=1.0 if whole else 0.875
        )

    def defaults(self, settings: TrainConfig) -> Mapping[str, tuple[float, str]]:
        """Small images are shifted, photos are shown in crops."""
        small = (settings.size or 0) <= SMALL
        return {
            "smoothing": (0.1, "a network that is never quite sure errs less"),
            "color": (0.0, "changed colours were not seen to help"),
            "shift": (1 / 28, "one pixel in 28") if small else (0.0, "the zoomed crops shift already"),
            "zoom": (1.0, "small images are shown whole") if small else (0.6, "crops of 60 to 100 % of the side"),
        }

    def collate(self, records: Sequence[Record], frames: Sequence[Frame], masks: Tensor | None) -> Int[Tensor, " n"]:
        """Class indices, int64."""
        return torch.tensor([record.label for record in records], dtype=torch.int64)

    def totals(self, records: Sequence[Record], marks: Int[ndarray, "n _"]) -> tuple[int, ...]:
        """Images by class."""
        found = np.bincount([record.label for record in records], minlength=len(self.classes))
        return tuple(int(count) for count in found)

    def renumbered(self, label: int, places: Sequence[int]) -> int:
        """The class's new index."""
        return places[label]

    def soften(self, targets: Int[Tensor, " n"], settings: TrainConfig) -> Float[Tensor, "n classes"]:
        """One row an image: `w·((1 - s)·onehot + s / classes)`, s the smoothing, w the weight of its class.

        3 of 4 classes, s = 0.2, w = 1 -> .05 .05 .05 .85
        """
        classes = len(self.classes)
        rows = functional.one_hot(targets, classes).float()
        smoothing = settings.smoothing or 0.0
        rows = rows * (1 - smoothing) + smoothing / classes
        if settings.class_weights == "none":
            return rows
        return rows * self._balance().to(rows.device)[targets, None]

    def _balance(self) -> Float[Tensor, " classes"]:
        """`images / (classes that occur · images of the class)`: the mean over the images is 1."""
        if self.counts is None:
            raise UsageError("Balanced class weights need the training images: use task.counted first.")
        found = torch.tensor(self.counts, dtype=torch.float32)
        return found.sum() / (found > 0).sum() / found.clamp(min=1)

    def move(self, targets: Any, matrices: Tensor) -> Any:
        """The targets as they are: a label has no place in the image."""
        return targets

    def mix(
        self, targets: Float[Tensor, "n classes"], order: Int[Tensor, " n"], share: Float[Tensor, " n"]
    ) -> Float[Tensor, "n classes"]:
        """`share·own + (1 - share)·other`, row by row."""
        own = share[:, None]
        return targets * own + targets[order] * (1 - own)

    def metric(self, *, brief: bool = False) -> "ClassMetric":
        """An empty metric, the same for every use."""
        return ClassMetric(self.classes)

    def assemble(
        self, parts: Sequence[dict[str, Tensor]], tiles: Sequence[Tile], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Refused: a label is that of a whole image, and all of it goes through the network at once."""
        raise UsageError(f"An image of {size[1]}x{size[0]} network pixels is too large to be classified. Lower --size.")

    def prediction(self, decoded: dict[str, Tensor], frame: Frame) -> ClassScores:
        """The probs of one image."""
        return ClassScores(self.classes, tuple(decoded["probs"].detach().float().cpu().tolist()))

    def draw(self, pixels: UInt8[ndarray, "h w c"], prediction: Any) -> UInt8[ndarray, "h2 w2 3"]:
        """The photo with label and score on a dark strip along its lower edge."""
        return captioned(pixels, f"{prediction.label} {prediction.score:.2f}")

    def save(self, prediction: AbstractPrediction, path: Path) -> None:
        """Refused: a label is a word."""
        raise UsageError("--save has no effect where the task is to classify: --json or --csv give the labels.")

    def views(self, pixels: Any, target: Any, prediction: AbstractPrediction) -> Sequence[tuple[str, Any]]:
        """The photo alone."""
        return [("photo", pixels)]


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


TASKS = {"classify": Classify}
