"""Figures of segmentation from the pixels that target and prediction share (Long, Shelhamer & Darrell 2015, section 5).

An image gives whole numbers, `3 classes`: of each class its hits n_ii, its target pixels t_i = Σ_j n_ij and its
predicted pixels Σ_j n_ji, where n_ij are the pixels of class i predicted as class j. Sums over images are of the same
kind, and every figure is a function of such sums; leading axes (images, resamples) go through. Pixels whose target is
IGNORE count nowhere. Figures are fractions of 1; 0/0 is NaN, and a mean over classes leaves NaN out.
"""

import numpy as np
from jaxtyping import Float, Int, Num, Shaped, UInt8
from numpy import ndarray

from pellucid.errors import DataError
from pellucid.metrics.counts import quotient

__all__ = [
    "IGNORE",
    "class_accuracy",
    "class_dice",
    "class_iou",
    "frequency_weighted_iou",
    "mean_accuracy",
    "mean_iou",
    "pixel_accuracy",
    "pixel_confusion",
    "pixel_pairs",
    "region_counts",
]

IGNORE = 255
CHUNK = 1 << 18  # pixels counted at once: their codes stay in the processor's cache


def pixel_confusion(
    labels: UInt8[ndarray, "h w"], target: UInt8[ndarray, "h w"], classes: int
) -> Int[ndarray, "classes classes"]:
    """Pixels n_ij of one image by target (row) and prediction (column)."""
    pairs = pixel_pairs(labels, target, classes)
    if unlabelled := int(pairs[:-1, -1].sum()):
        raise DataError(
            f"A prediction has {unlabelled:,} pixels of value {IGNORE}, which stands for ignored pixels of a target: "
            "a prediction gives every pixel a class."
        )
    return pairs[:-1, :-1]


def region_counts(confusion: Int[ndarray, "classes classes"]) -> Int[ndarray, "3 classes"]:
    """Hits, target pixels and predicted pixels of each class."""
    return np.stack([np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)])


def pixel_pairs(
    labels: UInt8[ndarray, "h w"], target: UInt8[ndarray, "h w"], classes: int
) -> Int[ndarray, "classes_1 classes_1"]:
    """Pixels by target (row) and prediction (column), with one row and column more for IGNORE, the last ones."""
    first, second = target.ravel(), labels.ravel()
    table = np.zeros(1 << 16, np.int64)
    for start in range(0, first.size, CHUNK):
        part = slice(start, start + CHUNK)
        table += np.bincount((first[part].astype(np.uint16) << 8) | second[part], minlength=1 << 16)
    pairs = table.reshape(256, 256)
    known = [*range(classes), IGNORE]
    _check_classes(pairs, known)
    return pairs[np.ix_(known, known)]


def class_iou(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows classes"]:
    """`n_ii / (t_i + Σ_j n_ji - n_ii)`: 0 for a class that is predicted but nowhere in the target."""
    hits, target, predicted = np.moveaxis(counts, -2, 0)
    return quotient(hits, target + predicted - hits)


def class_dice(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows classes"]:
    """`2·n_ii / (t_i + Σ_j n_ji)`, which is F1 of the pixels (Dice 1945)."""
    hits, target, predicted = np.moveaxis(counts, -2, 0)
    return quotient(2 * hits, target + predicted)


def class_accuracy(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows classes"]:
    """`n_ii / t_i`, the recall of the pixels of each class."""
    hits, target, _ = np.moveaxis(counts, -2, 0)
    return quotient(hits, target)


def mean_iou(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows"]:
    """The mean IoU of the classes that occur in target or prediction; each counts the same."""
    return _class_mean(class_iou(counts))


def mean_accuracy(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows"]:
    """The mean accuracy of the classes that occur in the target; each counts the same."""
    return _class_mean(class_accuracy(counts))


def pixel_accuracy(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows"]:
    """`Σ_i n_ii / Σ_i t_i`, the share of pixels that are right."""
    hits, target, _ = np.moveaxis(counts, -2, 0)
    return _quotient_of_sums(hits, target)


def frequency_weighted_iou(counts: Num[ndarray, "*rows 3 classes"]) -> Float[ndarray, "*rows"]:
    """`Σ_i t_i·IoU_i / Σ_k t_k`: each class counts by its target pixels."""
    target = counts[..., 1, :]
    return _quotient_of_sums(target * np.nan_to_num(class_iou(counts)), target)


def _class_mean(figures: Float[ndarray, "*rows classes"]) -> Float[ndarray, "*rows"]:
    return _quotient_of_sums(np.nan_to_num(figures), np.isfinite(figures))


def _quotient_of_sums(
    above: Num[ndarray, "*rows classes"], below: Shaped[ndarray, "*rows classes"]
) -> Float[ndarray, "*rows"]:
    return quotient(above.sum(axis=-1, keepdims=True), below.sum(axis=-1, keepdims=True))[..., 0]


def _check_classes(pairs: Int[ndarray, "256 256"], known: list[int]) -> None:
    found = np.flatnonzero(pairs.sum(axis=0) + pairs.sum(axis=1))
    unknown = sorted({*found.tolist()} - {*known})
    if unknown:
        raise DataError(
            f"A mask has pixels of value {unknown[0]}, which is no class: with {len(known) - 1} classes they are "
            f"0 to {len(known) - 2}, or {IGNORE} for pixels to ignore. Renumber the mask."
        )
