"""A prediction, and the way from decoded outputs to it: what `Preprocess` is before a network, this is behind it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy import ndarray

from pellucid.types import Frame

__all__ = ["AbstractPostprocess", "AbstractPrediction", "View"]


@dataclass(frozen=True, slots=True)
class AbstractPrediction(ABC):
    """What a model says of one photo, in the photo's own pixels."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""

    @abstractmethod
    def to_row(self) -> dict[str, str | float]:
        """The same as one flat row for CSV."""

    @abstractmethod
    def text(self) -> str:
        """What matters of it in a line for people."""

    @abstractmethod
    def arrays(self) -> dict[str, ndarray]:
        """The numbers of it by the names that an exported file gives them, without the axis of the batch."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The decoded outputs of a part of a photo; `frame` places them in the whole of it, `seen` are the part's bounds
    (top, left, bottom, right) there."""

    decoded: Mapping[str, ndarray]
    frame: Frame
    seen: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class AbstractPostprocess(ABC):
    """What happens to a network's decoded outputs, wherever it runs: in torch or from an exported file.

    `learnt` are the numbers that travel in the model file: those that its task found on the validation split.
    """

    classes: tuple[str, ...]
    learnt: Mapping[str, float] = field(default_factory=dict)

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Those of a prediction as a table row."""

    @property
    @abstractmethod
    def tensors(self) -> tuple[dict[str, Any], ...]:
        """Name, datatype and shape of the `arrays` of a batch, in the words of the Open Inference Protocol."""

    @abstractmethod
    def adjusted(self, *, threshold: float | None = None, agnostic: bool = False) -> "AbstractPostprocess":
        """The same with a threshold of the user's own, or with suppression across classes; where neither means
        anything, it is refused."""

    @abstractmethod
    def prediction(self, decoded: Mapping[str, ndarray], frame: Frame) -> AbstractPrediction:
        """What one image's decoded outputs (without the batch axis) say, in the photo's own pixels."""

    @abstractmethod
    def merged(self, views: Iterable[View]) -> AbstractPrediction:
        """What overlapping views of one photo, the closest first, say together; refused where that means nothing."""

    @abstractmethod
    def draw(self, pixels: Any, prediction: Any, *, steady: bool = False) -> Any:
        """A copy of the photo (uint8 H W C) with the prediction drawn on it, RGB.

        A photo too small to write on is enlarged by a whole factor first. `steady` pictures of photos of one size have
        one size themselves, as the frames of a video must.
        """

    @abstractmethod
    def save(self, prediction: Any, path: Path) -> None:
        """Write what a prediction says as files; `path` is that of the main one, with the suffix .png."""
