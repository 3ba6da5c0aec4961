"""A task: what is the same for every model of one job. It holds class names and no tensor."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from pellucid.config import TrainConfig
from pellucid.panels import Panel
from pellucid.types import Frame, Record

__all__ = ["AbstractMetric", "AbstractPrediction", "AbstractTask", "Scores"]


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
    def headline(self) -> tuple[str, float]:
        """The figure by which training chooses its best model: (name, value), higher is better."""

    @abstractmethod
    def scores(self, seed: int = 0) -> Scores:
        """Everything that is known of the images added, with bootstrap intervals drawn from `seed`."""

    @abstractmethod
    def outcomes(self) -> Any:
        """One number an image (its share of the headline figure) as a float array, for paired comparison."""

    @abstractmethod
    def mistakes(self, most: int) -> list[tuple[int, str]]:
        """(position in the order added, caption) of the most telling mistakes, worst first."""

    @abstractmethod
    def panels(self) -> list[Panel]:
        """What a report shows of these figures, apart from pictures."""


@dataclass(frozen=True, slots=True)
class AbstractPrediction(ABC):
    """What a model says of one photo, in the photo's own pixels."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""

    @abstractmethod
    def to_row(self) -> dict[str, str | float]:
        """The same as one flat row for CSV."""


@dataclass(frozen=True, slots=True)
class AbstractTask(ABC):
    """One job (`classify`, …) with its class names; `columns` are those of a prediction as a table row."""

    columns: ClassVar[tuple[str, ...]]
    classes: tuple[str, ...]

    @abstractmethod
    def collate(self, records: Sequence[Record], frames: Sequence[Frame]) -> Any:
        """The targets of a batch as tensors, in network pixels where they have a place."""

    @abstractmethod
    def counted(self, records: Sequence[Record]) -> "AbstractTask":
        """This task, knowing how often each class occurs in the training records."""

    @abstractmethod
    def occurring(self, label: Any) -> Sequence[int]:
        """The class of everything that a record's label marks, once each time it is marked."""

    @abstractmethod
    def renumbered(self, label: Any, places: Sequence[int]) -> Any:
        """A record's label after class `i` became class `places[i]`."""

    @abstractmethod
    def soften(self, targets: Any, config: TrainConfig) -> Any:
        """Targets as training wants them: class weights and label smoothing put in."""

    @abstractmethod
    def move(self, targets: Any, matrices: Tensor) -> Any:
        """Targets after the images were moved: `matrices` N 2 3 map output to input in -1..1 coordinates."""

    @abstractmethod
    def mix(self, targets: Any, order: Tensor, share: Tensor) -> Any:
        """Targets after each image kept `share` (N) of itself and took the rest from the image at `order`."""

    @abstractmethod
    def metric(self) -> AbstractMetric:
        """An empty metric of this task."""

    @abstractmethod
    def prediction(self, decoded: dict[str, Tensor], frame: Frame) -> AbstractPrediction:
        """What one image's decoded outputs (without the batch axis) say, in the photo's own pixels."""

    @abstractmethod
    def draw(self, pixels: Any, prediction: AbstractPrediction) -> Any:
        """A copy of the photo (uint8 H W C) with the prediction drawn on it, RGB.

        A photo too small to write on is enlarged by a whole factor first.
        """
