"""Which of many boxes to keep: non-maximum suppression in NumPy, which is quicker than torch at many small steps, and
is at hand where an exported file is served without torch.

Boxes are rows of `xyxy` (left, top, right, bottom; corners half-open) in any unit. A box whose corners are swapped has
no area.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

__all__ = ["nms"]

BLOCK = 64  # boxes that a round of `nms` decides upon
WINDOW = 512  # boxes of the first window: more are seldom needed to keep `most`


def nms(
    xyxy: Float[ndarray, "n 4"],
    scores: Float[ndarray, " n"],
    labels: Int[ndarray, " n"],
    threshold: float,
    *,
    most: int,
    agnostic: bool = False,
) -> tuple[Int[ndarray, " kept"], Int[ndarray, " n"], Float[ndarray, " n"]]:
    """Non-maximum suppression: (kept, suppressor, overlap).

    By descending score, of equal ones the first, a box is kept unless its IoU with a kept one of its class (`agnostic`:
    of any class) is above `threshold`, until `most` are kept. `kept` holds their places in that order. Of each dropped
    box, `suppressor` is the place of the first kept one that overlaps it so, and `overlap` their IoU; -1 and 0 for kept
    boxes, and where `most` are kept for all of lower score, which are cut off.

    Boxes come in windows of descending score, each twice as wide as the one before. In a window, a round decides upon
    the BLOCK highest scores that are left and drops what they suppress of the others, so that a box is hardly compared
    with more than the kept boxes up to its suppressor, and boxes far after the last that is kept with none.
    """
    order = np.argsort(-scores, kind="stable")
    kinds = np.zeros(len(order), np.int64) if agnostic else labels[order]
    kept, hitters, values = _suppressed(xyxy.T[:, order], kinds, threshold, most)
    suppressor, overlap = np.empty_like(order), np.empty_like(values)
    suppressor[order] = np.where(hitters < 0, -1, order[hitters])
    overlap[order] = values
    return order[kept], suppressor, overlap


def _suppressed(
    xyxy: Float[ndarray, "4 n"], kinds: Int[ndarray, " n"], threshold: float, most: int
) -> tuple[Int[ndarray, " kept"], Int[ndarray, " n"], Float[ndarray, " n"]]:
    """`nms` of boxes in descending order of score."""
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
    for left in _windows(len(kinds)):
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


def _windows(count: int) -> Iterator[Int[ndarray, " places"]]:
    """All places in turn, in windows of which each is twice as wide as the one before."""
    start, width = 0, WINDOW
    while start < count:
        yield np.arange(start, min(start + width, count))
        start, width = start + width, 2 * width


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
