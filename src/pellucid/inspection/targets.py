"""The one number that is to be explained, as a value: a class's logit, a pixel's, a box's score or side.

Names may be given as indices, and must be where no list of classes is known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from pellucid.catalog import suggestion
from pellucid.errors import UsageError
from pellucid.models.base import AbstractDetector

__all__ = ["PARTS", "Box", "Class", "Part", "Pixel", "Target"]

Name = str | int
Part = Literal["score", "left", "top", "right", "bottom"]
PARTS: tuple[Part, ...] = ("score", "left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Class:
    """The logit of a class, or what it is more than that of another (`versus`)."""

    name: Name
    versus: Name | None = None

    def number(self, model: Any, outputs: Any, classes: Sequence[str]) -> Float[Tensor, ""]:
        """That of the first image."""
        if not isinstance(outputs, Tensor) or outputs.ndim != 2:
            raise UsageError("A class is a target of networks that give one logit a class. Take Pixel or Box.")
        return _compared(outputs[0], self.name, self.versus, classes)

    def text(self, classes: Sequence[str]) -> str:
        """As `class:bee against fly`."""
        return f"class:{self.title(classes)}"

    def title(self, classes: Sequence[str]) -> str:
        """As `bee against fly`."""
        return _told(self.name, self.versus, classes)


@dataclass(frozen=True, slots=True)
class Pixel:
    """The logit of a class at a network pixel, or what it is more than that of another class there."""

    y: int
    x: int
    name: Name
    versus: Name | None = None

    def number(self, model: Any, outputs: Any, classes: Sequence[str]) -> Float[Tensor, ""]:
        """That of the first image."""
        logits = outputs.get("out") if isinstance(outputs, Mapping) else outputs
        if not isinstance(logits, Tensor) or logits.ndim != 4:
            raise UsageError("A pixel is a target of networks that give one logit a class and pixel.")
        height, width = logits.shape[2:]
        if not (0 <= self.y < height and 0 <= self.x < width):
            raise UsageError(f"Pixel {self.y},{self.x} lies outside of {height} rows and {width} columns.")
        return _compared(logits[0, :, self.y, self.x], self.name, self.versus, classes)

    def plane(self, logits: Float[Tensor, "n c h w"], classes: Sequence[str]) -> Float[Tensor, "h w"]:
        """The same number at every pixel of the first image."""
        return _compared(logits[0], self.name, self.versus, classes)

    def text(self, classes: Sequence[str]) -> str:
        """As `pixel:12,40:bee against fly`."""
        return f"pixel:{self.y},{self.x}:{_told(self.name, self.versus, classes)}"

    def title(self, classes: Sequence[str]) -> str:
        """As `bee against fly at 12, 40`."""
        return f"{_told(self.name, self.versus, classes)} at {self.y}, {self.x}"


@dataclass(frozen=True, slots=True)
class Box:
    """What a detector's score for a class rises with, or a side in network pixels, of one candidate box.

    Candidates are numbered as `decode` gives them, before suppression. Of a grid the number behind a score is the
    confidence of the box: the score itself is its product with a probability, which is no sum of pixels.
    """

    candidate: int
    name: Name
    part: Part = "score"

    def number(self, model: Any, outputs: Any, classes: Sequence[str]) -> Float[Tensor, ""]:
        """That of the first image."""
        if not isinstance(model, AbstractDetector):
            raise UsageError("A box is a target of detectors. Take Class or Pixel.")
        numbers = model.evidence(outputs) if self.part == "score" else model.decode(outputs)["xyxy"]
        if not 0 <= self.candidate < numbers.shape[1]:
            raise UsageError(f"There are {numbers.shape[1]} candidate boxes, and none is number {self.candidate}.")
        column = _index(self.name, classes) if self.part == "score" else PARTS.index(self.part) - 1
        return numbers[0, self.candidate, column]

    def text(self, classes: Sequence[str]) -> str:
        """As `candidate:1730:bee:score`."""
        return f"candidate:{self.candidate}:{_said(self.name, classes)}:{self.part}"

    def title(self, classes: Sequence[str]) -> str:
        """As `bee, score of candidate 1730`."""
        return f"{_said(self.name, classes)}, {self.part} of candidate {self.candidate}"


Target = Class | Pixel | Box


def _compared(logits: Float[Tensor, "c ..."], name: Name, versus: Name | None, classes: Sequence[str]) -> Tensor:
    own = logits[_checked(_index(name, classes), len(logits))]
    return own if versus is None else own - logits[_checked(_index(versus, classes), len(logits))]


def _index(name: Name, classes: Sequence[str]) -> int:
    if isinstance(name, int):
        return name
    if name not in classes:
        raise UsageError(f"No class is called {name!r}.{suggestion(name, classes)}")
    return classes.index(name)


def _checked(index: int, classes: int) -> int:
    if not 0 <= index < classes:
        raise UsageError(f"There are {classes} classes, and none has the index {index}.")
    return index


def _told(name: Name, versus: Name | None, classes: Sequence[str]) -> str:
    tail = "" if versus is None else f" against {_said(versus, classes)}"
    return f"{_said(name, classes)}{tail}"


def _said(name: Name, classes: Sequence[str]) -> str:
    return classes[name] if isinstance(name, int) and name < len(classes) else str(name)
