"""A network and what was exported of it, on the same images: how far apart they are, and what either is worth."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.dataset import Dataset
from pellucid.data.masks import AbstractMask
from pellucid.errors import DataError, ImageError, UsageError
from pellucid.export.base import AbstractDraft
from pellucid.export.deployable import Deployable
from pellucid.metrics.detection import Detections
from pellucid.network import Predictor
from pellucid.predictions.detect import THRESHOLD
from pellucid.runtime.agreement import BOUNDS, NARROW_BOUNDS, Figure, Results, agreement
from pellucid.runtime.engines import AbstractEngine
from pellucid.runtime.predictor import as_arrays
from pellucid.tasks.base import AbstractMetric, AbstractTask, arrays
from pellucid.tasks.box_metric import BoxMetric
from pellucid.tasks.class_metric import ClassMetric
from pellucid.tasks.detect import JUDGED_SCORE
from pellucid.types import Frame, Record

__all__ = ["Comparison", "Sample", "compared", "metric_over", "network_results", "samples_of"]

Sample = tuple[UInt8[ndarray, "h w c"], Any]
"""Network pixels, and the targets of the image."""
MOST_IMAGES = 256
"""Images that are compared at most: of more, those at even distances."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far apart network and file were on so many images of a split; `metric` is that of the network."""

    images: int
    figures: tuple[Figure, ...]
    metric: tuple[str, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        metric = {} if self.metric is None else {"metric": {self.metric[0]: self.metric[1]}}
        return {"images": self.images, "figures": [figure.to_json() for figure in self.figures], **metric}


@torch.inference_mode()
def decoded_by(predictor: Predictor, photo: UInt8[ndarray, "h w c"]) -> dict[str, torch.Tensor]:
    """A network's decoded outputs for a photo, the whole of it at once, in float32 as it was trained."""
    pixels = torch.from_numpy(predictor.preprocess.pixels(photo)[None])
    return Deployable(predictor.model, predictor.preprocess)(pixels)


def network_results(
    predictor: Predictor, images: UInt8[ndarray, "n h w c"], threshold: float | None = None
) -> list[Results]:
    """What pellucid says of photos of one size."""
    postprocess = predictor.postprocess
    if threshold is not None:
        postprocess = postprocess.adjusted(threshold=threshold)
    found = []
    for photo in images:
        decoded = arrays(decoded_by(predictor, photo))
        one = {name: value[0] for name, value in decoded.items()}
        found.append(as_arrays(postprocess.prediction(one, predictor.preprocess.frame(*photo.shape[:2]))))
    return found


def compared(
    predictor: Predictor, draft: AbstractDraft, dataset: Dataset, split: str, *, narrow: bool = False
) -> Comparison:
    """Both on the images of a split, with the metric over them; the network in fp32.

    Of a `narrow` draft, which is another function than the network, nothing but the metric is asked, and only loss.
    """
    task = predictor.task
    metrics = task.metric(brief=True), task.metric(brief=True)
    expected, found = [], []
    boxes = task.name == "detect"
    for record, photo in _readable(dataset, _sample(dataset.split(split), MOST_IMAGES)):
        images = _in_color(photo)[None]
        expected += network_results(predictor, photo[None])
        found += draft.results(images)
        targets = _targets(predictor, dataset, record, photo)
        metrics[0].add(decoded_by(predictor, photo), targets)
        _add(metrics[1], draft.results(images, JUDGED_SCORE)[0] if boxes else found[-1], targets)
    if not expected:
        raise DataError(f"No image of the {split!r} split of {dataset.root} can be read. See `pellucid check`.")
    figures = agreement(expected, found, task.learnt.get("threshold", THRESHOLD) if boxes else 0.0)
    headlines = _headlines(metrics)
    if headlines is None:
        return Comparison(len(expected), tuple(figures))
    name, first, second = headlines
    remark = f": {name} {first:.4f} and {second:.4f}"
    if narrow:
        figures = [Figure("metric", max(0.0, first - second), NARROW_BOUNDS["metric"], remark)]
    else:
        figures.append(Figure("metric", abs(first - second), BOUNDS["metric"], remark))
    return Comparison(len(expected), tuple(figures), (name, first))


def samples_of(predictor: Predictor, dataset: Dataset, split: str, most: int = MOST_IMAGES) -> list[Sample]:
    """Images of a split in network pixels, as many at most, with their targets."""
    return [
        (predictor.preprocess.pixels(photo), _targets(predictor, dataset, record, photo))
        for record, photo in _readable(dataset, _sample(dataset.split(split), most))
    ]


def metric_over(task: AbstractTask, engine: AbstractEngine, samples: Iterable[Sample]) -> float:
    """The metric over samples with the network in an engine."""
    metric = task.metric(brief=True)
    for pixels, targets in samples:
        found = {name: torch.from_numpy(value) for name, value in engine.decoded(pixels[None]).items()}
        metric.add(found, targets)
    return metric.headline()[1]


def _sample(records: Sequence[Record], most: int) -> list[Record]:
    count = min(most, len(records))
    return [records[place * len(records) // count] for place in range(count)]


def _readable(dataset: Dataset, records: Sequence[Record]) -> Iterator[tuple[Record, UInt8[ndarray, "h w c"]]]:
    for record in records:
        try:
            photo = dataset.image(record).pixels
            if isinstance(record.label, AbstractMask):
                record.label.read(dataset.root, photo.shape[:2])
        except ImageError:  # in the ledger, and refused by `evaluate`, too
            continue
        yield record, photo


def _in_color(photo: UInt8[ndarray, "h w c"]) -> UInt8[ndarray, "h w 3"]:
    return np.repeat(photo, 3, axis=2) if photo.shape[2] == 1 else photo


def _targets(predictor: Predictor, dataset: Dataset, record: Record, photo: UInt8[ndarray, "h w c"]) -> Any:
    """The targets of one image, in the photo's own pixels where they have a place."""
    frame: Frame = predictor.preprocess.frame(*photo.shape[:2])
    masks = None
    if isinstance(record.label, AbstractMask):
        masks = torch.from_numpy(record.label.read(dataset.root, photo.shape[:2])[None])
    return predictor.task.collate([record], [frame], masks)


def _add(metric: AbstractMetric, results: Results, targets: Any) -> None:
    """Take an image's results into the metric of its task."""
    if isinstance(metric, BoxMetric):
        found = Detections(results["xyxy"].astype(np.float64), results["scores"].astype(np.float64), results["labels"])
        metric.add_images([found], targets.boxes)
    elif isinstance(metric, ClassMetric):
        logits = np.log(np.maximum(results["probs"], np.finfo(np.float32).tiny))
        metric.add({"logits": torch.from_numpy(logits[None])}, targets)
    else:
        metric.add({"labels": torch.from_numpy(results["labels"][None])}, targets)


def _headlines(metrics: Sequence[AbstractMetric]) -> tuple[str, float, float] | None:
    """The metric's name and both values; None where the images have nothing that counts."""
    try:
        (name, first), (_, second) = (metric.headline() for metric in metrics)
    except UsageError:
        return None
    return name, first, second
