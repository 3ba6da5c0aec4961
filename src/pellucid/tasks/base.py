"""A task: what is the same for every model of one job. It holds class names and no tensor."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from pellucid.metrics.intervals import Difference
from pellucid.models.base import AbstractModel
from pellucid.panels import Panel
from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction
from pellucid.preprocess import Preprocess
from pellucid.types import Frame, Record, Tile

__all__ = ["AbstractMetric", "AbstractTask", "Candidate", "Scores", "arrays"]


@dataclass(frozen=True, slots=True)
class Scores:
    """What an evaluation found. `metrics` are fractions of 1 unless their name says otherwise.

    `intervals` holds 95 % bootstrap intervals for the headline metrics, `details` what only this task has.
    """

    count: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    per_class: tuple[dict[str, Any], ...]
    details: dict[str, Any]


class AbstractMetric(ABC):
    """Gathers one row an image, so that batches, ranks and resampling all add up to the same figures."""

    @abstractmethod
    def add(self, decoded: dict[str, Tensor], targets: Any) -> None:
        """Take in one batch of decoded outputs with the targets from `collate`."""

    @abstractmethod
    def rows(self) -> dict[str, ndarray]:
        """All that was taken in, as arrays that `add_rows` of another metric takes in; nothing where nothing was."""

    @abstractmethod
    def add_rows(self, rows: Mapping[str, ndarray]) -> None:
        """Take in what another metric of the same kind has, behind what is there."""

    @abstractmethod
    def headline(self) -> tuple[str, float]:
        """The figure by which training chooses its best model: (name, value), higher is better."""

    @abstractmethod
    def scores(self, seed: int = 0) -> Scores:
        """Everything that is known of the images added, with bootstrap intervals drawn from `seed`."""

    @abstractmethod
    def compared(self, other: "AbstractMetric", seed: int = 0) -> Difference:
        """How much better the headline is than another model's on the same images, resampled over the images."""

    @abstractmethod
    def mistakes(self, most: int) -> list[tuple[int, str]]:
        """(position in the order added, caption) of the most telling mistakes, worst first."""

    @abstractmethod
    def learnt(self) -> dict[str, float]:
        """What the task should know from now on, found on these images."""

    @abstractmethod
    def panels(self) -> list[Panel]:
        """What a report shows of these figures, apart from pictures."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that might fit: its name, arguments for `build_model`, its side in pixels, and the photos' scale."""

    model: str
    arguments: dict[str, Any]
    side: int
    scale: float | None = None


