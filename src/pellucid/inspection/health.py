"""The examination of a trained network: of its weights alone, and on images with labels.

    pellucid health run/model.safetensors --data data

What is looked at: `filters` (of zeros, or each other's double), `activity` (channels that never fire, batch norms that
do not fit), `gradients` (vanishing or exploding), `classes` (ids mixed up), `preprocess` (another way is much better).
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.config import TrainConfig
from pellucid.data.cache import decode
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.loader import Loader
from pellucid.errors import DataError, UsageError
from pellucid.evaluation import cut_of, match_classes
from pellucid.inspection.activity import activity_findings, activity_of
from pellucid.inspection.filters import filter_findings
from pellucid.inspection.findings import Finding, HealthReport
from pellucid.inspection.gradients import gradient_findings, gradient_sizes
from pellucid.inspection.mixups import agreement, mixup_findings
from pellucid.inspection.rivals import rival_findings, rivals
from pellucid.network import Predictor, load_predictor
from pellucid.tasks.base import AbstractMetric
from pellucid.tiling import decoded

__all__ = ["EXAMINATIONS", "health_of"]

LEARNT_FROM = 8
"""Images whose loss is followed back: a gradient needs no more to be told apart by orders of magnitude."""
AT_ONCE = 16

Found = tuple[list[Finding], list[str]]


@dataclass(frozen=True, slots=True, eq=False)
class _Patient:
    """The network with images of a split, and what it made of them."""

    predictor: Predictor
    loader: Loader
    metric: AbstractMetric
    confusion: np.ndarray


def health_of(
    model: str | Path,
    data: str | Path | None = None,
    *,
    split: str = "val",
    images: int = 128,
    format: str | None = None,
    only: str | None = None,
) -> HealthReport:
    """The findings on a model file; without data, of its weights alone.

    Of the split, so many images are looked at, spread over it evenly. `only` is one of the examinations.
    """
    if only is not None and only not in EXAMINATIONS:
        raise UsageError(f"--only {only!r}: there is {', '.join(EXAMINATIONS)}.")
    predictor = load_predictor(model, "cpu")
    wanted = [name for name in EXAMINATIONS if only in (None, name)]
    if data is None:
        if only not in (None, "filters"):
            raise UsageError(f"--only {only} needs images. Give a dataset with --data.")
        return _report(str(model), ("", 0), {"filters": filter_findings(predictor.model)}, f"pellucid health {model}")
    patient = _patient(predictor, open_dataset(data, format, **cut_of(predictor)), split, images)
    found = {name: EXAMINATIONS[name](patient) for name in wanted}
    again = f"pellucid health {model} --data {data} --split {split} --images {images}"
    again += f" --format {format}" if format else ""
    return _report(str(model), (f"{data} ({split})", len(patient.loader)), found, again)


def _report(model: str, looked: tuple[str, int], found: dict[str, Found], command: str) -> HealthReport:
    findings = [
        dataclasses.replace(finding, command=f"{command} --only {name}")
        for name, (each, _) in found.items()
        for finding in each
    ]
    findings.sort(key=lambda finding: finding.level != "error")
    return HealthReport(model, *looked, tuple(findings), tuple(text for _, well in found.values() for text in well))


def _patient(predictor: Predictor, dataset: Dataset, split: str, images: int) -> _Patient:
    manifest, task = predictor.manifest, predictor.task
    if dataset.task != manifest.task:
        raise UsageError(f"The model is for {manifest.task!r}; {dataset.root} is labelled for {dataset.task!r}.")
    dataset = match_classes(dataset, task)
    records = dataset.split(split)
    chosen = tuple(records[at * len(records) // images] for at in range(images)) if len(records) > images else records
    dataset = dataclasses.replace(dataset, splits={split: chosen})
    pixels = decode(dataset, split, manifest.preprocess, dataset.digests())
    if not pixels.records:
        raise DataError(f"No image of the {split!r} split of {dataset.root} can be read. See `pellucid check`.")
    loader, metric = Loader(pixels, task), task.metric(brief=True)
    confusion = np.zeros((len(task.classes), len(task.classes)), np.int64)
    for batch in loader.in_order():
        outputs = decoded(predictor.model, task, manifest.preprocess, batch.images, "fp32")
        metric.add(outputs, batch.targets)
        confusion += agreement(outputs, batch.targets, len(task.classes))
    return _Patient(predictor, loader, metric, confusion)


def _filters(patient: _Patient) -> Found:
    return filter_findings(patient.predictor.model)


def _activity(patient: _Patient) -> Found:
    return activity_findings(activity_of(patient.predictor.model, _views(patient)))


def _views(patient: _Patient) -> Iterator[Tensor]:
    """Normalised images, few at once: every layer is looked at while they are in it."""
    for batch in patient.loader.in_order():
        for part in batch.images.split(AT_ONCE):
            yield patient.predictor.preprocess.normalise(part).contiguous(memory_format=torch.channels_last)


def _gradients(patient: _Patient) -> Found:
    """Of some images, brought to the size that it was trained at, as in training."""
    predictor, task = patient.predictor, patient.predictor.task
    loader = Loader(patient.loader.decoded, task, min(LEARNT_FROM, len(patient.loader)))
    batch = loader.at(0)
    still = torch.eye(2, 3).expand(len(batch.images), 2, 3)
    targets = task.soften(task.move(batch.targets, still, tuple(batch.images.shape[2:])), TrainConfig())
    x = predictor.preprocess.normalise(batch.images)
    return gradient_findings(gradient_sizes(predictor.model, x, targets))


def _classes(patient: _Patient) -> Found:
    return mixup_findings(patient.confusion, patient.predictor.task.classes)


def _preprocess(patient: _Patient) -> Found:
    predictor = patient.predictor
    mean, std = _of_images(patient)
    ways = rivals(predictor.preprocess, mean, std)
    return rival_findings(predictor.model, predictor.task, patient.loader, patient.metric, ways)


def _of_images(patient: _Patient) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of the images' channels, of values from 0 to 1."""
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for batch in patient.loader.in_order():
        values = batch.images.double() / 255
        total, squares = total + values.sum((0, 2, 3)), squares + (values**2).sum((0, 2, 3))
        count += values.numel() // values.shape[1]
    mean = total / count
    std = (squares / count - mean**2).clamp(min=1e-6).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())


EXAMINATIONS: dict[str, Callable[[Any], Found]] = {
    "filters": _filters,
    "activity": _activity,
    "gradients": _gradients,
    "classes": _classes,
    "preprocess": _preprocess,
}
