"""A model on the images of its data, one by one: the loss of each, and what was taken for what."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor

from pellucid.config import TrainConfig
from pellucid.data.cache import Decoded, decode
from pellucid.inspection.mixups import agreement
from pellucid.metrics.counts import confusion_matrix
from pellucid.network import Predictor, load_predictor
from pellucid.preprocess import resize_nearest
from pellucid.studio.photos import Split

__all__ = ["Judged", "Progress", "judged"]

MOST = 1000
"""Images that are judged; of more, so many are spread evenly over the split."""


@dataclass(slots=True)
class Progress:
    """How many images of how many are judged; who sets `stopped` gets what is judged by then."""

    done: int = 0
    images: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Mistake:
    """An image by its number in the split: its loss, what is said of it, and how often which class (row) was taken
    for which (column)."""

    image: int
    loss: float
    said: str
    pairs: dict[tuple[int, int], int]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """All images that were judged, the largest loss first; `confusion` counts images, pixels or objects."""

    rows: tuple[Mistake, ...]
    confusion: Int[ndarray, "classes classes"]
    refused: int

    def of_cell(self, row: int, column: int) -> list[Mistake]:
        """The images that a cell of the confusion counts, those that it counts most first."""
        found = [one for one in self.rows if one.pairs.get((row, column))]
        return sorted(found, key=lambda one: -one.pairs[row, column])


@torch.inference_mode()
def judged(model: Any, photos: Split, progress: Progress) -> Judged:
    """The split through a model of its own, which nobody else asks meanwhile; `progress` is told of every image."""
    predictor = load_predictor(model, "cpu")
    numbers = {record.name: at for at, record in enumerate(photos.dataset.split(photos.split))}
    images = decode(photos.dataset, photos.split, predictor.preprocess, photos.dataset.digests())
    count = min(MOST, len(images.records))
    progress.images = count
    rows, confusion = [], np.zeros((len(predictor.task.classes),) * 2, np.int64)
    for at in range(count):
        if progress.stopped:
            break
        position = at * len(images.records) // count
        one, counts = _judge(predictor, images, position, numbers[images.records[position].name])
        rows.append(one)
        confusion += counts
        progress.done += 1
    rows.sort(key=lambda one: -one.loss)
    return Judged(tuple(rows), confusion, len(images.refused))


def _judge(predictor: Predictor, images: Decoded, position: int, number: int) -> tuple[Mistake, ndarray]:
    model, task, classes = predictor.model, predictor.task, len(predictor.task.classes)
    pixels, mask = images.pixels.one(position)
    frame = images.frames([position])[0]
    x = predictor.preprocess.normalise(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None])
    outputs = model(x)
    decoded = model.decode(outputs)
    masks = None if mask is None else torch.from_numpy(resize_nearest(mask, frame.network).copy())[None]
    targets = task.collate([images.records[position]], [frame], masks)
    loss = sum(float(term) for term in model.loss(outputs, task.soften(targets, TrainConfig())).values())
    counts = _counts(decoded, targets, classes)
    first = {name: value[0].numpy() for name, value in decoded.items()}
    said = predictor.postprocess.prediction(first, frame).text().splitlines()[0]
    pairs = {(int(row), int(column)): int(counts[row, column]) for row, column in np.argwhere(counts)}
    return Mistake(number, loss, said, pairs), counts


def _counts(decoded: dict[str, Tensor], targets: Any, classes: int) -> Int[ndarray, "classes classes"]:
    """By target (row) and prediction (column)."""
    if "logits" in decoded:
        return confusion_matrix(targets.numpy(), decoded["logits"].argmax(dim=1).numpy(), classes)
    return agreement(decoded, targets, classes)
