"""Kinds of errors by hand, each repair by hand, and both against hotcoco's reading of the same paper."""

import hotcoco
import numpy as np
import pytest

from pellucid.metrics import coco
from pellucid.metrics.box_errors import (
    KINDS,
    best_threshold,
    confusion_with_background,
    error_budget,
    errors_by_image,
    errors_of,
)
from tests.metrics.box_scenes import found, judged, objects, random_scene

LEFT, RIGHT, FAR = (0, 0, 10, 10), (100, 0, 110, 10), (500, 500, 510, 510)
HALF = (0, 0, 10, 4)  # IoU 0.4 with LEFT


def kinds_of(detections, targets, classes=2):
    table, pairs, matches = judged([found(*detections)], [objects(*targets)], classes)
    errors = errors_of(table, pairs, matches)
    return [KINDS[kind] if kind >= 0 else "" for kind in errors.kinds], errors, error_budget(table, matches, errors)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ((HALF, 0.9, 0), "localisation"),
        ((LEFT, 0.9, 1), "classification"),
        ((LEFT, 0.5, 0), "duplicate"),
        ((FAR, 0.9, 0), "background"),
        ((HALF, 0.9, 1), "both"),
    ],
)
def test_each_kind_and_its_repair(wrong, kind):
    """One hit of score 0.8 and one false alarm, above it unless a duplicate: until repaired, precision is 1/2."""
    kinds, errors, budget = kinds_of([(LEFT, 0.8, 0), wrong], [(LEFT, 0), (RIGHT, 1)])
    assert sorted(kinds) == ["", kind]
    assert errors.missed.tolist() == [False, True]
    first = wrong[1] > 0.8 and wrong[2] == 0
    gains = {name: gain for name, gain in budget.items() if name != "missed"}
    assert gains == pytest.approx({name: 0.25 if name == kind and first else 0 for name in KINDS})
    # no longer asked for, class 1 has nothing left to find
    assert budget["missed"] == 0


def test_a_repaired_class_finds_what_was_missed():
    kinds, errors, budget = kinds_of([(RIGHT, 0.9, 0)], [(LEFT, 0), (RIGHT, 1)])
    assert kinds == ["classification"]
    assert errors.missed.tolist() == [True, False]
    assert budget == pytest.approx({name: {"classification": 0.5}.get(name, 0) for name in (*KINDS, "missed")})


def test_missed_objects_are_no_longer_asked_for():
    _, _, budget = kinds_of([(LEFT, 0.9, 0)], [(LEFT, 0), (FAR, 0), (RIGHT, 0)])
    assert budget["missed"] == pytest.approx(1 - 34 / 101)  # a third is found: recalls 0 to 0.33


def test_of_two_repaired_detections_the_higher_score_stays():
    """The localisation error of score 0.9 becomes the hit, and the hit of 0.8 is left out."""
    _, _, budget = kinds_of([(HALF, 0.9, 0), (LEFT, 0.8, 0), (FAR, 0.85, 0)], [(LEFT, 0)], 1)
    assert budget["localisation"] == pytest.approx(1 - 1 / 3)


def test_what_lies_in_an_ignored_object_is_no_error():
    kinds, errors, _ = kinds_of([(LEFT, 0.9, 0)], [(LEFT, 0, True), (RIGHT, 1)])
    assert kinds == [""]
    assert errors.missed.tolist() == [False, True]


@pytest.mark.parametrize("seed", range(3))
def test_counts_and_gains_are_those_of_hotcoco(seed):
    detections, targets = random_scene(25, 3, seed=seed, ignored=0)
    table, pairs, matches = judged(detections, targets, 3)
    errors = errors_of(table, pairs, matches)
    truth = coco._targets(table)
    evaluation = hotcoco.COCOeval(truth, coco._detections(table, truth), "bbox")
    evaluation.evaluate()
    expected = evaluation.tide_errors()
    names = dict(zip(("Loc", "Cls", "Dupe", "Bkg", "Both", "Miss"), (*KINDS, "missed"), strict=True))
    counts = dict(zip(KINDS, np.bincount(errors.kinds[errors.kinds >= 0], minlength=5), strict=True))
    counts["missed"] = errors.missed.sum()
    assert counts == {name: expected["counts"][short] for short, name in names.items()}
    budget = error_budget(table, matches, errors)
    for short in ("Dupe", "Bkg", "Both", "Miss"):
        assert budget[names[short]] == pytest.approx(expected["delta_ap"][short], abs=1e-12)
    for short in ("Loc", "Cls"):  # where a hit of lower score is there, hotcoco leaves the repaired one out
        assert budget[names[short]] >= expected["delta_ap"][short] - 1e-12


def test_the_best_threshold_is_where_f1_is_greatest():
    scores = [0.9, 0.8, 0.8, 0.7, 0.6, 0.5]
    boxes = [LEFT, FAR, RIGHT, FAR, FAR, (300, 0, 310, 10)]
    targets = [objects((LEFT, 0), (RIGHT, 0), ((300, 0, 310, 10), 0))]
    table, _, matches = judged([found(*zip(boxes, scores, [0] * 6, strict=True))], targets, 1)
    # F1: 2/4 at 0.9, 4/6 at 0.8 (a hit and a false alarm of equal score), 4/7, 4/8, 6/9 at 0.5: of equals the highest
    assert best_threshold(table, matches) == 0.8
    nothing, _, none = judged([found((FAR, 0.9, 0))], targets, 1)
    assert best_threshold(nothing, none) is None


def test_confusion_with_the_background():
    targets = [objects((LEFT, 0), (RIGHT, 1), (FAR, 1), ((300, 0, 310, 10), 0, True))]
    detections = [
        found((LEFT, 0.9, 0), (LEFT, 0.95, 1), (RIGHT, 0.8, 0), ((700, 0, 710, 10), 0.7, 1), (FAR, 0.1, 1)),
    ]
    table, pairs, matches = judged(detections, targets, 2)
    # LEFT is found by its own class though another is surer; FAR only below the threshold
    assert confusion_with_background(table, pairs, matches, 0.5).tolist() == [[1, 0, 0], [1, 0, 1], [0, 2, 0]]
    assert confusion_with_background(table, pairs, matches, 0.05).tolist() == [[1, 0, 0], [1, 1, 0], [0, 2, 0]]
    errors = errors_of(table, pairs, matches)
    names = dict(zip((*KINDS, "missed"), errors_by_image(table, errors, 0.5)[0].tolist(), strict=True))
    assert {name: count for name, count in names.items() if count} == {
        "classification": 2,
        "background": 1,
        "missed": 1,
    }


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_the_confusion_are_objects_and_detections(seed):
    detections, targets = random_scene(20, 3, seed=seed)
    table, pairs, matches = judged(detections, targets, 3)
    confusion = confusion_with_background(table, pairs, matches, 0.3)
    shown = matches.counted[0] & (table.detections.scores >= 0.3)
    assert confusion[:-1].sum(axis=1).tolist() == table.positives.sum(axis=0).tolist()
    assert confusion[:, :-1].sum(axis=0).tolist() == np.bincount(table.detections.labels[shown], minlength=3).tolist()
    assert np.trace(confusion) == (shown & matches.hits[0]).sum()
