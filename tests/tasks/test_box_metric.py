"""The figures of detection, as a task reads them: known scenes, nothing to find, nothing found, nothing at all."""

import numpy as np
import pytest
import torch

from pellucid.data.boxes import Box, Boxes
from pellucid.errors import NonFiniteError, UsageError
from pellucid.metrics.detection import Detections
from pellucid.panels import Bars, Curve, Matrix, Table
from pellucid.tasks.box_metric import BoxMetric
from tests.metrics.box_scenes import found, random_scene

CLASSES = ("cat", "dog", "owl")
LEFT, RIGHT, FAR = (0.0, 0.0, 10.0, 10.0), (100.0, 0.0, 140.0, 40.0), (200.0, 200.0, 320.0, 320.0)


def metric_of(detections, targets, classes=CLASSES, brief=False):
    metric = BoxMetric(classes, found=lambda decoded, targets: ([], []), brief=brief)
    metric.add_images(detections, targets)
    return metric


def boxes_of(objects):
    rows = zip(
        objects.xyxy.tolist(), objects.labels.tolist(), objects.ignored.tolist(), objects.areas.tolist(), strict=True
    )
    return Boxes.gathered([Box(tuple(xyxy), label, ignored, area) for xyxy, label, ignored, area in rows])


def random_metric(seed=0, images=20, brief=False):
    detections, targets = random_scene(images, 3, seed=seed)
    return metric_of(detections, list(map(boxes_of, targets)), brief=brief)


@pytest.fixture(scope="module")
def known():
    """A small cat and a large owl found, a medium cat missed, something found where nothing is."""
    detections = [found((LEFT, 0.9, 0), (FAR, 0.8, 2)), found(), found((LEFT, 0.7, 0))]
    return metric_of(detections, [Boxes.of([(LEFT, 0), (FAR, 2)]), Boxes.of([(RIGHT, 0)]), Boxes.of([])])


def test_known_figures(known):
    half = 51 / 101  # of two cats one is found: recalls 0 to 0.5
    scores = known.scores()
    assert scores.count == 3
    assert scores.metrics == pytest.approx(
        {"ap": (half + 1) / 2, "ap50": (half + 1) / 2, "ap75": (half + 1) / 2, "ap_small": 1, "ap_medium": 0}
        | {"ap_large": 1, "ar": 0.75}
    )
    assert known.headline() == ("ap", pytest.approx((half + 1) / 2))
    assert scores.details["threshold"] == 0.8
    assert known.learnt() == {"threshold": 0.8}


def test_known_classes(known):
    half = 51 / 101
    expected = [
        {"class": "cat", "count": 2, "ap": half, "ap50": half, "precision": 1, "recall": 0.5},
        {"class": "dog", "count": 0, "ap": None, "ap50": None, "precision": None, "recall": None},
        {"class": "owl", "count": 1, "ap": 1, "ap50": 1, "precision": 1, "recall": 1},
    ]
    for row, other in zip(known.scores().per_class, expected, strict=True):
        assert row == pytest.approx(other)


def test_known_errors(known):
    details = known.scores().details
    assert details["confusion"] == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert {name: row["count"] for name, row in details["errors"].items() if row["count"]} == {
        "background": 1,
        "missed": 1,
    }
    assert details["errors"]["missed"]["gain"] == pytest.approx((1 - 51 / 101) / 2)
    assert known.mistakes(5) == [(1, "1 missed")]  # the false alarm is below the threshold


def test_the_worst_image_comes_first():
    detections = [found((LEFT, 0.9, 0)), found((RIGHT, 0.95, 0), (FAR, 0.9, 1)), found((LEFT, 0.9, 0))]
    targets = [Boxes.of([(LEFT, 0)]), Boxes.of([(LEFT, 0), (LEFT, 1)]), Boxes.of([(LEFT, 0), (FAR, 2)])]
    metric = metric_of(detections, targets)
    assert metric.mistakes(5) == [(1, "2 missed, 2 background"), (2, "1 missed")]
    assert metric.mistakes(1) == [(1, "2 missed, 2 background")]


def test_a_batch_is_what_the_task_makes_of_it():
    """The first image's box is scaled back by the task, the second's is not there."""

    def made(decoded, targets):
        (scale, labels) = targets
        return [found((tuple((decoded["xyxy"][0, 0] * scale).tolist()), 0.9, 0)), found()], labels

    metric = BoxMetric(CLASSES, found=made, brief=True)
    metric.add({"xyxy": torch.tensor([[[0.0, 0, 5, 5]], [[0, 0, 0, 0]]])}, (2, [Boxes.of([(LEFT, 0)]), Boxes.of([])]))
    assert metric.headline() == ("ap", pytest.approx(1.0))
    assert metric.scores().count == 2


