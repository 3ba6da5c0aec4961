"""Which cell of a detector gives a candidate, and what it learns: of the networks of the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pellucid.models.base import AbstractDetector
from pellucid.models.grid import SHARES, GridHead
from pellucid.models.yolo import STRIDES, Yolo, anchors_of
from pellucid.models.yolo_v1 import ResNetYoloV1, YoloV1

__all__ = ["Lesson", "Place", "lessons_of", "places_of"]


@dataclass(frozen=True, slots=True)
class Place:
    """The cell that gives a candidate; `stride` is its side in network pixels, `predictor` which of its boxes it is,
    `point` its middle (x, y) in network pixels."""

    stride: float
    row: int
    column: int
    predictor: int
    point: tuple[float, float]

    @property
    def cell(self) -> str:
        """Row and column, and of a second box in the cell its number: `3,7`, `3,7 box 1`."""
        said = f"{self.row},{self.column}"
        return f"{said} box {self.predictor}" if self.predictor else said

    def text(self) -> str:
        """As `stride 16, cell 3,7`."""
        return f"stride {self.stride:g}, cell {self.cell}"


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the cell of a candidate learns: `object` is the number of one of the photo's objects, -1 is background.

    `share` is the score it should give that object's class; of a grid it is 1 where this box of the cell is the
    responsible one, else 0. `terms` are what the cell adds to each term of the loss, of a grid for this box.
    """

    object: int
    share: float
    terms: Mapping[str, float]


def places_of(model: AbstractDetector, outputs: Mapping[str, Tensor]) -> list[Place]:
    """Those of all candidates in the order of `decode`; none of a detector that is not of the catalogue."""
    match model:
        case Yolo():
            maps = {stride: outputs[f"{model.decoded_heads}logits{stride}"] for stride in STRIDES}
            anchors = anchors_of(maps)
            cells = (divmod(at, one.shape[3]) for one in maps.values() for at in range(one[0, 0].numel()))
            rows = zip(cells, anchors.strides.tolist(), anchors.points.tolist(), strict=True)
            return [Place(stride, row, column, 0, (x, y)) for (row, column), stride, (x, y) in rows]
        case YoloV1() | ResNetYoloV1():
            return _grid_places(model.connected)
    return []


def _grid_places(head: GridHead) -> list[Place]:
    side = head.side / head.grid
    return [
        Place(side, row, column, predictor, ((column + 0.5) * side, (row + 0.5) * side))
        for row in range(head.grid)
        for column in range(head.grid)
        for predictor in range(head.boxes)
    ]


@torch.no_grad()
def lessons_of(model: AbstractDetector, outputs: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> list[Lesson]:
    """Those of all candidates of one image; `targets` as `AbstractDetector.loss` takes them."""
    match model:
        case Yolo():
            given, terms = model.lessons(dict(outputs), targets)
            return _zipped(given.objects[0], given.shares[0], {name: term[0] for name, term in terms.items()})
        case YoloV1() | ResNetYoloV1():
            objects, responsible, parts = model.connected.lessons(outputs["cells"], targets)
            boxes = model.connected.boxes
            terms = {name: SHARES.get(name, 1.0) * part[0] for name, part in parts.items()}
            rows = {name: _each(term, boxes) for name, term in terms.items()}
            return _zipped(_each(objects[0], boxes), responsible[0].flatten().float(), rows)
    return []


def _each(numbers: Tensor, boxes: int) -> Tensor:
    """One number a box, where there may be one a cell."""
    return numbers.flatten() if numbers.ndim == 2 else numbers.repeat_interleave(boxes)


def _zipped(objects: Tensor, shares: Tensor, terms: Mapping[str, Any]) -> list[Lesson]:
    columns = zip(*(term.tolist() for term in terms.values()), strict=True)
    rows = zip(objects.tolist(), shares.tolist(), columns, strict=True)
    return [Lesson(at, share, dict(zip(terms, values, strict=True))) for at, share, values in rows]
