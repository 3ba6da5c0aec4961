"""What YOLO v1 says of a grid, and how it learns it: Redmon et al. 2016, "You Only Look Once" (arXiv 1506.02640).

The image is an S x S grid. The cell that an object's middle falls into learns it: B boxes with a confidence each,
and one vector of class probabilities. Every number is the output of a linear layer as it is, compared by squares.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.models.assignment import background, overlap_table
from pellucid.models.base import at_least_one, weights_of
from pellucid.ops.boxes import cxcywh_of_xyxy, iou, xyxy_of_cxcywh

__all__ = ["SHARES", "GridHead", "signed_root"]

COORD, NO_OBJECT = 5.0, 0.5
"""The paper's λ_coord and λ_noobj."""
SHARES: Mapping[str, float] = {"xy": COORD, "wh": COORD, "no_object": NO_OBJECT}
"""What the terms count that do not count 1."""
NARROW = 1e-4
"""Share of the image's side below which the root is a line: less than a twentieth of a pixel at 448."""
FIRST_SIDE = 0.4
"""Width and height, in sides of the image, of what an untrained network predicts; the paper leaves it open."""


def signed_root(sides: Float[Tensor, "*rows"]) -> Float[Tensor, "*rows"]:
    """`√w`, and `-√-w` for the negative widths that a linear layer gives; between -ε and ε the line `w / √ε`.

    The gradient of √w has no bound at 0, and below there is none. The line bounds it by 1 / √ε = 100, and a width that
    came out negative is still told to grow.
    """
    root = sides.abs().clamp(min=NARROW).sqrt() * sides.sign()
    return torch.where(sides.abs() < NARROW, sides / NARROW**0.5, root)


