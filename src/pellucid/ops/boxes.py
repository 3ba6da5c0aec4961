"""The arithmetic of boxes: their areas, how much two of them overlap, and which of many to keep.

Boxes are rows of `xyxy` (left, top, right, bottom; corners half-open, so a width is right - left, without a + 1) or of
`cxcywh` (middle, width, height), in any unit. A box whose corners are swapped has no area. Everything is differentiable
apart from `nms`, also where boxes have no area, do not meet or are the same.
"""

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

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

BLOCK = 64  # boxes that a round of `nms` decides upon
WINDOW = 2048  # boxes whose suppression one look at kept boxes finds: more are seldom needed to keep `most`


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
    """Non-maximum suppression: (kept, suppressor, overlap).

    By descending score, of equal ones the first, a box is kept unless its IoU with a kept one of its class (`agnostic`:
    of any class) is above `threshold`, until `most` are kept. `kept` holds their places in that order. Of each dropped
    box, `suppressor` is the place of the first kept one that overlaps it so, and `overlap` their IoU; -1 and 0 for kept
    boxes, and where `most` are kept for all of lower score, which are cut off.

    Boxes come in windows of descending score. In a window, a round decides upon the BLOCK highest scores that are left
    and drops what they suppress of the others, so that a box is hardly compared with more than the kept boxes up to its
    suppressor, and boxes after the last that may be kept with none.
    """
    corners, values, kinds = (tensor.detach().cpu().numpy() for tensor in (xyxy, scores, labels))
    order = np.argsort(-values, kind="stable")
    kinds = np.zeros(len(order), np.int64) if agnostic else kinds[order]
    kept, hitters, values = _suppressed(corners.T[:, order], kinds, threshold, most)
    suppressor, overlap = np.empty_like(order), np.empty_like(values)
    suppressor[order] = np.where(hitters < 0, -1, order[hitters])
    overlap[order] = values
    found = (torch.from_numpy(array).to(xyxy.device) for array in (order[kept], suppressor, overlap))
    return next(found), next(found), next(found)


def _suppressed(
    xyxy: Float[ndarray, "4 n"], kinds: Int[ndarray, " n"], threshold: float, most: int
) -> tuple[Int[ndarray, " kept"], Int[ndarray, " n"], Float[ndarray, " n"]]:
    """`nms` of boxes in descending order of score, in NumPy, which is quicker at many small steps."""
    sides = np.maximum(xyxy[2:] - xyxy[:2], 0)
    boxes = np.concatenate([xyxy, sides[:1] * sides[1:]])
    hitters, overlaps = np.full(len(kinds), -1), np.zeros_like(xyxy[0])
    kept: list[ndarray] = []

    def rest(places: Int[ndarray, " left"], chosen: Int[ndarray, " chosen"]) -> Int[ndarray, " rest"]:
        """Those of `places` that the chosen ones leave; what becomes of the others is noted."""
        clashes, values = _clashes(boxes, kinds, chosen, places, threshold)
        hit = np.flatnonzero(clashes.any(axis=0))
        first = clashes[:, hit].argmax(axis=0)  # of equal values, argmax gives the first
        hitters[places[hit]], overlaps[places[hit]] = chosen[first], values[first, hit]
        return np.delete(places, hit)

    room = most
    for start in range(0, len(kinds), WINDOW):
        left = np.arange(start, min(start + WINDOW, len(kinds)))
        for chosen in kept:
            left = rest(left, chosen)
        while len(left) and room:
            block = left[:BLOCK]
            clashes, _ = _clashes(boxes, kinds, block, block, threshold)
            chosen = block[_undisturbed(clashes)][:room]
            kept.append(chosen)
            room -= len(chosen)
            left = left[~np.isin(left, chosen)]
            left = rest(left if room else left[left < chosen[-1]], chosen)
        if not room:
            break
    places = np.concatenate([*kept, np.arange(0)])
    end = len(kinds) if room else int(places.max(initial=-1)) + 1
    hitters[end:], overlaps[end:] = -1, 0
    return places, hitters, overlaps


def _clashes(
    boxes: Float[ndarray, "5 n"],
    kinds: Int[ndarray, " n"],
    rows: Int[ndarray, " rows"],
    columns: Int[ndarray, " columns"],
    threshold: float,
) -> tuple[Bool[ndarray, "rows columns"], Float[ndarray, "rows columns"]]:
    """Whether one of two boxes suppresses the other, and their IoU: NaN of two without area, which is above nothing.

    The fifth row of `boxes` is their area.
    """
    first, second = boxes[:, rows, None], boxes[:, columns]
    shared = _overlap(first[0:4:2], second[0:4:2])
    shared *= _overlap(first[1:4:2], second[1:4:2])
    union = first[4] + second[4]
    union -= shared
    with np.errstate(invalid="ignore"):
        values = np.divide(shared, union, out=shared)
    return (values > threshold) & (kinds[rows, None] == kinds[columns]), values


def _overlap(first: Float[ndarray, "2 rows 1"], second: Float[ndarray, "2 columns"]) -> Float[ndarray, "rows columns"]:
    """How long two intervals meet; in place, since memory for many pairs takes as long as their arithmetic."""
    lengths = np.minimum(first[1], second[1])
    lengths -= np.maximum(first[0], second[0])
    return np.maximum(lengths, 0, out=lengths)


def _undisturbed(clashes: Bool[ndarray, "n n"]) -> Bool[ndarray, " n"]:
    """Which rows greedy suppression keeps: those that no kept one before them clashes with.

    The sentence is its own solution: put into itself again and again, from all being kept, it is settled for one more
    row each time at least, in practice within a handful of times.
    """
    before = np.triu(clashes, 1)
    kept: ndarray = np.ones(len(clashes), bool)
    for _ in clashes:
        kept, former = ~before[kept].any(axis=0), kept
        if np.array_equal(kept, former):
            break
    return kept


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
    sound = below > 0
    return torch.where(sound, above, 0) / torch.where(sound, below, 1)


def _slant(xyxy: Float[Tensor, "*rows 4"]) -> Float[Tensor, "*rows"]:
    """`atan(w / h)`, 0 for a point."""
    width, height = _sides(xyxy)
    return torch.atan2(width, torch.where((width > 0) | (height > 0), height, 1))
