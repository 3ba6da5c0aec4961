"""Average precision: the area under a precision-recall curve, in the three ways that have been published with.

- COCO: the greatest precision at 101 recalls, 0, 0.01 … 1, or beyond each; in floats, as its own code has it.
- VOC to 2009: the same at eleven recalls, 0, 0.1 … 1. Compared in whole numbers: in floats, 3 of 10 are not 0.1·3.
- VOC since 2010: the whole area below the curve that falls nowhere from the right.

Weights are how often the image of a detection is in a resample. A row of weight 2 stands for two rows side by side, and
gives the same figure as if each image's copies were judged anew, apart from the order of equal scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
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
CELLS = 8_000_000  # weights held at once: 32 MB
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


def coco_precisions(hits: Bool[ndarray, " n"], positives: int) -> float:
    """COCO's AP of one class at one threshold from the detections that count, by descending score; NaN of nothing.

    Recall rises at hits only, so precision is looked at there. Between two hits lie the recalls that the second one is
    the first to reach: their number times the greatest precision from there on is what it adds.
    """
    found, shown = np.arange(hits.sum()) + 1, np.flatnonzero(hits) + 1
    return float(_precisions(found[:, None], shown[:, None], np.array([positives]))[0])


def class_precisions(judged: Judged, matches: Matches) -> Float[ndarray, "thresholds classes"]:
    """COCO's AP of every class at each of THRESHOLDS, NaN for a class without objects."""
    return _class_precisions(_by_class(judged, matches), np.ones((judged.images, 1), np.int32))[0]


def resampled_precisions(
    judged: Judged, matches: Matches, rng: Generator, *, resamples: int = RESAMPLES
) -> Float[ndarray, "resamples thresholds"]:
    """AP at each threshold, the mean over the classes that have objects, for resamples of the images."""
    classes = _by_class(judged, matches)
    draws = image_draws(judged.images, resamples, rng, rows=_rows(judged.images, classes))
    return np.concatenate([_class_mean(_class_precisions(classes, weights)) for weights in draws])


def paired_precisions(
    first: tuple[Judged, Matches], second: tuple[Judged, Matches], rng: Generator, *, resamples: int = RESAMPLES
) -> Difference:
    """The difference of two models' AP on the same images, each resample drawn once for both."""
    classes = [_by_class(*model) for model in (first, second)]
    images = first[0].images
    rows = min(_rows(images, one) for one in classes)
    draws = image_draws(images, resamples, rng, rows=rows)
    drawn = [[_class_mean(_class_precisions(one, weights)).mean(axis=1) for one in classes] for weights in draws]
    values = [_class_mean(_class_precisions(one, np.ones((images, 1), np.int32))).mean() for one in classes]
    return difference(float(values[0] - values[1]), np.concatenate([one - other for one, other in drawn]))


@dataclass(frozen=True, slots=True)
class _Class:
    """The detections of one class by descending score: their images, and the places of hits and of what is ignored."""

    images: Int[ndarray, " n"]
    hits: tuple[Int[ndarray, " _"], ...]
    ignored: tuple[Int[ndarray, " _"], ...]
    positives: Int[ndarray, " images"]


def _by_class(judged: Judged, matches: Matches) -> list[_Class]:
    order = np.argsort(judged.detections.labels, kind="stable")
    ends = np.searchsorted(judged.detections.labels[order], np.arange(1, judged.classes))
    hits, counted, positives = matches.hits, matches.counted, judged.positives
    return [
        _Class(
            images=judged.seen_in[own],
            hits=tuple(map(np.flatnonzero, hits[:, own])),
            ignored=tuple(map(np.flatnonzero, ~counted[:, own])),
            positives=positives[:, label],
        )
        for label, own in enumerate(np.split(order, ends))
    ]


def _rows(images: int, classes: Sequence[_Class]) -> int:
    """How many resamples fit the memory at once."""
    return max(1, CELLS // max(images, *(len(one.images) for one in classes)))


def _class_precisions(
    classes: Sequence[_Class], draws: Int[ndarray, "images resamples"]
) -> Float[ndarray, "resamples thresholds classes"]:
    found = np.full((draws.shape[1], len(THRESHOLDS), len(classes)), np.nan)
    for label, one in enumerate(classes):
        if not one.positives.any():
            continue
        weights = draws[one.images]  # n resamples
        shown, positives = weights.cumsum(axis=0), one.positives @ draws
        for level, (hits, ignored) in enumerate(zip(one.hits, one.ignored, strict=True)):
            left_out = np.insert(weights[ignored].cumsum(axis=0), 0, 0, axis=0)[np.searchsorted(ignored, hits)]
            found[:, level, label] = _precisions(weights[hits].cumsum(axis=0), shown[hits] - left_out, positives)
    return found


def _precisions(
    found: Int[ndarray, "hits resamples"], shown: Int[ndarray, "hits resamples"], positives: Int[ndarray, " resamples"]
) -> Float[ndarray, " resamples"]:
    """AP from the weights of the hits, and of all that counts, up to and with each hit."""
    falling = np.maximum.accumulate((found / (shown + EPSILON))[::-1], axis=0)[::-1]
    reached = np.searchsorted(RECALLS, found / np.maximum(positives, 1), side="right")
    precision = (falling * np.diff(reached, axis=0, prepend=0)).sum(axis=0) / len(RECALLS)
    return np.where(positives > 0, precision, np.nan)


def _class_mean(precisions: Float[ndarray, "resamples thresholds classes"]) -> Float[ndarray, "resamples thresholds"]:
    """The mean over the classes that are not NaN; NaN where all are."""
    known = np.isfinite(precisions)
    sums, counts = np.where(known, precisions, 0).sum(axis=2), known.sum(axis=2)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