@dataclass(frozen=True, slots=True)
class AbstractTask(ABC):
    """One job (`classify`, `segment`, …) with its class names.

    `counts` says how often each class is marked in the training images, in `unit`, once that is known. `idle` names the
    settings of a training that mean nothing to this task; `pieces` says whether networks learn from pieces of images;
    `passes` are those that a set is worth, as a share of what it is worth with one label an image; `mirrors` says
    whether augmentation continues an image beyond its border as its mirror image, rather than in grey.

    `learnt` are numbers that belong to a trained model and are found on its validation split, as a threshold is.
    """

    name: ClassVar[str]
    idle: ClassVar[tuple[str, ...]]
    unit: ClassVar[str]
    pieces: ClassVar[bool]
    passes: ClassVar[float]
    mirrors: ClassVar[bool]
    mistakes_title: ClassVar[str]
    classes: tuple[str, ...]
    counts: tuple[int, ...] | None = None
    learnt: Mapping[str, float] = field(default_factory=dict)

    @property
    @abstractmethod
    def postprocess(self) -> AbstractPostprocess:
        """The way from decoded outputs to a prediction, which an exported file goes as well."""

    @abstractmethod
    def usual(self, side: int) -> tuple[str, str]:
        """The network to take where none was asked for, and why; images have this side, typically."""

    @abstractmethod
    def arguments(self, model: str, side: int, images: int) -> dict[str, Any]:
        """What `build_model` is given for a network that was asked for, beside classes and channels."""

    @abstractmethod
    def ladder(self, side: int) -> list[Candidate]:
        """Networks in ascending work an image, for images whose short side is typically `side` pixels."""

    @abstractmethod
    def preprocess(self, settings: TrainConfig, channels: int, *, one_size: bool) -> Preprocess:
        """The way from photos to this task's networks; mean and std are put in once they are known.

        `one_size` says whether all photos have one and the same size.
        """

    @abstractmethod
    def defaults(self, settings: TrainConfig) -> Mapping[str, tuple[float, str]]:
        """Values, with their reasons, for the settings whose best value depends on the task."""

    @abstractmethod
    def collate(self, records: Sequence[Record], frames: Sequence[Frame], masks: Tensor | None) -> Any:
        """The targets of a batch as tensors, in network pixels where they have a place.

        `masks` are those of the images, uint8 N H W, where they have any.
        """

    @abstractmethod
    def totals(self, records: Sequence[Record], marks: Int[ndarray, "n _"]) -> tuple[int, ...]:
        """How often each class is marked in these records, in `unit`; `marks` counts the pixels of their masks."""

    def counted(self, records: Sequence[Record], marks: Int[ndarray, "n _"]) -> "AbstractTask":
        """This task, knowing how often each class occurs in the training records."""
        return dataclasses.replace(self, counts=self.totals(records, marks))

    def balance(self) -> Float[Tensor, " classes"]:
        """What a class counts so that all count the same: `marks / (classes that occur · marks of the class)`."""
        if self.counts is None:
            raise UsageError("Balanced class weights need the training images: use task.counted first.")
        found = torch.tensor(self.counts, dtype=torch.float64)
        return (found.sum() / (found > 0).sum() / found.clamp(min=1)).float()

    def suited(self, model: AbstractModel) -> "AbstractTask":
        """This task, knowing what a model says of itself."""
        return dataclasses.replace(self, learnt={**model.known, **self.learnt})

    @abstractmethod
    def renumbered(self, label: Any, places: Sequence[int]) -> Any:
        """A record's label after class `i` became class `places[i]`."""

    @abstractmethod
    def soften(self, targets: Any, settings: TrainConfig) -> Any:
        """Targets as training wants them: class weights and label smoothing put in."""

    @abstractmethod
    def move(self, targets: Any, matrices: Tensor, size: tuple[int, int]) -> Any:
        """Targets after the images were moved and brought to this size: `matrices` N 2 3 map output to input in -1..1
        coordinates."""

    @abstractmethod
    def tile(self, targets: Any, order: Tensor) -> Any:
        """Targets of images that are four others (`order` N 4) side by side, two above and two below."""

    @abstractmethod
    def mix(self, targets: Any, order: Tensor, share: Tensor) -> Any:
        """Targets after each image kept `share` (N) of itself and took the rest from the image at `order`."""

    @abstractmethod
    def metric(self, *, brief: bool = False) -> AbstractMetric:
        """An empty metric of this task; a `brief` one only finds what its headline needs."""

    @abstractmethod
    def assemble(
        self, parts: Iterable[dict[str, Tensor]], tiles: Sequence[Tile], size: tuple[int, int]
    ) -> dict[str, Tensor]:
        """The decoded outputs of an image of this size from those of its tiles, which come one after the other."""

    def prediction(self, decoded: dict[str, Tensor], frame: Frame) -> AbstractPrediction:
        """What one image's decoded outputs (without the batch axis) say, in the photo's own pixels."""
        return self.postprocess.prediction(arrays(decoded), frame)

    @abstractmethod
    def views(self, pixels: Any, target: Any, prediction: AbstractPrediction) -> Sequence[tuple[str, Any]]:
        """Named pictures that show where a prediction errs; `target` is the label, the mask already read."""


def arrays(decoded: Mapping[str, Tensor]) -> dict[str, ndarray]:
    """Decoded outputs as NumPy has them, which knows no bfloat16."""
    found = {}
    for name, value in decoded.items():
        found[name] = (value.float() if value.is_floating_point() else value).detach().cpu().numpy()
    return found
