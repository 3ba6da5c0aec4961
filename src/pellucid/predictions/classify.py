"""Classification: the probs of every class for one photo."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.drawing import captioned
from pellucid.errors import UsageError
from pellucid.predictions.base import AbstractPostprocess, AbstractPrediction, View
from pellucid.types import Frame

__all__ = ["POSTPROCESSES", "ClassPostprocess", "ClassScores"]


@dataclass(frozen=True, slots=True)
class ClassScores(AbstractPrediction):
    """The probs of every class for one photo."""

    classes: tuple[str, ...]
    probs: tuple[float, ...]

    @property
    def label(self) -> str:
        """The class of the greatest prob; of equal ones the first."""
        return self.classes[self._ranking()[0]]

    @property
    def score(self) -> float:
        """The greatest prob."""
        return max(self.probs)

    def to_json(self) -> dict[str, Any]:
        """The label, its score, and the five greatest probs."""
        best = {self.classes[at]: self.probs[at] for at in self._ranking()[:5]}
        return {"label": self.label, "score": self.score, "probs": best}

    def to_row(self) -> dict[str, str | float]:
        """The label and its score."""
        return {"label": self.label, "score": self.score}

    def text(self) -> str:
        """Both: `bee  0.9312`."""
        return f"{self.label}  {self.score:.4f}"

    def arrays(self) -> dict[str, ndarray]:
        """`probs`, float32 C."""
        return {"probs": np.array(self.probs, np.float32)}

    def _ranking(self) -> list[int]:
        return sorted(range(len(self.probs)), key=lambda at: -self.probs[at])


@dataclass(frozen=True, slots=True)
class ClassPostprocess(AbstractPostprocess):
    """Probs to `ClassScores`."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The label and its score."""
        return ("label", "score")

    @property
    def tensors(self) -> tuple[dict[str, Any], ...]:
        """`probs`."""
        return ({"name": "probs", "datatype": "FP32", "shape": [-1, len(self.classes)]},)

    def adjusted(self, *, threshold: float | None = None, agnostic: bool = False) -> "ClassPostprocess":
        """Itself; any adjustment is refused."""
        if threshold is None and not agnostic:
            return self
        flag = "--agnostic" if threshold is None else "--threshold"
        raise UsageError(f"{flag} has no effect where the task is to classify: the label is that of the greatest prob.")

    def prediction(self, decoded: Mapping[str, ndarray], frame: Frame) -> ClassScores:
        """Those of `probs`, a row of one number a class."""
        return ClassScores(self.classes, tuple(decoded["probs"].tolist()))

    def merged(self, views: Iterable[View]) -> AbstractPrediction:
        """Refused: a label is that of a whole photo."""
        raise UsageError("--tiles has no effect where the task is to classify: a label is that of a whole photo.")

    def draw(
        self, pixels: UInt8[ndarray, "h w c"], prediction: ClassScores, *, steady: bool = False
    ) -> UInt8[ndarray, "h2 w2 3"]:
        """The photo with label and score on a dark strip along its lower edge."""
        return captioned(pixels, prediction.label, f" {prediction.score:.2f}")

    def save(self, prediction: Any, path: Path) -> None:
        """Refused: a label is a word."""
        raise UsageError("--save has no effect where the task is to classify: --json or --csv give the labels.")


POSTPROCESSES = {"classify": ClassPostprocess}
