"""Average precision against published figures, and resamples against judging copies of images anew."""

import numpy as np
import pytest

from pellucid.metrics import average_precision
from pellucid.metrics.average_precision import (
    class_precisions,
    coco_precisions,
    eleven_point,
    paired_precisions,
    precision_recall,
    resampled_precisions,
    voc_hits,
    whole_area,
)
from tests.metrics.box_scenes import judged, random_scene

# Padilla's sample (MIT): x y w h by image, and score: x y w h.
TARGETS = """25 16 38 56; 129 123 41 62 / 123 11 43 55; 38 132 59 45 / 16 14 35 48; 123 30 49 44; 99 139 47 47
/ 53 42 40 52; 154 43 31 34 / 59 31 44 51; 48 128 34 52 / 36 89 52 76; 62 58 44 67 / 28 31 55 63; 58 67 50 58"""
FOUND = """.88 5 67 31 48; .70 119 111 40 67; .80 124 9 49 67 / .71 64 111 64 58; .54 26 140 60 47; .74 19 18 43 35
/ .18 109 15 77 39; .67 86 63 46 45; .38 160 62 36 53; .91 105 131 47 47; .44 18 148 40 44
/ .35 83 28 28 26; .78 28 68 42 67; .45 87 89 25 39; .14 10 155 60 26
/ .62 50 38 28 46; .44 95 11 53 28; .95 29 131 72 29; .23 29 163 72 29
/ .45 43 48 74 38; .84 17 155 29 35; .43 95 110 25 42 / .48 16 20 101 88; .95 33 116 37 49"""
INCLUSIVE = "101000000101110000000010"
HALF_OPEN = "101000000101110000000000"
SWAPPED = "011000000101110000000010"


def rows(text):
    return [np.array([row.split() for row in image.split(";")], float) for image in text.split("/")]


def overlaps(inclusive):
    """IoUs of detections with targets by image; an inclusive corner is one pixel further in half-open ones."""

    def corners(xywh):
        return np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:] + inclusive], axis=1)

    return [
        np.array([[_iou(one, other) for other in corners(targets)] for one in corners(found[:, 1:])])
        for found, targets in zip(rows(FOUND), rows(TARGETS), strict=True)
    ]


def _iou(one, other):
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = max(width, 0) * max(height, 0)
    return shared / (np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def flags(text):
    return np.array([letter == "1" for letter in text])


@pytest.mark.parametrize(("inclusive", "expected"), [(1, INCLUSIVE), (0, HALF_OPEN)])
def test_published_hits(inclusive, expected):
    scores = [found[:, 0] for found in rows(FOUND)]
    assert voc_hits(overlaps(inclusive), scores, 0.3).tolist() == flags(expected).tolist()


@pytest.mark.parametrize(
    ("hits", "eleven", "area", "coco"),
    [
        (INCLUSIVE, 0.268398, 0.2456867, 0.2481602),
        (HALF_OPEN, 0.268398, 0.2253968, 0.2300802),
        (SWAPPED, 0.238095, 0.2234645, 0.2250579),
    ],
)
def test_published_precision(hits, eleven, area, coco):
    assert eleven_point(flags(hits), 15) == pytest.approx(eleven, abs=5e-7)
    assert whole_area(flags(hits), 15) == pytest.approx(area, abs=5e-8)
    assert coco_precisions(flags(hits), 15) == pytest.approx(coco, abs=5e-8)


def test_recalls_are_compared_in_whole_numbers():
    """3 of 10 reach a recall of 0.3, which 0.1·3 in floats is not: 4 of 11 recalls are reached."""
    assert eleven_point(np.ones(3, bool), 10) == 4 / 11


def test_a_second_hit_is_none_even_if_another_target_would_fit():
    both = np.array([[0.9, 0.6], [0.8, 0.7]])
    assert voc_hits([both], [np.array([0.9, 0.8])], 0.5).tolist() == [True, False]
    assert voc_hits([np.zeros((1, 0)), both], [np.array([0.95]), np.array([0.9, 0.8])], 0.5).tolist() == [
        False,
        True,
        False,
    ]


def test_a_curve():
    curve = precision_recall(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 4)
    assert curve.precision.tolist() == [1, 1 / 2, 2 / 3]
    assert curve.recall.tolist() == [0.25, 0.25, 0.5]


def test_a_resample_is_what_judging_its_images_anew_gives(monkeypatch):
    """Copies of images are judged as images of their own, to COCO's figure, classes that vanish included."""
    detections, targets = random_scene(12, 4, seed=3)
    for at, one in enumerate(detections):  # equal scores of one image would be copied in another order
        one.scores[:] = np.random.default_rng(at).permutation(len(one.scores)) / 64 + at / 1000
    drawn = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=20)
    monkeypatch.setattr(average_precision, "image_draws", lambda *_, **__: [drawn.T.astype(np.int32)])
    table, _, matches = judged(detections, targets, 4)
    found = resampled_precisions(table, matches, np.random.default_rng(0))
    for counts, levels in zip(drawn, found, strict=True):
        order = np.repeat(np.arange(12), counts)
        again, _, anew = judged([detections[at] for at in order], [targets[at] for at in order], 4)
        assert levels == pytest.approx(np.nanmean(class_precisions(again, anew), axis=1), abs=1e-12)


def test_resamples_in_parts_are_as_many_and_the_same_in_spread(monkeypatch):
    detections, targets = random_scene(15, 2, seed=4)
    table, _, matches = judged(detections, targets, 2)
    whole = resampled_precisions(table, matches, np.random.default_rng(0), resamples=50)
    monkeypatch.setattr(average_precision, "CELLS", 4000)
    assert np.array_equal(resampled_precisions(table, matches, np.random.default_rng(0), resamples=50), whole)


def test_a_model_does_not_differ_from_itself_but_from_a_worse_one():
    detections, targets = random_scene(25, 2, seed=6)
    table, _, matches = judged(detections, targets, 2)
    same = paired_precisions((table, matches), (table, matches), np.random.default_rng(0), resamples=200)
    assert (same.value, same.interval, same.p) == (0, (0, 0), 1)
    for one in detections:
        one.xyxy[:, 2:] += 12
    worse, _, its = judged(detections, targets, 2)
    apart = paired_precisions((table, matches), (worse, its), np.random.default_rng(0), resamples=200)
    expected = np.nanmean(class_precisions(table, matches)) - np.nanmean(class_precisions(worse, its))
    assert apart.value == pytest.approx(expected, abs=1e-12)
    assert 0 < apart.interval[0] < apart.value < apart.interval[1]
    assert apart.p == pytest.approx(2 / 201)