def test_batches_do_not_matter():
    detections, targets = random_scene(12, 3, seed=1)
    whole = metric_of(detections, list(map(boxes_of, targets)))
    parts = metric_of(detections[:5], list(map(boxes_of, targets[:5])))
    parts.headline()
    parts.add_images(detections[5:], list(map(boxes_of, targets[5:])))
    assert parts.scores() == whole.scores()


def test_intervals_surround_the_figure_and_follow_the_seed():
    metric = random_metric()
    scores = metric.scores()
    for name in ("ap", "ap50"):
        low, high = scores.intervals[name]
        assert low < scores.metrics[name] < high
    assert metric.scores(seed=0).intervals == scores.intervals
    assert metric.scores(seed=1).intervals != scores.intervals


def test_a_brief_metric_has_the_same_headline_and_no_sizes():
    brief, full = random_metric(brief=True), random_metric()
    assert brief.headline() == full.headline()
    assert set(brief.scores().metrics) == {"ap", "ap50", "ap75", "ar"}


def test_two_models_on_the_same_images():
    detections, targets = random_scene(20, 3, seed=2)
    labels = list(map(boxes_of, targets))
    worse = [Detections(one.xyxy + 15, one.scores, one.labels) for one in detections]
    first, second = metric_of(detections, labels), metric_of(worse, labels)
    apart = first.compared(second)
    assert apart.value == pytest.approx(first.headline()[1] - second.headline()[1], abs=1e-12)
    assert apart.interval[0] > 0
    assert apart.p < 0.05


def test_nothing_to_be_found_leaves_figures_out():
    metric = metric_of([found((LEFT, 0.9, 0))], [Boxes.of([])])
    scores = metric.scores()
    assert (scores.metrics, scores.intervals) == ({}, {})
    assert scores.per_class[0] == {
        "class": "cat",
        "count": 0,
        "ap": None,
        "ap50": None,
        "precision": None,
        "recall": None,
    }
    assert all(row["gain"] is None for row in scores.details["errors"].values())
    assert metric.learnt() == {}
    assert [type(panel) for panel in metric.panels()] == [Matrix, Table]
    with pytest.raises(UsageError, match=r"None of the 1 images .* Choose a split with boxes"):
        metric.headline()


@pytest.mark.parametrize("detections", [[found(), found()], [found((FAR, 0.9, 1)), found()]])
def test_nothing_found(detections):
    metric = metric_of(detections, [Boxes.of([(LEFT, 0)]), Boxes.of([(RIGHT, 1), (LEFT, 0)])])
    assert metric.headline() == ("ap", 0.0)
    assert metric.scores().details["threshold"] is None
    assert metric.mistakes(5) == [(1, "2 missed"), (0, "1 missed")]
    assert len(metric.panels()) == 5


def test_no_image_at_all():
    metric = BoxMetric(CLASSES, found=lambda decoded, targets: ([], []), brief=False)
    for figure in (metric.headline, metric.scores, metric.panels, metric.learnt, lambda: metric.mistakes(1)):
        with pytest.raises(UsageError, match="No image was judged"):
            figure()


def test_damaged_boxes_are_refused():
    with pytest.raises(NonFiniteError, match="1 of 2 images are not finite"):
        metric_of([found(), found(((0, 0, np.nan, 1), 0.5, 0))], [Boxes.of([]), Boxes.of([])])


def test_panels_show_the_figures():
    metric = random_metric()
    scores = metric.scores()
    curves, confusion, classes, budget, by_iou = metric.panels()
    assert isinstance(curves, Curve)
    assert [np.mean(values) for _, _, values in curves.series] == pytest.approx(
        [row["ap50"] for row in scores.per_class]
    )
    assert isinstance(confusion, Matrix)
    assert confusion.names == (*CLASSES, "background")
    assert [list(row) for row in confusion.counts] == scores.details["confusion"]
    assert isinstance(classes, Table)
    assert [row[2] for row in classes.rows] == [row["ap"] for row in scores.per_class]
    assert isinstance(budget, Bars)
    assert list(budget.values) == sorted((row["gain"] for row in scores.details["errors"].values()), reverse=True)
    assert isinstance(by_iou, Curve)
    assert np.mean(by_iou.series[0][2]) == pytest.approx(scores.metrics["ap"])


def test_of_many_classes_panels_show_the_worst():
    count = 60
    boxes = Boxes.of([(LEFT, label) for label in range(count)])
    detections = [found(*((LEFT if label % 2 else FAR, 0.9, label) for label in range(count)))]
    curves, classes, *_ = metric_of(detections, [boxes], tuple(f"c{at}" for at in range(count))).panels()
    assert [name for name, *_ in curves.series] == [f"c{at}" for at in range(0, 16, 2)]
    assert "8 of 60 classes" in curves.note
    assert len(classes.rows) == 40
    assert [row[3] for row in classes.rows] == pytest.approx([0.0] * 30 + [1.0] * 10)
