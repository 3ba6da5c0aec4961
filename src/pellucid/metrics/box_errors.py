"""What a detector does wrong: its best threshold, a confusion matrix with the background, and a budget of errors.

The budget follows Bolya, Foley, Hays & Hoffman 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors"
(arXiv 2008.08115), section 2: every false alarm is of one kind, and a kind weighs what AP50 would gain if it alone were
repaired. Kinds do not add up to what is missing to 1, since repairs help one another.

A false alarm, by its highest IoU with objects of its class and with those of other classes:

- localisation: its class, 0.1 up to 0.5. Repaired: moved onto the object.
- classification: another class, 0.5 or more. Repaired: given the object's class.
- duplicate: its class, 0.5 or more, but the object is found already. Repaired: left out.
- background: less than 0.1 with any object. Repaired: left out.
- both: what is left, another class, 0.1 up to 0.5. Repaired: left out.

Missed is an object that is found by none, and that no repaired classification or localisation error stands for.
Repaired: no longer asked for. Of several detections of an object that a repair makes, the one of the highest score
stays. Where a false alarm is of two kinds, the first in this list has it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from pellucid.metrics.average_precision import coco_precisions
from pellucid.metrics.detection import THRESHOLDS, Judged, Matches, Pairs

__all__ = [
    "KINDS",
    "Errors",
    "best_threshold",
    "confusion_with_background",
    "error_budget",
    "errors_by_image",
    "errors_of",
]

KINDS = ("localisation", "classification", "duplicate", "background", "both")
"""The kinds of false alarms, in the order of their numbers."""
LOCALISATION, CLASSIFICATION = range(2)
FOREGROUND = THRESHOLDS[0]


@dataclass(frozen=True, slots=True)
class Errors:
    """Of each detection its kind, a place in KINDS or -1; and the object it errs about, or -1. Of objects, the missed.

    A hit has no kind, and its object is the one that it finds.
    """

    kinds: Int[ndarray, " n"]
    objects: Int[ndarray, " n"]
    missed: Bool[ndarray, " m"]


def errors_of(judged: Judged, pairs: Pairs, matches: Matches) -> Errors:
    """The kind of every false alarm at IoU 0.5, and which objects are missed."""
    counted = ~judged.objects.ignored[pairs.objects]
    alike = judged.detections.labels[pairs.detections] == judged.objects.labels[pairs.objects]
    own, own_object = _highest(judged, pairs, counted & alike)
    other, other_object = _highest(judged, pairs, counted & ~alike)
    tests = [
        (own > 0) & (own < FOREGROUND),
        other >= FOREGROUND,
        own >= FOREGROUND,
        np.maximum(own, other) == 0,  # pairs below 0.1 are not noted
    ]
    wrong = matches.counted[0] & ~matches.hits[0]
    kinds = np.where(wrong, np.select(tests, range(len(tests)), default=len(tests)), -1)
    objects = np.select(
        [kinds == LOCALISATION, kinds == CLASSIFICATION], [own_object, other_object], matches.objects[0]
    )
    return Errors(kinds, objects, _missed(judged, objects))


def error_budget(judged: Judged, matches: Matches, errors: Errors) -> dict[str, float]:
    """What AP50 gains by the repair of each kind alone, of KINDS and `missed`; NaN where nothing is to be found."""
    positives = judged.positives.sum(axis=0)
    labels, right, counted = judged.detections.labels, matches.hits[0], matches.counted[0]
    measured = _ap50(judged, labels, right, counted, positives)
    gains = {}
    for kind, name in enumerate(KINDS):
        own = errors.kinds == kind
        if kind in (LOCALISATION, CLASSIFICATION):
            stays = _first_of_object(np.where(right | own, errors.objects, -1))
            moved = np.where(own, judged.objects.labels[errors.objects], labels) if own.any() else labels
            repaired = _ap50(judged, moved, stays, counted & (stays | ~(right | own)), positives)
        else:
            repaired = _ap50(judged, labels, right, counted & ~own, positives)
        gains[name] = repaired - measured
    fewer = positives - np.bincount(judged.objects.labels[errors.missed], minlength=judged.classes)
    return gains | {"missed": _ap50(judged, labels, right, counted, fewer) - measured}


def errors_by_image(judged: Judged, errors: Errors, threshold: float) -> Int[ndarray, "images kinds"]:
    """How many of KINDS, and in the last column missed objects, an image has at scores of `threshold` or more."""
    shown = judged.detections.scores >= threshold
    wrong = shown & (errors.kinds >= 0)
    counts = np.zeros((judged.images, len(KINDS) + 1), np.int64)
    np.add.at(counts, (judged.seen_in[wrong], errors.kinds[wrong]), 1)
    missed = _missed(judged, np.where(shown, errors.objects, -1))
    counts[:, -1] = np.bincount(judged.lies_in[missed], minlength=judged.images)
    return counts


def best_threshold(judged: Judged, matches: Matches) -> float | None:
    """The score from which on F1 at IoU 0.5 of all classes together is greatest; of several the highest. None: no hit.

    Detections of equal score are in or out together. A score is one threshold for the whole model.
    """
    scores, hits = judged.detections.scores[matches.counted[0]], matches.hits[0][matches.counted[0]]
    if not hits.any():
        return None
    f1 = 2 * np.cumsum(hits) / (np.arange(1, len(hits) + 1) + judged.positives.sum())
    complete = np.append(np.diff(scores) != 0, True)
    return float(scores[np.where(complete, f1, -1).argmax()])


def confusion_with_background(
    judged: Judged, pairs: Pairs, matches: Matches, threshold: float
) -> Int[ndarray, "classes_1 classes_1"]:
    """Objects (rows) by what is found there (columns), at IoU 0.5 and a score of `threshold` or more.

    The last column is objects where nothing is found, the last row detections where no object is. Hits come first, then
    the pairs left of any classes, the highest IoU first, each detection and object once.
    """
    shown = matches.counted[0] & (judged.detections.scores >= threshold)
    partner = np.where(shown, matches.objects[0], -1)
    waiting = ~judged.objects.ignored
    waiting[partner[partner >= 0]] = False
    lonely = shown & (partner < 0)
    near = np.flatnonzero(lonely[pairs.detections] & waiting[pairs.objects] & (pairs.overlaps >= FOREGROUND))
    for at in near[np.argsort(-pairs.overlaps[near], kind="stable")]:
        detection, target = pairs.detections[at], pairs.objects[at]
        if lonely[detection] and waiting[target]:
            partner[detection], lonely[detection], waiting[target] = target, False, False
    return _table(judged, shown, partner, waiting)


def _table(
    judged: Judged, shown: Bool[ndarray, " n"], partner: Int[ndarray, " n"], waiting: Bool[ndarray, " m"]
) -> Int[ndarray, "classes_1 classes_1"]:
    nothing = judged.classes
    targets = np.append(judged.objects.labels, nothing)[partner[shown]]  # -1 is the last: the background
    rows = np.concatenate([targets, judged.objects.labels[waiting]])
    columns = np.concatenate([judged.detections.labels[shown], np.full(waiting.sum(), nothing)])
    return np.bincount(rows * (nothing + 1) + columns, minlength=(nothing + 1) ** 2).reshape(nothing + 1, nothing + 1)


def _highest(
    judged: Judged, pairs: Pairs, among: Bool[ndarray, " pairs"]
) -> tuple[Float[ndarray, " n"], Int[ndarray, " n"]]:
    """The highest IoU of each detection among some pairs, 0 without one, and the object it is with, or -1."""
    overlaps, objects = np.zeros(len(judged.seen_in)), np.full(len(judged.seen_in), -1)
    places = np.flatnonzero(among)
    rising = places[np.argsort(pairs.overlaps[places], kind="stable")]
    overlaps[pairs.detections[rising]] = pairs.overlaps[rising]  # of several the last is written
    objects[pairs.detections[rising]] = pairs.objects[rising]
    return overlaps, objects


def _missed(judged: Judged, objects: Int[ndarray, " n"]) -> Bool[ndarray, " m"]:
    missed = ~judged.objects.ignored
    missed[objects[objects >= 0]] = False
    return missed


def _first_of_object(objects: Int[ndarray, " n"]) -> Bool[ndarray, " n"]:
    """Whether a detection is the first of its object; none without an object is."""
    different, first = np.unique(objects, return_index=True)
    found = np.zeros(len(objects), bool)
    found[first[different >= 0]] = True
    return found


def _ap50(
    judged: Judged,
    labels: Int[ndarray, " n"],
    hits: Bool[ndarray, " n"],
    counted: Bool[ndarray, " n"],
    positives: Int[ndarray, " classes"],
) -> float:
    """Mean over the classes that have objects, whether they are asked for or not."""
    precisions = []
    for label in np.flatnonzero(judged.positives.any(axis=0)):
        own = hits[counted & (labels == label)]
        precisions.append(coco_precisions(own, int(positives[label])) if positives[label] else 0.0)
    return float(np.mean(precisions)) if precisions else float("nan")