class GridHead(nn.Module):
    """Two fully connected layers on a flattened map, and the meaning of what they give.

    `grid` is S, `boxes` is B; `side` is that of the square image in pixels. Of the last axis of the outputs N S S
    5·B + C, x y w h confidence of each box come first: x and y from the cell's left upper corner in cells, w and h
    in images.
    """

    def __init__(self, in_features: int, hidden: int, classes: int, *, grid: int, boxes: int, side: int) -> None:
        super().__init__()
        if grid < 1 or boxes < 1:
            raise UsageError(f"A grid of {grid} cells a side with {boxes} boxes each: both are at least 1.")
        self.grid, self.boxes, self.side = grid, boxes, side
        self.hidden = nn.Linear(in_features, hidden)
        self.relu = nn.LeakyReLU(0.1)
        self.dropout = nn.Dropout(0.5)
        self.predict = nn.Linear(hidden, grid * grid * (5 * boxes + classes))
        nn.init.normal_(self.predict.weight, std=0.01)
        first = torch.tensor([0.5, 0.5, FIRST_SIDE, FIRST_SIDE, 0.0] * boxes + [0.0] * classes)
        self.predict.bias = nn.Parameter(first.repeat(grid * grid))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n s s numbers"]:
        """Raw numbers of every cell."""
        hidden = self.dropout(self.relu(self.hidden(x.flatten(1))))
        return self.predict(hidden).unflatten(1, (self.grid, self.grid, -1))

    def split(
        self, cells: Float[Tensor, "n s s numbers"]
    ) -> tuple[Float[Tensor, "n cells b 5"], Float[Tensor, "n cells classes"]]:
        """The boxes of every cell, row by row, and its classes; in float32."""
        rows = cells.float().flatten(1, 2)
        return rows[..., : 5 * self.boxes].unflatten(-1, (self.boxes, 5)), rows[..., 5 * self.boxes :]

    def corners(self, boxes: Float[Tensor, "n cells b 5"]) -> Float[Tensor, "n cells b 4"]:
        """Boxes as `xyxy` in network pixels; a negative side is none."""
        places = torch.arange(self.grid**2, device=boxes.device)
        origins = torch.stack([places % self.grid, places // self.grid], dim=-1)[:, None]  # S·S 1 2: column, row
        middles = (origins + boxes[..., :2]) / self.grid
        return xyxy_of_cxcywh(torch.cat([middles, boxes[..., 2:4].clamp(min=0)], dim=-1)) * self.side

    def decode(self, cells: Float[Tensor, "n s s numbers"]) -> dict[str, Tensor]:
        """The score of a class is its probability times the confidence of the box, both cut to 0 to 1."""
        boxes, probs = self.split(cells)
        scores = boxes[..., 4:].clamp(0, 1) * probs[:, :, None].clamp(0, 1)
        return {"xyxy": self.corners(boxes).flatten(1, 2), "scores": scores.flatten(1, 2)}

    def evidence(self, cells: Float[Tensor, "n s s numbers"]) -> Float[Tensor, "n candidates classes"]:
        """The confidence of every box, in the order of `decode`: the same for every class."""
        rows = cells.flatten(1, 2)
        confidences = rows[..., 4 : 5 * self.boxes : 5].flatten(1)
        return confidences[..., None].expand(-1, -1, rows.shape[-1] - 5 * self.boxes)

    def loss(self, cells: Float[Tensor, "n s s numbers"], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Equation 3 by its five sums, each the mean over the images: `xy`, `wh`, `object`, `no_object`, `class`.

        Of the boxes of a cell that has an object, the one of the greatest IoU with it is responsible, and that IoU
        is what its confidence should be. A cell learns one object: of several whose middle falls into it the first.
        """
        _, _, parts = self.lessons(cells, targets)
        return {name: SHARES.get(name, 1.0) * part.sum() / len(cells) for name, part in parts.items()}

    def lessons(
        self, cells: Float[Tensor, "n s s numbers"], targets: Mapping[str, Tensor]
    ) -> tuple[Int[Tensor, "n cells"], Bool[Tensor, "n cells b"], dict[str, Tensor]]:
        """The object of each cell, or -1, which boxes are responsible, and the squares of the five sums before λ.

        They are N cells B, of `class` N cells.
        """
        targets = at_least_one(targets)
        boxes, probs = self.split(cells)
        objects = self.owners(targets)
        goals, labels = self.goals(targets, objects)
        overlaps, responsible, counted = self._judged(boxes, targets, objects)
        onehot = functional.one_hot(labels, probs.shape[-1])
        xy = (boxes[..., :2] - goals[..., :2]).square().sum(-1)
        wh = (signed_root(boxes[..., 2:4]) - goals[..., 2:].clamp(min=0).sqrt()).square().sum(-1)
        weights = weights_of(targets, objects)
        own = responsible * weights[..., None]
        parts = {
            "xy": xy * own,
            "wh": wh * own,
            "object": (boxes[..., 4] - overlaps).square() * own,
            "no_object": boxes[..., 4].square() * (counted & ~responsible),
            "class": (probs - onehot).square().sum(-1) * (objects >= 0) * weights,
        }
        return objects, responsible, parts

    def owners(self, targets: Mapping[str, Tensor]) -> Int[Tensor, "n cells"]:
        """The index of the object that each cell learns, or -1."""
        middles = cxcywh_of_xyxy(targets["xyxy"])[..., :2] / self.side * self.grid
        column, row = middles.floor().long().clamp(0, self.grid - 1).unbind(-1)
        learnt = (targets["labels"] >= 0) & ~targets["ignored"]
        places = torch.where(learnt, row * self.grid + column, self.grid**2)  # those not learnt into a cell beyond
        many = places.shape[1]
        order = torch.arange(many, device=places.device).expand_as(places)
        table = torch.full((len(places), self.grid**2 + 1), many, device=places.device)
        first = table.scatter_reduce(1, places, order, "amin")[:, :-1]
        return torch.where(first < many, first, -1)

    def goals(
        self, targets: Mapping[str, Tensor], objects: Int[Tensor, "n cells"]
    ) -> tuple[Float[Tensor, "n cells 1 4"], Int[Tensor, "n cells"]]:
        """x, y, w, h of the object of each cell in the units of the outputs, and its class; without one, anything."""
        chosen = objects.clamp(min=0)
        own = (cxcywh_of_xyxy(targets["xyxy"]) / self.side).gather(1, chosen[..., None].expand(-1, -1, 4))
        middles = own[..., :2] * self.grid
        within = middles - middles.floor().clamp(0, self.grid - 1)
        labels = targets["labels"].gather(1, chosen).clamp(min=0)
        return torch.cat([within, own[..., 2:]], dim=-1)[:, :, None], labels

    @torch.no_grad()
    def _judged(
        self, boxes: Float[Tensor, "n cells b 5"], targets: Mapping[str, Tensor], objects: Int[Tensor, "n cells"]
    ) -> tuple[Float[Tensor, "n cells b"], Bool[Tensor, "n cells b"], Bool[Tensor, "n cells b"]]:
        """IoU of every box with its cell's object, which box is responsible, and which count if they are not.

        Where no box meets the object, responsible is the one that differs least from it, as in darknet.
        """
        corners = self.corners(boxes)
        sides = targets["xyxy"].gather(1, objects.clamp(min=0)[..., None].expand(-1, -1, 4))[:, :, None]
        overlaps = iou(corners, sides)
        merit = torch.where((overlaps > 0).any(-1, keepdim=True), overlaps, -(corners - sides).square().sum(-1))
        responsible = functional.one_hot(merit.argmax(-1), self.boxes).bool() & (objects >= 0)[..., None]
        each = overlap_table(targets["xyxy"], corners.flatten(1, 2))
        counted = background(each, targets["labels"] >= 0, targets["ignored"])
        return overlaps, responsible, counted.unflatten(1, (-1, self.boxes))
