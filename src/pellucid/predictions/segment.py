"""Segmentation: the class of every pixel of one photo."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.class_table import BACKGROUND
from pellucid.data.masks import IGNORE
from pellucid.drawing import enlarged, legend, overlaid, palette
from pellucid.errors import UsageError
from pellucid.image import write_image, write_palette_image
from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction, View
from pellucid.preprocess import resize_nearest
from pellucid.types import Frame

__all__ = ["POSTPROCESSES", "UNKNOWN", "ClassMask", "MaskPostprocess"]

UNKNOWN = (224, 224, 192)
"""The colour of ignored pixels in the PASCAL VOC masks."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassMask(AbstractPrediction):
    """The class index of every pixel of one photo; `scores` holds the mean score of each class's pixels, 0 without."""

    classes: tuple[str, ...]
    labels: UInt8[ndarray, "h w"]
    scores: tuple[float, ...]

    def pixels(self) -> tuple[int, ...]:
        """Pixels by class."""
        return tuple(np.bincount(self.labels.ravel(), minlength=len(self.classes)).tolist())

    def to_json(self) -> dict[str, Any]:
        """The size and, of each class that occurs, its pixels, their share and their mean score."""
        height, width = self.labels.shape
        rows = zip(self.classes, self.pixels(), self.scores, strict=True)
        areas = {
            name: {"pixels": pixels, "share": pixels / self.labels.size, "score": score}
            for name, pixels, score in rows
            if pixels
        }
        return {"height": height, "width": width, "areas": areas}

    def to_row(self) -> dict[str, str | float]:
        """The share of each class."""
        shares = (pixels / self.labels.size for pixels in self.pixels())
        return dict(zip(self.classes, shares, strict=True))

    def text(self) -> str:
        """The classes that occur, the largest first: `Road 30.8%, Sky 17.2%`."""
        found = sorted(((share, name) for name, share in self.to_row().items() if share), reverse=True)
        return ", ".join(f"{name} {share:.1%}" for share, name in found)

    def arrays(self) -> dict[str, ndarray]:
        """`labels`, uint8 H W."""
        return {"labels": self.labels}


@dataclass(frozen=True, slots=True)
class MaskPostprocess(AbstractPostprocess):
    """Labels and scores of network pixels to `ClassMask`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes: a row holds their shares."""
        return self.classes

    @property
    def tensors(self) -> tuple[dict[str, Any], ...]:
        """`labels`."""
        return ({"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]},)

    def adjusted(self, *, threshold: float | None = None, agnostic: bool = False) -> "MaskPostprocess":
        """Itself; any adjustment is refused."""
        if threshold is None and not agnostic:
            return self
        flag = "--agnostic" if threshold is None else "--threshold"
        raise UsageError(f"{flag} has no effect where the task is to segment: every pixel gets its likeliest class.")

    def prediction(self, decoded: Mapping[str, ndarray], frame: Frame) -> ClassMask:
        """The class of every pixel of the photo: that of the network pixel its centre falls on."""
        labels, probs = decoded["labels"], decoded["scores"]
        pixels, sums = np.zeros((2, len(self.classes)))
        for classes, row in zip(labels, probs, strict=True):
            pixels += np.bincount(classes, minlength=len(pixels))
            sums += np.bincount(classes, weights=row, minlength=len(pixels))
        scores = sums / np.maximum(pixels, 1)
        return ClassMask(self.classes, resize_nearest(labels, frame.photo), tuple(scores.tolist()))

    def merged(self, views: Iterable[View]) -> AbstractPrediction:
        """Refused: large photos go through a segmenter in tiles anyway."""
        raise UsageError("--tiles has no effect where the task is to segment: large photos go in tiles anyway.")

    def draw(
        self, pixels: UInt8[ndarray, "h w c"], prediction: ClassMask, *, steady: bool = False
    ) -> UInt8[ndarray, "h2 w2 3"]:
        """The photo under the colours of its classes, over a legend of those that occur; a `steady` one has two lines,
        beginning with the largest."""
        colors, counts = self.colors(), prediction.pixels()
        shown = [at for at, count in enumerate(counts) if count and colors[at].any()]
        if steady:
            shown.sort(key=lambda at: -counts[at])
        entries = [(self.classes[at], colors[at]) for at in shown]
        picture = overlaid(enlarged(pixels), enlarged(prediction.labels), colors)
        return legend(picture, entries, rows=2 if steady else None)

    def save(self, prediction: ClassMask, path: Path) -> None:
        """The mask in class indices, and beside it in colours (`photo.png`, `photo-color.png`), both with one byte a
        pixel: the second holds the indices of its palette."""
        write_image(path, prediction.labels)
        write_palette_image(path.with_stem(f"{path.stem}-color"), prediction.labels, self.colors())

    def colors(self) -> UInt8[ndarray, "256 3"]:
        """The colour of every value of a mask; black is left for the background."""
        first = 0 if self.classes[0].lower() == BACKGROUND else 1
        colors = palette(256 + first)[first:]
        colors[IGNORE] = UNKNOWN
        return colors


POSTPROCESSES = {"segment": MaskPostprocess}
