"""Which object an anchor point learns, and how sure it should be: without a loop over images, objects or points.

`task_aligned` is TAL of Feng et al. 2021, "TOOD" (arXiv 2108.07755); `dynamic_soft` the assigner of Lyu et al. 2022,
"RTMDet" (arXiv 2212.07784). Both rank every anchor point for every object, which takes a table N objects points, give
each object its best ones, and settle who gets a point that several claim.

N images, M objects of the fullest image, A anchor points. A point may serve an object if it lies inside it; an
object that holds no point, being small, is served by the one that is nearest to its middle.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from pellucid.ops.boxes import iou

__all__ = [
    "ASSIGNERS",
    "Anchors",
    "Assignment",
    "Matches",
    "background",
    "dynamic_soft",
    "matches",
    "overlap_table",
    "task_aligned",
]

CLOSENESS = 1e-9
"""What nearness to the object's middle adds to a rank: it decides only where no prediction meets the object."""


@dataclass(frozen=True, slots=True)
class Anchors:
    """Where the cells of all levels are: the middle of each in network pixels, and its stride."""

    points: Float[Tensor, "a 2"]
    strides: Float[Tensor, " a"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """`objects` is the index of the object that a point learns, or -1; `shares` the score it should give that
    object's class.

    Points that are not `counted` learn nothing: what they predict fits best to an object that is ignored.
    """

    objects: Int[Tensor, "n a"]
    shares: Float[Tensor, "n a"]
    counted: Bool[Tensor, "n a"]


@dataclass(frozen=True, slots=True)
class Matches:
    """What every assigner looks at, of each object and anchor point."""

    overlaps: Float[Tensor, "n m a"]
    """IoU of the object and what the point predicts."""
    scores: Float[Tensor, "n m a"]
    """What the point gives to the object's class."""
    steps: Float[Tensor, "n m a"]
    """Distance between point and middle of the object, in strides of the point."""
    allowed: Bool[Tensor, "n m a"]
    """Whether the point may serve the object; never where the object is ignored or absent."""
    counted: Bool[Tensor, "n a"]
    """Whether a point that serves no object is background."""


def matches(
    xyxy: Float[Tensor, "n a 4"], scores: Float[Tensor, "n a classes"], anchors: Anchors, targets: Mapping[str, Tensor]
) -> Matches:
    """Compare predictions with targets as `AbstractDetector.loss` takes them."""
    boxes, labels = targets["xyxy"], targets["labels"]
    present, ignored = labels >= 0, targets["ignored"]
    overlaps = overlap_table(boxes, xyxy)
    every = labels.clamp(min=0)[:, :, None].expand_as(overlaps)
    x, y = anchors.points.unbind(-1)
    middles = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2
    distances = torch.hypot(x - middles[:, :, :1], y - middles[:, :, 1:])
    return Matches(
        overlaps,
        scores.transpose(1, 2).gather(1, every),
        distances / anchors.strides,
        _inside_or_nearest(boxes, anchors.points, distances) & (present & ~ignored)[:, :, None],
        background(overlaps, present, ignored),
    )


def overlap_table(boxes: Float[Tensor, "n m 4"], xyxy: Float[Tensor, "n a 4"]) -> Float[Tensor, "n m a"]:
    """IoU of every box of an image with every prediction for it."""
    by_coordinate = xyxy.transpose(1, 2).contiguous().transpose(1, 2)  # all lefts side by side, then all tops, …
    return iou(boxes[:, :, None], by_coordinate[:, None])


def _inside_or_nearest(
    boxes: Float[Tensor, "n m 4"], points: Float[Tensor, "a 2"], distances: Float[Tensor, "n m a"]
) -> Bool[Tensor, "n m a"]:
    """Of equally near points the first, which is of the finest level."""
    x, y = points.unbind(-1)
    left, top, right, bottom = boxes[..., None].unbind(2)
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    nearest = torch.arange(len(points), device=points.device) == distances.argmin(-1, keepdim=True)
    return torch.where(inside.any(-1, keepdim=True), inside, nearest)


def background(
    overlaps: Float[Tensor, "n m a"], present: Bool[Tensor, "n m"], ignored: Bool[Tensor, "n m"]
) -> Bool[Tensor, "n a"]:
    """Whether a prediction that learns no object is wrong: unless it meets an ignored object, and no other one more."""

    def greatest(chosen: Bool[Tensor, "n m"]) -> Float[Tensor, "n a"]:
        return (overlaps * chosen[:, :, None]).amax(1)

    doubtful = greatest(present & ignored)
    return (doubtful == 0) | (doubtful < greatest(present & ~ignored))


def task_aligned(found: Matches, *, top: int = 10, alpha: float = 0.5, beta: float = 6.0) -> Assignment:
    """TAL: an object takes the `top` points of greatest `t = score^alpha · IoU^beta`.

    Their shares are `t`, scaled so that the greatest of an object is the greatest IoU that a point of it has
    (equation 6).
    """
    aligned = found.scores**alpha * found.overlaps**beta
    rank = torch.where(found.allowed, aligned + CLOSENESS / (1 + found.steps), -1)
    claims = _among_best(rank, torch.full_like(rank[..., 0], top), top) & found.allowed
    objects = _settled(claims, rank, found.overlaps)
    won = _won(objects, len(rank[0]))
    greatest = (aligned * won).amax(-1, keepdim=True)
    scale = (found.overlaps * won).amax(-1, keepdim=True) / torch.where(greatest > 0, greatest, 1)
    return Assignment(objects, (aligned * won * scale).amax(1), found.counted | (objects >= 0))


def dynamic_soft(found: Matches, *, top: int = 13, reach: float = 3.0) -> Assignment:
    """RTMDet's: the points of least `CE(score, IoU)·(IoU - score)² + 3·(-ln IoU) + 10^(steps - reach)`; shares are
    IoUs.

    An object takes as many as the sum of its `top` greatest IoUs, at least one (as in Ge et al. 2021, arXiv
    2107.08430).
    """
    gap = (found.overlaps - found.scores).square()
    entropy = functional.binary_cross_entropy(found.scores, found.overlaps, reduction="none")
    cost = entropy * gap - 3 * found.overlaps.clamp(min=1e-7).log() + 10 ** (found.steps - reach).clamp(max=10)
    rank = torch.where(found.allowed, 1 / (1 + cost), -1)
    best = (found.overlaps * found.allowed).topk(min(top, rank.shape[-1])).values
    claims = _among_best(rank, best.sum(-1).floor().clamp(min=1), top) & found.allowed
    objects = _settled(claims, rank, rank)
    return Assignment(objects, (found.overlaps * _won(objects, len(rank[0]))).amax(1), found.counted | (objects >= 0))


def _among_best(rank: Float[Tensor, "n m a"], count: Float[Tensor, "n m"], most: int) -> Bool[Tensor, "n m a"]:
    """Whether a point is among the `count` of highest rank of its object, `most` at most."""
    places = rank.topk(min(most, rank.shape[-1])).indices
    chosen = torch.arange(places.shape[-1], device=rank.device) < count[..., None]
    return torch.zeros_like(rank, dtype=torch.bool).scatter(-1, places, chosen)


def _settled(
    claims: Bool[Tensor, "n m a"], rank: Float[Tensor, "n m a"], merit: Float[Tensor, "n m a"]
) -> Int[Tensor, "n a"]:
    """The object that gets each point: the one of greatest merit among those that claim it; -1 where none does.

    Before merit counts whether the point is the object's very best: a small object keeps a point within a large one.
    """
    first = claims & (rank == rank.amax(-1, keepdim=True))
    bids = torch.where(claims, merit + first, -1)
    greatest, objects = bids.max(1)
    return torch.where(greatest >= 0, objects, -1)


def _won(objects: Int[Tensor, "n a"], many: int) -> Bool[Tensor, "n m a"]:
    """Whether an object, of so many, got a point."""
    return objects[:, None] == torch.arange(many, device=objects.device)[:, None]


ASSIGNERS: Mapping[str, Callable[..., Assignment]] = {"task_aligned": task_aligned, "dynamic_soft": dynamic_soft}
