"""Classification: one label for each image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn import functional

from pellucid.config import TrainConfig
from pellucid.data.records import classes_of
from pellucid.errors import UsageError
from pellucid.predictions.base import AbstractPrediction
from pellucid.predictions.classify import ClassPostprocess
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask, Candidate
from pellucid.tasks.class_metric import ClassMetric
from pellucid.types import Frame, Record, Tile

__all__ = ["TASKS", "Classify"]

SMALL = 64  # pixels: images up to this side are shown to a network as they are
MANY = 10_000  # images from which a network of twice the width learns more than it remembers


@dataclass(frozen=True, slots=True)
class Classify(AbstractTask):
    """One label for each image."""

    name: ClassVar[str] = "classify"
    idle: ClassVar[tuple[str, ...]] = ("dice", "scale", "mosaic", "multi_scale")
    unit: ClassVar[str] = "images"
    pieces: ClassVar[bool] = False
    passes: ClassVar[float] = 1.0
    mirrors: ClassVar[bool] = True
    mistakes_title: ClassVar[str] = "Most confident mistakes"

    @property
    def postprocess(self) -> ClassPostprocess:
        """Probs to `ClassScores`."""
        return ClassPostprocess(self.classes, self.learnt)

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
        found = np.bincount(classes_of(records), minlength=len(self.classes))
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
        return rows * self.balance().to(rows.device)[targets, None]

    def move(self, targets: Any, matrices: Tensor, size: tuple[int, int]) -> Any:
        """The targets as they are: a label has no place in the image."""
        return targets

    def tile(self, targets: Any, order: Tensor) -> Any:
        """Refused: an image has one label."""
        raise UsageError("--mosaic has no effect where the task is to classify. Leave it out.")

    def mix(
        self, targets: Float[Tensor, "n classes"], order: Int[Tensor, " n"], share: Float[Tensor, " n"]
    ) -> Float[Tensor, "n classes"]:
        """`share·own + (1 - share)·other`, row by row."""
        own = share[:, None]
        return targets * own + targets[order] * (1 - own)

    def metric(self, *, brief: bool = False) -> ClassMetric:
        """An empty metric, the same for every use."""
        return ClassMetric(self.classes)

    def assemble(
        self, parts: Iterable[dict[str, Tensor]], tiles: Sequence[Tile], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """Refused: a label is that of a whole image, and all of it goes through the network at once."""
        raise UsageError(f"An image of {size[1]}x{size[0]} network pixels is too large to be classified. Lower --size.")

    def views(self, pixels: Any, target: Any, prediction: AbstractPrediction) -> Sequence[tuple[str, Any]]:
        """The photo alone."""
        return [("photo", pixels)]


TASKS = {"classify": Classify}
