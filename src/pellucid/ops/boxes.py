"""The arithmetic of boxes: their areas, how much two of them overlap, and which of many to keep.

Boxes are rows of `xyxy` (left, top, right, bottom; corners half-open, so a width is right - left, without a + 1) or of
`cxcywh` (middle, width, height), in any unit. A box whose corners are swapped has no area. Everything is differentiable
apart from `nms`, also where boxes have no area, do not meet or are the same.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pellucid.ops import suppression

__all__ = [
    "areas",
    "ciou",
    "clip_xyxy",
    "cxcywh_of_xyxy",
    "diou",
    "giou",
    "iou",
    "nms",
    "pairwise_iou",
    "xyxy_of_cxcywh",
]


def xyxy_of_cxcywh(cxcywh: Float[Tensor, "*rows 4"]) -> Float[Tensor, "*rows 4"]:
    """The corners of boxes given by middle, width and height."""
    middle, half = cxcywh[..., :2], cxcywh[..., 2:] / 2
    return torch.cat([middle - half, middle + half], dim=-1)


def cxcywh_of_xyxy(xyxy: Float[Tensor, "*rows 4"]) -> Float[Tensor, "*rows 4"]:
    """Middle, width and height of boxes given by their corners."""
    return torch.cat([(xyxy[..., :2] + xyxy[..., 2:]) / 2, xyxy[..., 2:] - xyxy[..., :2]], dim=-1)


def areas(xyxy: Float[Tensor, "*rows 4"]) -> Float[Tensor, "*rows"]:
    """Width times height, 0 where a right or lower corner is not beyond its opposite."""
    width, height = _sides(xyxy)
    return width * height


def clip_xyxy(xyxy: Float[Tensor, "*rows 4"], *, height: float, width: float) -> Float[Tensor, "*rows 4"]:
    """The part of each box within an image of this size; of a box outside, a line or point on the border."""
    x, y = xyxy[..., 0::2].clamp(0, width), xyxy[..., 1::2].clamp(0, height)
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], dim=-1)


def pairwise_iou(first: Float[Tensor, "n 4"], second: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """IoU of each box with each of the others."""
    return iou(_by_coordinate(first)[:, None], _by_coordinate(second))


def iou(first: Float[Tensor, "*#rows 4"], second: Float[Tensor, "*#rows 4"]) -> Float[Tensor, "..."]:
    """Intersection over union `I / U` of boxes side by side, 0 where both have no area."""
    shared, union = _shared_and_union(first, second)
    return _quotient(shared, union)


def giou(first: Float[Tensor, "*#rows 4"], second: Float[Tensor, "*#rows 4"]) -> Float[Tensor, "..."]:
    """`IoU - (C - U) / C`, C being the area of the smallest box around both (Rezatofighi et al. 2019, algorithm 1)."""
    shared, union = _shared_and_union(first, second)
    width, height = _sides_around(first, second)
    around = width * height
    return _quotient(shared, union) - _quotient(around - union, around)


def diou(first: Float[Tensor, "*#rows 4"], second: Float[Tensor, "*#rows 4"]) -> Float[Tensor, "..."]:
    """`IoU - ρ² / c²`: ρ between the middles, c the diagonal of the smallest box around both (Zheng et al. 2020)."""
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    width, height = _sides_around(first, second)
    return iou(first, second) - _quotient((apart**2).sum(dim=-1), width**2 + height**2)


def ciou(first: Float[Tensor, "*#rows 4"], second: Float[Tensor, "*#rows 4"]) -> Float[Tensor, "..."]:
    """`DIoU - α·v` with `v = (4 / π²)·(atan(w_2 / h_2) - atan(w_1 / h_1))²` and `α = v / (1 - IoU + v)`.

    Zheng et al. 2020, equations 10 and 11. α is a weight, through which no gradient passes.
    """
    v = (4 / math.pi**2) * (_slant(second) - _slant(first)) ** 2
    with torch.no_grad():
        alpha = _quotient(v, 1 - iou(first, second) + v)
    return diou(first, second) - alpha * v


def nms(
    xyxy: Float[Tensor, "n 4"],
    scores: Float[Tensor, " n"],
    labels: Int[Tensor, " n"],
    threshold: float,
    *,
    most: int,
    agnostic: bool = False,
) -> tuple[Int[Tensor, " kept"], Int[Tensor, " n"], Float[Tensor, " n"]]:
    """Non-maximum suppression of tensors: (kept, suppressor, overlap), as `suppression.nms` says."""
    corners, values, kinds = (tensor.detach().cpu().numpy() for tensor in (xyxy, scores, labels))
    found = suppression.nms(corners, values, kinds, threshold, most=most, agnostic=agnostic)
    kept, suppressor, overlap = (torch.from_numpy(array).to(xyxy.device) for array in found)
    return kept, suppressor, overlap


def _by_coordinate(xyxy: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """The same boxes, all lefts side by side in memory, then all tops …: twice as fast to compare."""
    return xyxy.T.contiguous().T


def _sides(xyxy: Float[Tensor, "*rows 4"]) -> tuple[Float[Tensor, "*rows"], Float[Tensor, "*rows"]]:
    """Width and height, not below 0."""
    left, top, right, bottom = xyxy.unbind(-1)
    return (right - left).clamp(min=0), (bottom - top).clamp(min=0)


def _sides_around(
    first: Float[Tensor, "*#rows 4"], second: Float[Tensor, "*#rows 4"]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """Width and height of the smallest box around both."""
    left, top, right, bottom = first.unbind(-1)
    left_2, top_2, right_2, bottom_2 = second.unbind(-1)
    width = torch.maximum(right, right_2) - torch.minimum(left, left_2)
    height = torch.maximum(bottom, bottom_2) - torch.minimum(top, top_2)
    return width.clamp(min=0), height.clamp(min=0)


def _shared_and_union(
    first: Float[Tensor, "*#rows 4"], second: Float[Tensor, "*#rows 4"]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    left, top, right, bottom = first.unbind(-1)
    left_2, top_2, right_2, bottom_2 = second.unbind(-1)
    width = torch.minimum(right, right_2) - torch.maximum(left, left_2)
    height = torch.minimum(bottom, bottom_2) - torch.maximum(top, top_2)
    shared = width.clamp(min=0) * height.clamp(min=0)
    return shared, areas(first) + areas(second) - shared


def _quotient(above: Float[Tensor, "..."], below: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """`above / below`, 0 with gradient 0 where `below` is not positive."""
    return above / torch.where(below > 0, below, math.inf)


def _slant(xyxy: Float[Tensor, "*rows 4"]) -> Float[Tensor, "*rows"]:
    """`atan(w / h)`, 0 for a point."""
    width, height = _sides(xyxy)
    return torch.atan2(width, torch.where((width > 0) | (height > 0), height, 1))
