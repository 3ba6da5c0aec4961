"""An anchor-free detector for processors: strides 8, 16 and 32, four distances a cell, ReLU throughout.

What is old: one pass over the image, a prediction per cell (Redmon et al. 2016, arXiv 1506.02640); distances to the
four sides instead of anchor boxes (Tian et al. 2019, arXiv 1904.01355); assignment by alignment of score and IoU
(Feng et al. 2021, arXiv 2108.07755); a branch without suppression (Wang et al. 2021, arXiv 2012.03544).

What is ours: a side of a box is a number of the last convolution, times the stride. No exponential, no bins, no
clamping stands between, so every edge is an affine function of the pixels around an image, as every logit is, and a
step of int8 is the same in all sizes of box. A distance may be negative: an object that is smaller than a cell may
lie beside every point.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.models.assignment import ASSIGNERS, Anchors, Assignment, Matches, matches, task_aligned
from pellucid.models.base import AbstractDetector, at_least_one, weights_of
from pellucid.models.compact import ConvUnit
from pellucid.models.pyramid import Pyramid, Trunk, padded
from pellucid.ops.boxes import giou

__all__ = ["MODELS", "STRIDES", "Yolo", "anchors_of", "xyxy_of_distances"]

STRIDES = (8, 16, 32)
PRIOR = 0.01
"""The score that an untrained network gives: cells are mostly background (Lin et al. 2017, arXiv 1708.02002, 4.1)."""
FIRST_DISTANCE = 2.0
"""Strides from a cell to each side of what an untrained network predicts: boxes of 32, 64 and 128 pixels."""
BOX_SHARE = 2.0
"""What the GIoU term counts beside the classes, as in TOOD and RTMDet."""


class LevelHead(nn.Module):
    """One level's scores and distances, a convolution apart: what tells classes is not what tells edges."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.class_unit, self.box_unit = ConvUnit(channels, channels), ConvUnit(channels, channels)
        self.logits, self.distances = nn.Conv2d(channels, classes, 1), nn.Conv2d(channels, 4, 1)
        for layer, bias in ((self.logits, math.log(PRIOR / (1 - PRIOR))), (self.distances, FIRST_DISTANCE)):
            nn.init.normal_(layer.weight, std=0.01)
            layer.bias = nn.Parameter(torch.full((layer.out_channels,), bias))

    def forward(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n classes h w"], Float[Tensor, "n 4 h w"]]:
        """Logits, and the distances to left, top, right and bottom in strides."""
        return self.logits(self.class_unit(x)), self.distances(self.box_unit(x))


class Yolo(AbstractDetector):
    """Trunk, pyramid, and a head a level.

    `width` channels at a quarter of the side, `neck` in pyramid and heads, `blocks` a stride from 4 to 32.
    `assignment` says which points learn an object. `one_to_one` adds heads that learn one point an object, and are
    decoded instead: their boxes need no suppression.

    Of outputs, `logits8` and `distances8` are those of stride 8, and so on; `single_` stands before those of one to
    one.
    """

    size: int = 320
    head: ClassVar[tuple[str, ...]] = tuple(f"{heads}.{at}.logits" for heads in ("heads", "singles") for at in range(3))

    def __init__(
        self,
        classes: int,
        *,
        in_channels: int = 3,
        width: int = 32,
        neck: int = 64,
        blocks: Sequence[int] = (0, 1, 2, 2),
        assignment: str = "task_aligned",
        one_to_one: bool = False,
    ) -> None:
        super().__init__()
        if width < 2 or neck < 1 or assignment not in ASSIGNERS:
            raise UsageError(
                f"A detector of width {width}, neck {neck}, assignment {assignment!r}: the width is at least 2, "
                f"the neck at least 1, the assignment one of {', '.join(ASSIGNERS)}."
            )
        self.assign = ASSIGNERS[assignment]
        self.trunk = Trunk(in_channels, width, blocks)
        self.pyramid = Pyramid([feature.channels for feature in self.trunk.features[1:]], neck)
        self.heads = nn.ModuleList(LevelHead(neck, classes) for _ in STRIDES)
        self.singles = nn.ModuleList(LevelHead(neck, classes) for _ in STRIDES if one_to_one)
        self.known = {"overlap": 1.0} if one_to_one else {}
        self.features = tuple(replace(feature, name=f"trunk.{feature.name}") for feature in self.trunk.features)

    @property
    def decoded_heads(self) -> str:
        """What stands before the names of the outputs that are decoded."""
        return "single_" if len(self.singles) else ""

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The trunk's activations at strides 4, 8, 16 and 32."""
        names = (feature.name for feature in self.features)
        return dict(zip(names, self.trunk(padded(x)), strict=True))

    def forward(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """Logits and distances of every level, N classes and N 4 by the cells."""
        levels = self.pyramid(self.trunk(padded(x))[1:])
        outputs = {}
        for prefix, heads in (("", self.heads), ("single_", self.singles)):
            for stride, head, level in zip(STRIDES, heads, levels, strict=False):  # no heads, or one a level
                outputs[f"{prefix}logits{stride}"], outputs[f"{prefix}distances{stride}"] = head(level)
        return outputs

    def loss(self, outputs: dict[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`class` and `box`; with one to one also `single_class` and `single_box`.

        The binary cross entropy of all scores with soft targets, and 1 - GIoU of each assigned point by the score
        it should give; both are divided by the sum of those scores over the batch, or by 1 where that is less.
        """
        targets = at_least_one(targets)
        terms = _branch_loss(*_joined(outputs, ""), targets, self.assign)
        if len(self.singles):
            single = _branch_loss(*_joined(outputs, "single_"), targets, partial(task_aligned, top=1))
            terms |= {f"single_{name}": term for name, term in single.items()}
        return terms

    def lessons(
        self, outputs: dict[str, Tensor], targets: Mapping[str, Tensor]
    ) -> tuple[Assignment, dict[str, Float[Tensor, "n a"]]]:
        """Which object every point learns, and what it adds to each term of the loss, in the order of `decode`.

        Of the heads that are decoded, whose terms of the loss these add up to.
        """
        assign = partial(task_aligned, top=1) if len(self.singles) else self.assign
        joined = _joined(outputs, self.decoded_heads)
        given, classes, boxes, total = _branch_parts(*joined, at_least_one(targets), assign)
        return given, {"class": classes / total, "box": BOX_SHARE * boxes / total}

    def decode(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """`xyxy` and `scores` of every cell, from the finest level to the coarsest, row by row."""
        logits, distances, anchors = _joined(outputs, self.decoded_heads)
        low, high = xyxy_of_distances(distances, anchors).chunk(2, dim=-1)
        return {"xyxy": torch.cat([low, torch.maximum(low, high)], dim=-1), "scores": logits.sigmoid()}

    def evidence(self, outputs: dict[str, Tensor]) -> Float[Tensor, "n candidates classes"]:
        """The logits of every cell, in the order of `decode`."""
        return torch.cat([_rows(outputs[f"{self.decoded_heads}logits{stride}"]) for stride in STRIDES], dim=1)


def _rows(level: Float[Tensor, "n c h w"]) -> Float[Tensor, "n cells c"]:
    return level.flatten(2).transpose(1, 2)


def _joined(outputs: dict[str, Tensor], prefix: str) -> tuple[Float[Tensor, "n a c"], Float[Tensor, "n a 4"], Anchors]:
    """Logits and distances of all levels as rows, and where these are."""
    logits, distances = (
        torch.cat([_rows(outputs[f"{prefix}{name}{stride}"]) for stride in STRIDES], dim=1).float()
        for name in ("logits", "distances")
    )
    return logits, distances, anchors_of({stride: outputs[f"{prefix}logits{stride}"] for stride in STRIDES})


def anchors_of(maps: Mapping[int, Float[Tensor, "n c _ _"]]) -> Anchors:
    """The middles of the cells of maps by their strides, row by row."""
    points, strides = [], []
    for stride, level in maps.items():
        rows, columns = (torch.arange(side, device=level.device) for side in level.shape[2:])
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        points.append((torch.stack([x, y], dim=-1).flatten(0, 1) + 0.5) * stride)
        strides.append(torch.full_like(points[-1][:, 0], stride))
    return Anchors(torch.cat(points), torch.cat(strides))


def xyxy_of_distances(distances: Float[Tensor, "n a 4"], anchors: Anchors) -> Float[Tensor, "n a 4"]:
    """Boxes in network pixels from what lies between a point and the four sides, in strides."""
    left_top, right_bottom = (distances * anchors.strides[:, None]).chunk(2, dim=-1)
    return torch.cat([anchors.points - left_top, anchors.points + right_bottom], dim=-1)


def _branch_loss(
    logits: Float[Tensor, "n a c"],
    distances: Float[Tensor, "n a 4"],
    anchors: Anchors,
    targets: Mapping[str, Tensor],
    assign: Callable[[Matches], Assignment],
) -> dict[str, Tensor]:
    _, classes, boxes, total = _branch_parts(logits, distances, anchors, targets, assign)
    return {"class": classes.sum() / total, "box": BOX_SHARE * boxes.sum() / total}


def _branch_parts(
    logits: Float[Tensor, "n a c"],
    distances: Float[Tensor, "n a 4"],
    anchors: Anchors,
    targets: Mapping[str, Tensor],
    assign: Callable[[Matches], Assignment],
) -> tuple[Assignment, Float[Tensor, "n a"], Float[Tensor, "n a"], Float[Tensor, ""]]:
    """Who learns what, what every point adds to both terms before they are divided, and by what they are."""
    xyxy = xyxy_of_distances(distances, anchors)
    with torch.no_grad():
        given = assign(matches(xyxy, logits, anchors, targets))
    objects = given.objects.clamp(min=0)
    labels = targets["labels"].gather(1, objects).clamp(min=0)
    goals = torch.zeros_like(logits).scatter(2, labels[..., None], given.shares[..., None])
    entropies = functional.binary_cross_entropy_with_logits(logits, goals, reduction="none").sum(dim=2)
    sides = targets["xyxy"].gather(1, objects[..., None].expand_as(xyxy))
    weights = weights_of(targets, given.objects)
    shares = given.shares * weights
    total = shares.sum().clamp(min=1)
    classes = entropies * given.counted * weights
    return given, classes, (1 - giou(xyxy, sides)) * shares, total


def _sized(width: int, neck: int, blocks: Sequence[int]) -> Callable[..., Yolo]:
    """The constructor of one size; `share` scales its channels."""

    def constructor(
        classes: int,
        *,
        in_channels: int = 3,
        share: float = 1.0,
        assignment: str = "task_aligned",
        one_to_one: bool = False,
    ) -> Yolo:
        return Yolo(
            classes,
            in_channels=in_channels,
            width=round(width * share),
            neck=round(neck * share),
            blocks=blocks,
            assignment=assignment,
            one_to_one=one_to_one,
        )

    return constructor


MODELS: dict[str, Any] = {
    "yolo_n": _sized(32, 64, (0, 1, 2, 2)),
    "yolo_s": _sized(64, 128, (0, 1, 2, 1)),
    "yolo_m": _sized(80, 160, (1, 2, 3, 2)),
}
