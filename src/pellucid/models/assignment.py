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


@dataclass(frozen=True, slots=True)
class Claims:
    """The points that each object would take, the best first: all that is looked at from there on."""

    points: Int[Tensor, "n m k"]
    ranks: Float[Tensor, "n m k"]
    made: Bool[Tensor, "n m k"]
    """Whether the object takes the point at all: it may want fewer."""


def matches(
    xyxy: Float[Tensor, "n a 4"], logits: Float[Tensor, "n a classes"], anchors: Anchors, targets: Mapping[str, Tensor]
) -> Matches:
    """Compare predictions with targets as `AbstractDetector.loss` takes them."""
    boxes, labels = targets["xyxy"], targets["labels"]
    present, ignored = labels >= 0, targets["ignored"]
    overlaps = overlap_table(boxes, xyxy)
    images = torch.arange(len(labels), device=labels.device)[:, None]
    x, y = anchors.points.T.contiguous()
    middles = (boxes[:, :, :2] + boxes[:, :, 2:]) / 2
    distances = torch.hypot(x - middles[:, :, :1], y - middles[:, :, 1:])
    return Matches(
        overlaps,
        logits.transpose(1, 2)[images, labels.clamp(min=0)].sigmoid(),
        distances / anchors.strides,
        _inside_or_nearest(boxes, present & ~ignored, (x, y), distances),
        background(overlaps, present, ignored),
    )


def overlap_table(boxes: Float[Tensor, "n m 4"], xyxy: Float[Tensor, "n a 4"]) -> Float[Tensor, "n m a"]:
    """IoU of every box of an image with every prediction for it."""
    by_coordinate = xyxy.transpose(1, 2).contiguous().transpose(1, 2)  # all lefts side by side, then all tops, …
    return iou(boxes[:, :, None], by_coordinate[:, None])


def _inside_or_nearest(
    boxes: Float[Tensor, "n m 4"],
    learnt: Bool[Tensor, "n m"],
    points: tuple[Float[Tensor, " a"], Float[Tensor, " a"]],
    distances: Float[Tensor, "n m a"],
) -> Bool[Tensor, "n m a"]:
    """Of objects that are learnt; of equally near points the first, which is of the finest level."""
    x, y = points
    left, top, right, bottom = boxes[..., None].unbind(2)
    depth = torch.minimum(torch.minimum(x - left, right - x), torch.minimum(y - top, bottom - y))
    inside = depth * learnt[:, :, None] > 0
    nearest = distances.argmin(-1, keepdim=True)
    lonely = (learnt & (depth.amax(-1) <= 0))[:, :, None]
    return inside.scatter(-1, nearest, inside.gather(-1, nearest) | lonely)


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
    aligned = found.scores**alpha * (found.overlaps ** (beta / 2)).square()  # cubes are fast, sixth powers are not
    rank = torch.where(found.allowed, aligned + CLOSENESS / (1 + found.steps), -1)
    claims = _claims(rank, torch.full_like(rank[..., 0], top), top)
    aligned, overlaps = (table.gather(2, claims.points) for table in (aligned, found.overlaps))
    objects, won = _settled(claims, overlaps, len(rank[0, 0]))
    greatest = (aligned * won).amax(-1, keepdim=True)
    scale = (overlaps * won).amax(-1, keepdim=True) / torch.where(greatest > 0, greatest, 1)
    return _assigned(found, claims, objects, aligned * won * scale)


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
    claims = _claims(rank, best.sum(-1).floor().clamp(min=1), top)
    objects, won = _settled(claims, claims.ranks, len(rank[0, 0]))
    return _assigned(found, claims, objects, found.overlaps.gather(2, claims.points) * won)


def _claims(rank: Float[Tensor, "n m a"], count: Float[Tensor, "n m"], most: int) -> Claims:
    """The `count` points of highest rank of each object, `most` at most, and none of rank below 0."""
    ranks, points = rank.topk(min(most, rank.shape[-1]))
    within = torch.arange(points.shape[-1], device=rank.device) < count[..., None]
    return Claims(points, ranks, within & (ranks >= 0))


def _settled(
    claims: Claims, merit: Float[Tensor, "n m k"], many: int
) -> tuple[Int[Tensor, "n a"], Bool[Tensor, "n m k"]]:
    """The object that gets each of so many points, -1 where none claims it, and which claims are met.

    A point goes to the object of greatest merit, of equal ones the first. Before merit counts whether the point is the
    object's very best: a small object keeps a point within a large one.
    """
    bids = torch.where(claims.made, merit + (claims.ranks == claims.ranks[..., :1]), -1)
    places, objects = claims.points.flatten(1), torch.arange(bids.shape[1], device=bids.device)[:, None]
    highest = bids.new_full((len(bids), many), -1).scatter_reduce(1, places, bids.flatten(1), "amax")
    leading = claims.made & (bids == highest.gather(1, places).view_as(bids))
    takers = torch.where(leading, objects, len(objects)).flatten(1)
    owners = places.new_full(highest.shape, len(objects)).scatter_reduce(1, places, takers, "amin")
    won = leading & (owners.gather(1, places).view_as(bids) == objects)
    return torch.where(owners < len(objects), owners, -1), won


def _assigned(
    found: Matches, claims: Claims, objects: Int[Tensor, "n a"], shares: Float[Tensor, "n m k"]
) -> Assignment:
    """`shares` are those of the claims, 0 where another object has the point."""
    by_point = torch.zeros_like(objects, dtype=shares.dtype)
    by_point = by_point.scatter_add(1, claims.points.flatten(1), shares.flatten(1))
    return Assignment(objects, by_point, found.counted | (objects >= 0))


ASSIGNERS: Mapping[str, Callable[..., Assignment]] = {"task_aligned": task_aligned, "dynamic_soft": dynamic_soft}
