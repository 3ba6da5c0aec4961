"""How good a model is on a split of a dataset, with intervals; and whether one model is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pellucid.catalog import find
from pellucid.data.cache import Decoded, decode
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.loader import Loader
from pellucid.errors import DataError, UsageError
from pellucid.models.base import AbstractModel
from pellucid.network import Predictor
from pellucid.prediction import load
from pellucid.preprocess import Preprocess
from pellucid.ranks import ALONE, Ranks
from pellucid.runtime.predictor import ExportedPredictor
from pellucid.tasks.base import AbstractMetric, AbstractTask, Scores
from pellucid.tiling import decoded

__all__ = [
    "Evaluation",
    "Judged",
    "cut_of",
    "evaluate",
    "evaluation_of",
    "judge",
    "match_classes",
    "measure",
]


Judgeable = Predictor | ExportedPredictor


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one model on one split; `refused` counts images that could not be read."""

    task: str
    split: str
    scores: Scores
    refused: int
    comparison: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; what only this task has stands beside the common figures."""
        scores = self.scores
        common = {
            "task": self.task,
            "split": self.split,
            "count": scores.count,
            "refused": self.refused,
            "metrics": scores.metrics,
            "intervals": {name: list(interval) for name, interval in scores.intervals.items()},
            "per_class": list(scores.per_class),
        }
        compared = {} if self.comparison is None else {"comparison": self.comparison}
        return {**common, **scores.details, **compared}


@dataclass(frozen=True, slots=True)
class Judged:
    """The metric of one model over one split, and the images it read, in the order they were added."""

    metric: AbstractMetric
    decoded: Decoded


def evaluate(
    model: str | Path | Judgeable,
    data: str | Path | Dataset,
    *,
    split: str = "test",
    format: str | None = None,
    against: str | Path | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Judge a model file or an exported file on a split, in the model's own preprocessing; a model file in fp32.

    `format` names the data's format where it cannot be told. Splits that the data does not have are cut as the model's
    own training cut them, so that no image it learnt from is in its test. `against` is a second model, compared image
    by image on the same split. Several `ranks` judge some of the images each.
    """
    predictor = load(model) if isinstance(model, str | Path) else model
    dataset = data if isinstance(data, Dataset) else open_dataset(data, format, **cut_of(predictor))
    judged = judge(predictor, dataset, split, ranks=ranks)
    comparison = None if against is None else _compare(judged, _rival(load(against), predictor, dataset, split, ranks))
    return evaluation_of(dataset.task, split, judged, comparison)


def cut_of(predictor: Judgeable) -> dict[str, Any]:
    """How the training of a model cut missing splits: seed and shares; nothing for weights from elsewhere."""
    trained = predictor.manifest.origin.get("trained", {})
    names = {"seed": "split_seed", "val": "val", "test": "test"}
    return {name: trained[saved] for name, saved in names.items() if saved in trained}


def _rival(other: Judgeable, predictor: Judgeable, dataset: Dataset, split: str, ranks: Ranks) -> Judged:
    cut = cut_of(other)
    if dataset.made and cut and cut != cut_of(predictor):
        raise UsageError(
            f"The two models were trained on other cuts of the data ({cut} and {cut_of(predictor)}), so one has "
            f"learnt from images of the other's {split} split. Compare them on data with a split of its own."
        )
    return judge(other, dataset, split, ranks=ranks)


def judge(
    predictor: Judgeable, dataset: Dataset, split: str, *, cap: int | None = None, ranks: Ranks = ALONE
) -> Judged:
    """Run a model over a split, in its own preprocessing, in torch in fp32; `cap` is that of `decode`."""
    if dataset.task != predictor.manifest.task:
        raise UsageError(
            f"The model is for {predictor.manifest.task!r}; {dataset.root} is labelled for {dataset.task!r}."
        )
    task = _task(predictor)
    dataset = match_classes(dataset, task)
    preprocess = predictor.manifest.preprocess
    with ranks.main_first():
        images = decode(dataset, split, preprocess, dataset.digests(), cap=cap)
    if not images.records:
        raise DataError(f"No image of the {split!r} split of {dataset.root} can be read. See `pellucid check`.")
    loader = Loader(images, task)
    if isinstance(predictor, Predictor):
        return Judged(measure(predictor.model, task, loader, preprocess, "fp32", ranks=ranks), images)
    return Judged(_measure_exported(predictor, task, loader, ranks), images)


