"""Segmentation: the class of every pixel."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.config import TrainConfig
from pellucid.data.augment import tiled, warp
from pellucid.data.masks import IGNORE
from pellucid.errors import UsageError
from pellucid.predictions.segment import UNKNOWN, MaskPostprocess
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask, Candidate
from pellucid.tasks.mask_metric import MaskMetric
from pellucid.types import Frame, Record, Tile

__all__ = ["TASKS", "Segment"]

RIGHT, WRONG = (48, 48, 48), (213, 94, 0)


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
    def postprocess(self) -> MaskPostprocess:
        """Labels and scores of network pixels to `ClassMask`."""
        return MaskPostprocess(self.classes, self.learnt)

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
        """1 for every class, or balanced."""
        return torch.ones(len(self.classes)) if settings.class_weights == "none" else self.balance()

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

    def views(
        self, pixels: UInt8[ndarray, "h w c"], target: UInt8[ndarray, "h w"], prediction: Any
    ) -> Sequence[tuple[str, UInt8[ndarray, "h w c2"]]]:
        """Photo, target, prediction, and where they differ: orange; ignored pixels are pale."""
        colors = self.postprocess.colors()
        wrong = (prediction.labels != target).astype(np.uint8)
        wrong[target == IGNORE] = 2
        errors = np.array([RIGHT, WRONG, UNKNOWN], np.uint8)[wrong]
        return [
            ("photo", pixels),
            ("target", colors[target]),
            ("prediction", colors[prediction.labels]),
            ("errors", errors),
        ]


TASKS = {"segment": Segment}
