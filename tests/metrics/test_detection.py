"""Matching and COCO's twelve numbers against pycocotools, on random scenes with crowds, ties and empty images."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pellucid.metrics.average_precision import class_precisions
from pellucid.metrics.coco import coco_table
from pellucid.metrics.detection import MOST
from tests.metrics.box_scenes import found, judged, objects, random_scene

SQUARE = (0, 0, 10, 10)
SCENES = [(30, 3, 0), (30, 1, 1), (12, 7, 2)]


def oracle(detections, targets, classes):
    """pycocotools on the same boxes."""
    annotations, results = [], []
    for image, (one, other) in enumerate(zip(targets, detections, strict=True)):
        for xyxy, label, ignored, area in zip(one.xyxy, one.labels, one.ignored, one.areas, strict=True):
            row = {"id": len(annotations) + 1, "image_id": image, "category_id": int(label), "iscrowd": int(ignored)}
            annotations.append(row | {"bbox": [*xyxy[:2], *(xyxy[2:] - xyxy[:2])], "area": float(area)})
        for xyxy, score, label in zip(other.xyxy, other.scores, other.labels, strict=True):
            row = {"image_id": image, "category_id": int(label), "score": float(score)}
            results.append(row | {"bbox": [*xyxy[:2], *(xyxy[2:] - xyxy[:2])]})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": at} for at in range(len(targets))],
            "categories": [{"id": at} for at in range(classes)],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize(("images", "classes", "seed"), SCENES)
def test_the_twelve_numbers_are_those_of_pycocotools(images, classes, seed, capfd):
    detections, targets = random_scene(images, classes, seed=seed)
    expected = oracle(detections, targets, classes)
    table, _, matches = judged(detections, targets, classes)
    coco = coco_table(table)
    assert coco.twelve() == pytest.approx(expected.stats.tolist(), abs=1e-12)
    assert 0.05 < coco.ap() < 0.9
    precision = expected.eval["precision"][:, :, :, 0, 2].mean(axis=1)
    assert class_precisions(table, matches) == pytest.approx(
        np.where(precision < 0, np.nan, precision), abs=1e-12, nan_ok=True
    )
    assert capfd.readouterr() == ("", "")


def test_brief_figures_are_the_same():
    detections, targets = random_scene(20, 2, seed=5)
    table, *_ = judged(detections, targets, 2)
    brief, full = coco_table(table, sizes=False), coco_table(table)
    assert (brief.ap(), brief.ap(threshold=0.75), brief.ar()) == (full.ap(), full.ap(threshold=0.75), full.ar())


def test_a_detection_takes_the_best_free_object_and_of_equal_ones_the_last():
    targets = [objects((SQUARE, 0), (SQUARE, 0), ((0, 0, 10, 8), 0))]
    detections = [found((SQUARE, 0.9, 0), (SQUARE, 0.8, 0), (SQUARE, 0.7, 0), (SQUARE, 0.6, 0))]
    _, _, matches = judged(detections, targets, 1)
    assert matches.objects[0].tolist() == [1, 0, 2, -1]
    assert matches.objects[-1].tolist() == [1, 0, -1, -1]  # at 0.95


def test_what_lies_in_a_crowd_counts_neither_way():
    targets = [objects(((0, 0, 100, 100), 0, True), (SQUARE, 0))]
    detections = [found((SQUARE, 0.9, 0), (SQUARE, 0.8, 0), ((50, 50, 60, 60), 0.7, 0), ((95, 0, 115, 20), 0.6, 0))]
    table, _, matches = judged(detections, targets, 1)
    assert matches.hits[0].tolist() == [True, False, False, False]
    assert matches.counted[0].tolist() == [True, False, False, True]  # the last is a quarter in it
    assert table.positives.tolist() == [[1]]


def test_an_image_is_judged_by_a_hundred_detections_of_a_class():
    rows = [(SQUARE, 1 - at / 1000, at % 2) for at in range(2 * MOST + 40)]
    table, *_ = judged([found(*rows)], [objects((SQUARE, 0))], 2)
    assert np.bincount(table.detections.labels).tolist() == [MOST, MOST]
    assert (np.diff(table.detections.scores) < 0).all()


@pytest.mark.parametrize("given", [(), ((SQUARE, 0.5, 1),)])
def test_nothing_to_be_found_is_not_a_number(given):
    table, _, matches = judged([found(*given)], [objects()], 2)
    assert np.isnan(coco_table(table).twelve()).all()
    assert np.isnan(class_precisions(table, matches)).all()


def test_nothing_found_is_zero():
    table, _, matches = judged([found()], [objects((SQUARE, 1))], 2)
    assert coco_table(table).ap() == 0
    assert class_precisions(table, matches)[0].tolist() == pytest.approx([np.nan, 0], nan_ok=True)