def _task(predictor: Judgeable) -> AbstractTask:
    if isinstance(predictor, Predictor):
        return predictor.task
    manifest = predictor.manifest
    task: AbstractTask = find("TASKS", manifest.task)(manifest.classes, learnt=manifest.learnt)
    return task


def _measure_exported(predictor: ExportedPredictor, task: AbstractTask, loader: Loader, ranks: Ranks) -> AbstractMetric:
    metric = task.metric()
    for batch in loader.in_order(ranks.rank, ranks.count):
        found = predictor.decoded(batch.images.permute(0, 2, 3, 1).contiguous().numpy())
        metric.add({name: torch.from_numpy(value) for name, value in found.items()}, batch.targets)
    return _joined(metric, task.metric(), ranks)


def evaluation_of(task: str, split: str, judged: Judged, comparison: dict[str, Any] | None = None) -> Evaluation:
    """The figures of what was judged."""
    return Evaluation(task, split, judged.metric.scores(), len(judged.decoded.refused), comparison)


def measure(
    model: AbstractModel,
    task: AbstractTask,
    loader: Loader,
    preprocess: Preprocess,
    precision: str | None,
    *,
    brief: bool = False,
    ranks: Ranks = ALONE,
) -> AbstractMetric:
    """The task's metric over every image of a loader; a `brief` one knows its headline and no more.

    Several `ranks` judge some each, and all have the rows of all.
    """
    metric = task.suited(model).metric(brief=brief)
    model.eval()
    for batch in loader.in_order(ranks.rank, ranks.count):
        metric.add(decoded(model, task, preprocess, batch.images, precision), batch.targets)
    return _joined(metric, task.suited(model).metric(brief=brief), ranks)


def _joined(own: AbstractMetric, empty: AbstractMetric, ranks: Ranks) -> AbstractMetric:
    """With the rows of all ranks, in the order of the images."""
    if ranks.count == 1:
        return own
    for rows in ranks.gathered(own.rows()):
        if rows:
            empty.add_rows(rows)
    return empty


def match_classes(dataset: Dataset, task: AbstractTask) -> Dataset:
    """The dataset with its labels renumbered to the model's classes, matched by name.

    Names that are mere numbers (IDX files hold no others) are matched by position where the counts agree.
    """
    if dataset.classes == task.classes:
        return dataset
    if len(dataset.classes) == len(task.classes) and all(name.isdigit() for name in dataset.classes):
        return dataset.renamed(task.classes, lambda label: label)
    unknown = [name for name in dataset.classes if name not in task.classes]
    if unknown:
        raise UsageError(
            f"The data has classes the model does not know: {_shortened(unknown)}. "
            f"The model knows: {_shortened(task.classes)}."
        )
    places = [task.classes.index(name) for name in dataset.classes]
    return dataset.renamed(task.classes, lambda label: task.renumbered(label, places))


def _shortened(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _compare(judged: Judged, rival: Judged) -> dict[str, Any]:
    if _names(judged) != _names(rival):
        raise DataError("The two models read different images; they cannot be compared image by image.")
    name, value = judged.metric.headline()
    difference = judged.metric.compared(rival.metric)
    return {
        "metric": name,
        "value": value,
        "against": rival.metric.headline()[1],
        "difference": difference.value,
        "interval": list(difference.interval),
        "p": difference.p,
    }


def _names(judged: Judged) -> list[str]:
    return [record.name for record in judged.decoded.records]
