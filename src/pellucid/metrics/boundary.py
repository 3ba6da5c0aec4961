"""Boundary IoU: how well contours agree (Cheng, Girshick, Dollár, Berg & Kirillov 2021, arXiv 2103.16562).

Of each class only the pixels within d of its contour are compared, `|(G_d ∩ G) ∩ (P_d ∩ P)| / |(G_d ∩ G) ∪ (P_d ∩ P)|`,
so that a large region cannot hide a poor outline. As in the authors' code the band of a class is its mask minus the
mask's erosion by a square of 2d + 1 pixels, with nothing beyond the image: the image's border is a contour too.

Ignored pixels (target IGNORE) lie in no band, whatever is predicted there, and make no contour: the erosion counts them
as part of every mask. Contours are thus where two classes are known to meet, and a prediction that is right on every
other pixel has boundary IoU 1.
"""

import math

import numpy as np
from jaxtyping import Bool, Int, UInt8
from numpy import ndarray, ufunc

from pellucid.metrics.regions import IGNORE, pixel_pairs, region_counts

__all__ = ["DISTANCES", "band_depth", "boundary_counts", "contour_counts"]

SHARE = 0.02  # of the image's diagonal, as the authors' code has it
DISTANCES = (1, 2, 4, 8, 16)
"""Pixels from a contour, at which errors are counted."""


def band_depth(height: int, width: int) -> int:
    """d in pixels: 2 % of the diagonal, at least 1."""
    return max(1, round(SHARE * math.hypot(height, width)))


def boundary_counts(
    labels: UInt8[ndarray, "h w"], target: UInt8[ndarray, "h w"], classes: int
) -> Int[ndarray, "3 classes"]:
    """Pixels of each class in both bands, in the target's and in the prediction's.

    `regions.class_iou` and `regions.mean_iou` of these, or of their sum over images, are boundary IoU.
    """
    depth = band_depth(*target.shape)
    judged = np.where(target == IGNORE, target, labels)
    pairs = pixel_pairs(_bands(judged, depth), _bands(target, depth), classes)
    return region_counts(pairs)[:, :-1]


def contour_counts(labels: UInt8[ndarray, "h w"], target: UInt8[ndarray, "h w"]) -> Int[ndarray, "2 distances_1"]:
    """Wrong pixels, and all pixels, within each of DISTANCES of a contour of the target; in the last column, anywhere.

    A contour is where two classes meet, ignored pixels and the image's border being none; a pixel is within d of it
    when the square of 2d + 1 pixels around it holds two classes.
    """
    known = target != IGNORE
    rows = [np.array([(wrong := known & (labels != target)).sum(), known.sum()])]
    for distance in reversed(DISTANCES):
        near = known & _near(target, distance)
        rows.append(np.array([(wrong & near).sum(), near.sum()]))
    return np.stack(rows[::-1], axis=1)


def _near(target: UInt8[ndarray, "h w"], distance: int) -> Bool[ndarray, "h w"]:
    """Whether the square around a pixel, as far as it lies in the image, holds two classes."""
    padded = np.pad(target, distance, mode="edge")
    greatest = _over_squares(np.maximum, np.where(padded == IGNORE, 0, padded), 2 * distance + 1)
    least = _over_squares(np.minimum, padded, 2 * distance + 1)
    return (greatest != least) & (least != IGNORE)


def _bands(labels: UInt8[ndarray, "h w"], depth: int) -> UInt8[ndarray, "h w"]:
    """The labels of the pixels in the band of their class, IGNORE elsewhere.

    The erosion of a mask keeps a pixel whose square lies in the image and holds one class. That is the same question
    for every class: is the greatest label in the square also the least?
    """
    width = 2 * depth + 1
    eroded = np.zeros(labels.shape, bool)
    if min(labels.shape) >= width:
        greatest = _over_squares(np.maximum, np.where(labels == IGNORE, 0, labels), width)
        least = _over_squares(np.minimum, labels, width)  # IGNORE is above every class
        eroded[depth:-depth, depth:-depth] = greatest == least
    return np.where(eroded, IGNORE, labels)


def _over_squares(extreme: ufunc, labels: UInt8[ndarray, "h w"], width: int) -> UInt8[ndarray, "rows columns"]:
    """`extreme` over every square of `width` pixels that lies within the image."""
    return _down_columns(extreme, _down_columns(extreme, labels, width).T, width).T


def _down_columns(extreme: ufunc, labels: UInt8[ndarray, "h w"], width: int) -> UInt8[ndarray, "rows w"]:
    """`extreme` over every `width` pixels of a column: two halves make a whole, so log2(width) steps do."""
    reach = 1
    while reach < width:
        step = min(reach, width - reach)
        labels = extreme(labels[:-step], labels[step:])
        reach += step
    return labels
