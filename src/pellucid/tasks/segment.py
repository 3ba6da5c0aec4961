"""Segmentation: the class of every pixel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.config import TrainConfig
from pellucid.data.augment import tiled, warp
from pellucid.data.class_table import BACKGROUND
from pellucid.data.masks import IGNORE
from pellucid.drawing import legend, overlaid, palette
from pellucid.errors import UsageError
from pellucid.image import write_image, write_palette_image
from pellucid.preprocess import Preprocess, resize_nearest
from pellucid.tasks.base import AbstractPrediction, AbstractTask, Candidate
from pellucid.tasks.mask_metric import MaskMetric
from pellucid.types import Frame, Record, Tile

__all__ = ["TASKS", "ClassMask", "Segment"]


UNKNOWN = (224, 224, 192)  # the colour of ignored pixels in the PASCAL VOC masks
RIGHT, WRONG = (48, 48, 48), (213, 94, 0)


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


@dataclass(frozen=True, slots=True)
class Segment(AbstractTask):
    """The class of every pixel."""

    name: ClassVar[str] = "segment"
    idle: ClassVar[tuple[str, ...]] = ("shift", "mixup", "cutmix", "mosaic", "multi_scale")
    unit: ClassVar[str] = "pixels"
    pieces: ClassVar[bool] = True
    passes: ClassVar[float] = 0.5  # every pixel is labelled, so a pass teaches more
    mirrors: ClassVar[bool] = True
    mistakes_title: ClassVar[str] = "Worst images"

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes: a row holds their shares."""
        return self.classes

    def usual(self, side: int) -> tuple[str, str]:
        """`fcn_compact`, whatever the side."""
        return "fcn_compact", "small, and trained from scratch it learns most a second"

    def arguments(self, model: str, side: int, images: int) -> dict[str, Any]:
        """None: networks for any size need not know it."""
        return {}

    def ladder(self, side: int) -> list[Candidate]:
        """`fcn_compact` in widths."""
        return [Candidate("fcn_compact", {"width": width}, min(side, 256)) for width in (16, 24, 32, 48, 64)]

    def preprocess(self, settings: TrainConfig, channels: int, *, one_size: bool) -> Preprocess:
        """Photos go in whole, at their own size or a share of it."""
        side = settings.size or 0
        mean, std = (0.5,) * channels, (0.25,) * channels
        return Preprocess((side, side), "scale", channels, mean, std, scale=settings.scale or 1.0)

    def defaults(self, settings: TrainConfig) -> Mapping[str, tuple[float, str]]:
        """Pieces of half to double the network's view, in changing light."""
        return {
            "smoothing": (0.0, "every pixel has neighbours that say how sure one can be"),
            "color": (0.4, "light changes more between photos than within few of them"),
            "shift": (0.0, "pieces lie anywhere already"),
            "zoom": (0.7, "pieces of 70 to 143 % of the network's view"),
            "dice": (0.5, "for classes of few pixels"),
        }

    def collate(
        self, records: Sequence[Record], frames: Sequence[Frame], masks: UInt8[Tensor, "n h w"] | None
    ) -> UInt8[Tensor, "n h w"]:
        """The masks."""
        if masks is None:
            raise UsageError("To segment, every image needs a mask.")
        return masks

    def totals(self, records: Sequence[Record], marks: Int[ndarray, "n _"]) -> tuple[int, ...]:
        """Pixels by class."""
        return tuple(marks.sum(axis=0).tolist()) or (0,) * len(self.classes)

    def renumbered(self, label: Any, places: Sequence[int]) -> Any:
        """The mask under the new indices."""
        return label.renumbered(places)

    def soften(self, targets: UInt8[Tensor, "n h w"], settings: TrainConfig) -> dict[str, Tensor]:
        """What `AbstractSegmenter.loss` wants: labels, the weight of every pixel, and the shares of loss terms."""
        labels = targets.long()
        ignored = labels == IGNORE
        labels = labels.masked_fill(ignored, 0)
        weight = self._weights(settings).to(labels.device)[labels].masked_fill(ignored, 0.0)
        count = len(targets)
        return {
            "labels": labels,
            "weight": weight,
            "smoothing": torch.full((count,), settings.smoothing or 0.0),
            "dice": torch.full((count,), settings.dice or 0.0),
        }

    def _weights(self, settings: TrainConfig) -> Float[Tensor, " classes"]:
        """1 for every class, or balanced: `pixels / (classes that occur · pixels of the class)`."""
        if settings.class_weights == "none":
            return torch.ones(len(self.classes))
        if self.counts is None:
            raise UsageError("Balanced class weights need the training images: use task.counted first.")
        found = torch.tensor(self.counts, dtype=torch.float64)
        return (found.sum() / (found > 0).sum() / found.clamp(min=1)).float()

    def move(
        self, targets: UInt8[Tensor, "n h w"], matrices: Float[Tensor, "n 2 3"], size: tuple[int, int]
    ) -> UInt8[Tensor, "n rows columns"]:
        """The masks moved as the images are; each pixel takes the class of the nearest one."""
        return warp(targets[:, None].float(), matrices, size, mode="nearest")[:, 0].to(torch.uint8)

    def tile(self, targets: UInt8[Tensor, "n h w"], order: Int[Tensor, "n 4"]) -> UInt8[Tensor, "n h2 w2"]:
        """The masks side by side as the images are."""
        return tiled(targets[:, None], order)[:, 0]

    def mix(self, targets: Any, order: Tensor, share: Tensor) -> Any:
        """Refused: no pixel belongs to two images."""
        raise UsageError("--mixup and --cutmix have no effect where the task is to segment. Leave them out.")

    def metric(self, *, brief: bool = False) -> MaskMetric:
        """An empty metric; a `brief` one leaves out the boundaries."""
        return MaskMetric(self.classes, brief=brief)

    def assemble(
        self, parts: Iterable[dict[str, Tensor]], tiles: Sequence[Tile], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Each tile's own part, side by side."""
        whole: dict[str, Tensor] = {}
        for part, tile in zip(parts, tiles, strict=True):
            top, left, bottom, right = tile.own
            rows = slice(top - tile.seen[0], bottom - tile.seen[0])
            columns = slice(left - tile.seen[1], right - tile.seen[1])
            for name, value in part.items():
                if name not in whole:
                    whole[name] = value.new_zeros((len(value), *size))
                whole[name][:, top:bottom, left:right] = value[:, rows, columns]
        return whole

    def prediction(self, decoded: dict[str, Tensor], frame: Frame) -> ClassMask:
        """The class of every pixel of the photo: that of the network pixel its centre falls on."""
        labels, probs = decoded["labels"].cpu().numpy(), decoded["scores"].cpu().numpy()
        pixels, sums = np.zeros((2, len(self.classes)))
        for classes, row in zip(labels, probs, strict=True):
            pixels += np.bincount(classes, minlength=len(pixels))
            sums += np.bincount(classes, weights=row, minlength=len(pixels))
        scores = sums / np.maximum(pixels, 1)
        return ClassMask(self.classes, resize_nearest(labels, frame.photo), tuple(scores.tolist()))

    def draw(self, pixels: UInt8[ndarray, "h w c"], prediction: Any) -> UInt8[ndarray, "h2 w2 3"]:
        """The photo under the colours of its classes, over a legend of those that occur."""
        colors = self.colors()
        entries = [
            (name, color)
            for name, count, color in zip(self.classes, prediction.pixels(), colors, strict=False)
            if count and color.any()
        ]
        return legend(overlaid(pixels, prediction.labels, colors), entries)

    def save(self, prediction: Any, path: Path) -> None:
        """The mask in class indices, and beside it in colours (`photo.png`, `photo-color.png`), both with one byte a
        pixel: the second holds the indices of its palette."""
        write_image(path, prediction.labels)
        write_palette_image(path.with_stem(f"{path.stem}-color"), prediction.labels, self.colors())

    def views(
        self, pixels: UInt8[ndarray, "h w c"], target: UInt8[ndarray, "h w"], prediction: Any
    ) -> Sequence[tuple[str, UInt8[ndarray, "h w c2"]]]:
        """Photo, target, prediction, and where they differ: orange; ignored pixels are pale."""
        colors = self.colors()
        wrong = (prediction.labels != target).astype(np.uint8)
        wrong[target == IGNORE] = 2
        errors = np.array([RIGHT, WRONG, UNKNOWN], np.uint8)[wrong]
        return [
            ("photo", pixels),
            ("target", colors[target]),
            ("prediction", colors[prediction.labels]),
            ("errors", errors),
        ]

    def colors(self) -> UInt8[ndarray, "256 3"]:
        """The colour of every value of a mask; black is left for the background."""
        first = 0 if self.classes[0].lower() == BACKGROUND else 1
        colors = palette(256 + first)[first:]
        colors[IGNORE] = UNKNOWN
        return colors


TASKS = {"segment": Segment}
