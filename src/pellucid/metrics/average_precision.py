"""Average precision: the area under a precision-recall curve, in the three ways that have been published with.

- COCO: the greatest precision at 101 recalls, 0, 0.01 … 1, or beyond each; in floats, as its own code has it.
- VOC to 2009: the same at eleven recalls, 0, 0.1 … 1. Compared in whole numbers: in floats, 3 of 10 are not 0.1·3.
- VOC since 2010: the whole area below the curve that falls nowhere from the right.

Weights are how often the image of a detection is in a resample. A row of weight 2 stands for two rows side by side, and
gives the same figure as if each image's copies were judged anew, apart from the order of equal scores.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Num
from numpy import ndarray
from numpy.random import Generator

from pellucid.metrics.detection import THRESHOLDS, Judged, Matches
from pellucid.metrics.intervals import Difference, difference, image_draws

__all__ = [
    "RECALLS",
    "PrecisionRecall",
    "class_precisions",
    "coco_precisions",
    "eleven_point",
    "paired_precisions",
    "precision_recall",
    "resampled_precisions",
    "voc_hits",
    "whole_area",
]

RECALLS = np.linspace(0.0, 1.0, 101)
RESAMPLES = 1000
CELLS = 2_000_000  # cumulated weights held at once
EPSILON = np.spacing(1)  # keeps COCO's precision of nothing at 0


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Precision and recall after each detection that counts, by descending score."""

    scores: Float[ndarray, " n"]
    precision: Float[ndarray, " n"]
    recall: Float[ndarray, " n"]


def precision_recall(scores: Float[ndarray, " n"], hits: Bool[ndarray, " n"], positives: int) -> PrecisionRecall:
    """The curve of detections in descending order of score; recall is NaN without positives."""
    found = np.cumsum(hits)
    recall = found / positives if positives else np.full(len(hits), np.nan)
    return PrecisionRecall(scores, found / np.arange(1, len(hits) + 1), recall)


def eleven_point(hits: Bool[ndarray, " n"], positives: int) -> float:
    """VOC to 2009: `(1/11) Σ_{k=0..10} max {p(i): 10·tp(i) >= k·positives}`, hits by descending score."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    return sum(float(precision[10 * found >= k * positives].max(initial=0)) for k in range(11)) / 11


def whole_area(hits: Bool[ndarray, " n"], positives: int) -> float:
    """VOC since 2010: `Σ (r_i - r_{i-1}) · max_{j >= i} p_j`; recall rises at hits, by 1 / positives."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(falling[hits].sum() / positives)


def voc_hits(
    overlaps: Sequence[Float[ndarray, "_ _"]], scores: Sequence[Float[ndarray, " _"]], threshold: float
) -> Bool[ndarray, " n"]:
    """VOC's matching of one class: whether each detection is a hit, by descending score over all images.

    `overlaps` are the IoUs of an image's detections (rows) with its targets (columns). A detection looks at the target
    of highest IoU only: it is a hit if that IoU reaches `threshold` and no detection before it took the target.
    """
    images = np.repeat(np.arange(len(scores)), [len(row) for row in scores])
    places = np.concatenate([np.arange(len(row)) for row in scores])
    taken: set[tuple[int, int]] = set()
    hits = []
    for at in np.argsort(-np.concatenate(scores), kind="stable"):
        row = overlaps[images[at]][places[at]]
        target = (int(images[at]), int(row.argmax()) if len(row) else -1)
        hits.append(len(row) > 0 and bool(row.max() >= threshold) and target not in taken)
        taken |= {target} if hits[-1] else set()
    return np.array(hits, bool)


def coco_precisions(
    hits: Bool[ndarray, " n"], weights: Num[ndarray, "resamples n"], positives: Num[ndarray, " resamples"]
) -> Float[ndarray, " resamples"]:
    """COCO's AP of one class at one threshold from the counted detections by descending score; NaN without positives.

    Recall rises at hits only, so precision is looked at there. Between two hits lie the recalls that the second one is
    the first to reach: their number times the greatest precision from there on is what it adds.
    """
    return _precisions(weights[:, hits].cumsum(axis=1), weights.cumsum(axis=1)[:, hits], positives)


def class_precisions(judged: Judged, matches: Matches) -> Float[ndarray, "thresholds classes"]:
    """COCO's AP of every class at each of THRESHOLDS, NaN for a class without objects."""
    return _class_precisions(judged, matches, np.ones((1, judged.images)))[0]


def resampled_precisions(
    judged: Judged, matches: Matches, rng: Generator, *, resamples: int = RESAMPLES
) -> Float[ndarray, "resamples thresholds"]:
    """AP at each threshold, the mean over the classes that have objects, for resamples of the images."""
    draws = _draws(judged, resamples, rng)
    return np.concatenate([_class_mean(_class_precisions(judged, matches, weights)) for weights in draws])


def paired_precisions(
    first: tuple[Judged, Matches], second: tuple[Judged, Matches], rng: Generator, *, resamples: int = RESAMPLES
) -> Difference:
    """The difference of two models' AP on the same images, each resample drawn once for both."""
    drawn = [
        [_class_mean(_class_precisions(*model, weights)).mean(axis=1) for model in (first, second)]
        for weights in _draws(first[0], resamples, rng)
    ]
    values = [float(_class_mean(class_precisions(*model)[None]).mean()) for model in (first, second)]
    return difference(values[0] - values[1], np.concatenate([one - other for one, other in drawn]))


def _draws(judged: Judged, resamples: int, rng: Generator) -> Iterator[Float[ndarray, "_ images"]]:
    """How often each image is drawn, in parts whose cumulated weights fit the memory."""
    cells = max(judged.images, len(judged.seen_in), 1)
    return image_draws(judged.images, resamples, rng, rows=max(1, CELLS // cells))


def _class_precisions(
    judged: Judged, matches: Matches, draws: Float[ndarray, "resamples images"]
) -> Float[ndarray, "resamples thresholds classes"]:
    positives = draws @ judged.positives
    found = np.full((len(draws), len(THRESHOLDS), judged.classes), np.nan)
    for label in np.flatnonzero(judged.positives.any(axis=0)):
        own = np.flatnonzero(judged.detections.labels == label)
        weights = draws[:, judged.seen_in[own]]
        shown = weights.cumsum(axis=1)
        for level in range(len(THRESHOLDS)):
            hits, counted = matches.hits[level, own], matches.counted[level, own]
            totals = shown if counted.all() else (weights * counted).cumsum(axis=1)
            found[:, level, label] = _precisions(weights[:, hits].cumsum(axis=1), totals[:, hits], positives[:, label])
    return found


def _precisions(
    found: Num[ndarray, "resamples hits"], shown: Num[ndarray, "resamples hits"], positives: Num[ndarray, " resamples"]
) -> Float[ndarray, " resamples"]:
    """AP from the weights of the hits, and of all that counts, up to and with each hit."""
    falling = np.maximum.accumulate((found / (shown + EPSILON))[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(positives, 1)[:, None]
    reached = np.searchsorted(RECALLS, recall, side="right")
    precision = (falling * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS)
    return np.where(positives > 0, precision, np.nan)


def _class_mean(precisions: Float[ndarray, "resamples thresholds classes"]) -> Float[ndarray, "resamples thresholds"]:
    """The mean over the classes that are not NaN; NaN where all are."""
    known = np.isfinite(precisions)
    sums, counts = np.where(known, precisions, 0).sum(axis=2), known.sum(axis=2)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
