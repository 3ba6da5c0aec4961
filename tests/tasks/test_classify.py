"""The classify task: targets, metric, predictions and what is shown of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn import metrics as reference

from pellucid.config import TrainConfig
from pellucid.errors import NonFiniteError, UsageError
from pellucid.metrics.counts import softmax
from pellucid.panels import Bars, Curve, Matrix, Table
from pellucid.predictions.classify import ClassScores
from pellucid.tasks.class_metric import SHOWN
from pellucid.tasks.classify import Classify
from pellucid.types import Frame, Record

NAMES = ("Shirt", "Coat", "Bag", "Dress")
TASK = Classify(NAMES)
FRAME = Frame((10, 10), (10, 10), (1.0, 1.0), (0.0, 0.0))
NO_MARKS = np.zeros((0, 0), int)


def records(*labels):
    return [Record(Path(f"{at}.png"), label) for at, label in enumerate(labels)]


def judged(logits, labels, task=TASK):
    metric = task.metric()
    metric.add({"logits": torch.as_tensor(logits)}, torch.as_tensor(labels))
    return metric


def some(n=300, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)).astype(np.float32)
    logits[np.arange(n), labels] += 1.5
    return logits, labels


def test_collate_gives_class_indices():
    targets = TASK.collate(records(3, 0, 1), [FRAME] * 3, None)
    assert targets.dtype == torch.int64
    assert targets.tolist() == [3, 0, 1]


def test_labels_take_new_numbers():
    assert TASK.renumbered(2, [3, 1, 0, 2]) == 0


def test_soften_spreads_the_smoothing_over_all_classes():
    rows = TASK.soften(torch.tensor([3]), TrainConfig(smoothing=0.2))
    assert rows.tolist() == [pytest.approx([0.05, 0.05, 0.05, 0.85])]
    assert TASK.soften(torch.tensor([1]), TrainConfig(smoothing=0)).tolist() == [[0, 1, 0, 0]]


def test_balanced_rows_weigh_every_class_alike():
    labels = [0] * 6 + [1] * 3 + [3]
    task = TASK.counted(records(*labels), NO_MARKS)
    assert task.counts == (6, 3, 0, 1)
    assert TASK.counts is None
    config = TrainConfig(class_weights="balanced")
    rows = task.soften(task.collate(records(*labels), [FRAME] * 10, None), config)
    weights = rows.sum(1)
    assert weights.mean() == pytest.approx(1)
    sums = [float(weights[[at for at, label in enumerate(labels) if label == k]].sum()) for k in (0, 1, 3)]
    assert sums == pytest.approx([10 / 3] * 3)


def test_balance_is_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 5 + [1] * 2 + [2] * 9 + [3])
    task = TASK.counted(records(*labels.tolist()), NO_MARKS)
    rows = task.soften(torch.arange(4), TrainConfig(class_weights="balanced", smoothing=0))
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(rows.sum(1), expected, rtol=1e-6)


def test_balance_without_counts_says_what_is_missing():
    with pytest.raises(UsageError, match=r"task\.counted first"):
        TASK.soften(torch.tensor([1]), TrainConfig(class_weights="balanced"))


def test_labels_do_not_move():
    targets = torch.tensor([1, 2])
    assert TASK.move(targets, torch.zeros(2, 2, 3), (8, 8)) is targets


def test_mix_is_a_convex_combination():
    rows = torch.eye(4)[:3]
    mixed = TASK.mix(rows, torch.tensor([1, 2, 0]), torch.tensor([0.75, 1.0, 0.5]))
    assert mixed.tolist() == [[0.75, 0.25, 0, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0]]
    torch.testing.assert_close(mixed.sum(1), torch.ones(3))


def test_figures_are_those_of_scikit_learn():
    logits, labels = some()
    scores = judged(logits, labels).scores()
    given, probs = logits.argmax(1), softmax(logits)
    assert scores.count == 300
    assert scores.details["correct"] == int((given == labels).sum())
    expected = {
        "top1": reference.accuracy_score(labels, given),
        "top5": 1.0,
        "loss": reference.log_loss(labels, probs),
        "macro_f1": reference.f1_score(labels, given, average="macro"),
        "brier": reference.brier_score_loss(labels, probs, labels=range(4), scale_by_half=False),
    }
    assert {name: scores.metrics[name] for name in expected} == pytest.approx(expected)
    assert set(scores.metrics) == {*expected, "ece"}
    assert scores.details["confusion"] == reference.confusion_matrix(labels, given).tolist()
    rows = reference.classification_report(labels, given, target_names=NAMES, output_dict=True)
    for row in scores.per_class:
        assert row["count"] == rows[row["class"]]["support"]
        found = [row["precision"], row["recall"], row["f1"]]
        assert found == pytest.approx([rows[row["class"]][name] for name in ("precision", "recall", "f1-score")])


def test_top5_of_ten_classes():
    task = Classify(tuple("abcdefghij"))
    logits, labels = some(classes=10)
    expected = reference.top_k_accuracy_score(labels, logits, k=5)
    assert judged(logits, labels, task).scores().metrics["top5"] == pytest.approx(expected)


def test_intervals_hold_their_figures_and_depend_on_the_seed():
    metric = judged(*some())
    scores = metric.scores(seed=1)
    assert set(scores.intervals) == {"top1", "top5", "macro_f1"}
    for name, (low, high) in scores.intervals.items():
        assert low <= scores.metrics[name] <= high
    assert metric.scores(seed=1).intervals == scores.intervals
    assert metric.scores(seed=2).intervals != scores.intervals


def test_batches_add_up_in_any_cut_and_precision():
    logits, labels = some()
    rounded = torch.from_numpy(logits).bfloat16()
    whole = judged(rounded.float(), labels)
    parts = TASK.metric()
    for start in (0, 7, 130):
        stop = {0: 7, 7: 130, 130: 300}[start]
        parts.add({"logits": rounded[start:stop].requires_grad_()}, torch.from_numpy(labels[start:stop]))
        parts.headline()
    assert parts.scores() == whole.scores()
    assert np.array_equal(parts.outcomes(), whole.outcomes())


def test_scores_are_plain_values_for_json():
    logits, labels = some(n=5)
    labels[:] = 1
    scores = judged(logits, labels).scores()
    text = json.dumps([scores.metrics, scores.intervals, scores.per_class, scores.details], allow_nan=False)
    assert "null" in text
    assert {row["class"]: row["recall"] for row in scores.per_class}["Bag"] is None


def test_headline_is_top1():
    metric = judged(*some())
    assert metric.headline() == ("top1", metric.scores().metrics["top1"])
    assert metric.outcomes().mean() == metric.headline()[1]


def test_calibration_details_tell_bins_and_temperature():
    logits, labels = some(n=2000)
    calibration = judged(logits * 5, labels).scores().details["calibration"]
    assert len(calibration["edges"]) == 16
    assert sum(calibration["count"]) == 2000
    assert calibration["temperature"] > 2
    assert calibration["ece_after"] < judged(logits * 5, labels).scores().metrics["ece"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_no_numbers_are_refused(bad):
    logits, labels = some(n=6)
    logits[2, 1] = bad
    with pytest.raises(NonFiniteError, match="1 of 6 images"):
        judged(logits, labels)


def test_no_image_is_no_figure():
    with pytest.raises(UsageError, match="No image was judged"):
        TASK.metric().scores()


def test_mistakes_are_the_surest_wrong_ones_first():
    logits = [[4.0, 0, 0, 0], [4.0, 0, 0, 0], [9.0, 0, 0, 0], [0, 0, 1.0, 0]]
    metric = judged(torch.tensor(logits), [0, 1, 1, 3])
    assert metric.mistakes(5) == [
        (2, "Shirt 1.00 (target: Coat)"),
        (1, "Shirt 0.95 (target: Coat)"),
        (3, "Bag 0.48 (target: Dress)"),
    ]
    assert len(metric.mistakes(1)) == 1


def test_panels_show_the_same_numbers():
    metric = judged(*some())
    scores = metric.scores()
    matrix, pairs, bars, table, curve = metric.panels()
    assert isinstance(matrix, Matrix)
    assert [list(row) for row in matrix.counts] == scores.details["confusion"]
    assert isinstance(pairs, Table)
    wrong = np.array(scores.details["confusion"]) * (1 - np.eye(4, dtype=int))
    assert [row[2] for row in pairs.rows] == sorted(wrong.flat, reverse=True)[:10]
    assert isinstance(bars, Bars)
    assert list(bars.values) == [row["recall"] for row in scores.per_class]
    assert all(low < value < high for value, (low, high) in zip(bars.values, bars.intervals, strict=True))
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == list(NAMES)
    assert isinstance(curve, Curve)
    assert curve.diagonal
    assert len(curve.series[0][1]) == sum(count > 0 for count in scores.details["calibration"]["count"])


def test_panels_of_many_classes_show_the_worst():
    classes = SHOWN + 20
    task = Classify(tuple(f"c{at}" for at in range(classes)))
    panels = judged(*some(n=2000, classes=classes), task).panels()
    assert not any(isinstance(panel, Matrix) for panel in panels)
    table = next(panel for panel in panels if panel.title == "Classes")
    assert len(table.rows) == SHOWN
    assert f"Shown: {SHOWN} of {classes} classes" in table.note
    f1 = [row[4] for row in table.rows]
    assert f1 == sorted(f1)


def test_a_prediction_tells_label_score_and_the_five_best():
    task = Classify(tuple("abcdefg"))
    probs = torch.tensor([0.1, 0.3, 0.05, 0.3, 0.15, 0.06, 0.04])
    prediction = task.prediction({"probs": probs.bfloat16(), "logits": probs}, FRAME)
    found = prediction.to_json()
    assert found["label"] == "b"
    assert list(found["probs"]) == ["b", "d", "e", "a", "f"]
    assert found["score"] == found["probs"]["b"] == pytest.approx(0.3, abs=2e-3)
    assert prediction.to_row() == {"label": "b", "score": prediction.score}
    assert tuple(prediction.to_row()) == task.postprocess.columns
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("shape", [(300, 400, 3), (28, 28, 1), (32, 32, 3), (9, 700, 3), (700, 9, 3), (1, 1, 3)])
def test_drawing_writes_on_a_copy_of_any_size(shape):
    photo = np.full(shape, 200, np.uint8)
    drawn = TASK.postprocess.draw(photo, ClassScores(NAMES, (0.1, 0.7, 0.1, 0.1)))
    assert drawn.dtype == np.uint8
    assert drawn.shape[2] == 3
    assert drawn.shape[0] % shape[0] == drawn.shape[1] % shape[1] == 0
    assert max(drawn.shape) >= 192
    assert (photo == 200).all()
    assert drawn.min() < 30


def test_drawing_leaves_the_photo_above_the_strip_and_contrasts_in_it():
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    drawn = TASK.postprocess.draw(photo, ClassScores(NAMES, (0.1, 0.7, 0.1, 0.1)))
    assert np.array_equal(drawn[:255], photo[:255])
    strip = drawn[-30:]
    assert strip.min() == 16
    assert strip.max() == 255
    assert not np.array_equal(drawn, TASK.postprocess.draw(photo, ClassScores(NAMES, (0.7, 0.1, 0.1, 0.1))))


def test_a_long_name_is_cut_to_the_width():
    task = Classify(("an extremely long name of a class that no picture of this size can hold at all", "b"))
    drawn = task.postprocess.draw(np.zeros((200, 200, 3), np.uint8), ClassScores(task.classes, (0.9, 0.1)))
    written = np.asarray(Image.fromarray(drawn).convert("L"))[-18:]
    assert written[:, -4:].max() <= 16
    score = ClassScores(task.classes, (0.8, 0.2))
    assert not np.array_equal(drawn, task.postprocess.draw(np.zeros((200, 200, 3), np.uint8), score))  # it is not cut
