"""Figures of regions against a worked example, scikit-learn, plain loops and properties."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from pellucid.errors import DataError
from pellucid.metrics.regions import (
    IGNORE,
    class_accuracy,
    class_dice,
    class_iou,
    frequency_weighted_iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
    pixel_confusion,
    region_counts,
)

FIGURES = (mean_iou, mean_accuracy, pixel_accuracy, frequency_weighted_iou, class_iou, class_accuracy, class_dice)


def counts(labels, target, classes):
    return region_counts(pixel_confusion(mask(labels), mask(target), classes))


def mask(rows):
    return np.atleast_2d(np.array(rows, np.uint8))


def drawn_pair(classes, height, width, seed):
    """A prediction and a target of few classes, a tenth of the target ignored."""
    rng = np.random.default_rng(seed)
    labels, target = rng.integers(classes, size=(2, height, width), dtype=np.uint8)
    target[rng.random(target.shape) < 0.1] = IGNORE
    return labels, target


pairs = st.builds(drawn_pair, st.integers(1, 6), st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))


def test_the_worked_example():
    """Group 22 of the formula reference."""
    found = counts([0, 2, 1, 2], [0, 1, 2, 2], 3)
    assert class_iou(found) == pytest.approx([1, 0, 1 / 3])
    assert float(mean_iou(found)) == pytest.approx(4 / 9)
    assert float(pixel_accuracy(found)) == 0.5
    assert float(mean_accuracy(found)) == 0.5
    assert float(frequency_weighted_iou(found)) == pytest.approx(5 / 12)


def test_a_second_example_counted_by_hand():
    target = [[0, 0, 1], [0, 1, 1], [255, 255, 2]]
    labels = [[0, 1, 1], [0, 1, 0], [2, 0, 2]]
    confusion = pixel_confusion(mask(labels), mask(target), 3)
    assert confusion.tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 1]]
    found = region_counts(confusion)
    assert found.tolist() == [[2, 2, 1], [3, 3, 1], [3, 3, 1]]
    assert found.dtype == np.int64
    assert class_iou(found).tolist() == [2 / 4, 2 / 4, 1]
    assert class_dice(found).tolist() == [4 / 6, 4 / 6, 1]
    assert float(pixel_accuracy(found)) == 5 / 7
    assert float(frequency_weighted_iou(found)) == (3 * 0.5 + 3 * 0.5 + 1) / 7


def test_a_class_nowhere_is_nan_and_in_no_mean():
    found = counts([0, 0, 1], [0, 0, 1], 4)
    assert np.isnan(class_iou(found)).tolist() == [False, False, True, True]
    assert np.isnan(class_accuracy(found)).tolist() == [False, False, True, True]
    assert np.isnan(class_dice(found)).tolist() == [False, False, True, True]
    assert [float(figure(found)) for figure in FIGURES[:4]] == [1, 1, 1, 1]


def test_a_class_only_predicted_has_no_accuracy_and_iou_nought():
    found = counts([0, 0, 1], [0, 0, 0], 2)
    assert class_iou(found) == pytest.approx([2 / 3, 0])
    assert class_accuracy(found)[0] == pytest.approx(2 / 3)
    assert np.isnan(class_accuracy(found)[1])
    assert float(mean_iou(found)) == pytest.approx(1 / 3)
    assert float(mean_accuracy(found)) == pytest.approx(2 / 3)
    assert float(frequency_weighted_iou(found)) == pytest.approx(2 / 3)


def test_nothing_but_ignored_pixels_is_no_figure():
    found = counts([0, 1, 2], [255, 255, 255], 3)
    assert not found.any()
    assert all(np.isnan(figure(found)).all() for figure in FIGURES)


@given(pairs, st.integers(0, 10**6))
def test_what_is_predicted_where_the_target_is_ignored_counts_nowhere(drawn, seed):
    labels, target = drawn
    other = labels.copy()
    other[target == IGNORE] = np.random.default_rng(seed).integers(6, size=(target == IGNORE).sum())
    assert np.array_equal(pixel_confusion(labels, target, 6), pixel_confusion(other, target, 6))


@given(pairs)
def test_the_confusion_is_scikit_learns(drawn):
    labels, target = drawn
    judged = target != IGNORE
    found = pixel_confusion(labels, target, 6)
    expected = reference.confusion_matrix(target[judged], labels[judged], labels=np.arange(6)) if judged.any() else 0
    assert np.array_equal(found, np.zeros((6, 6)) + expected)


@given(pairs)
def test_iou_and_dice_are_scikit_learns(drawn):
    labels, target = drawn
    judged = target != IGNORE
    if not judged.any():
        return
    found = counts(labels, target, 6)
    given_ = {"labels": np.arange(6), "average": None, "zero_division": 0}
    iou = reference.jaccard_score(target[judged], labels[judged], **given_)
    dice = reference.f1_score(target[judged], labels[judged], **given_)
    assert np.nan_to_num(class_iou(found)) == pytest.approx(iou)
    assert np.nan_to_num(class_dice(found)) == pytest.approx(dice)
    assert np.nan_to_num(class_dice(found)) == pytest.approx(2 * iou / (1 + iou))


@given(pairs)
def test_swapping_target_and_prediction_keeps_iou_and_dice(drawn):
    labels, target = drawn
    labels = np.where(target == IGNORE, 0, labels).astype(np.uint8)
    target = np.where(target == IGNORE, 0, target).astype(np.uint8)
    for figure in (class_iou, class_dice):
        assert np.array_equal(figure(counts(labels, target, 6)), figure(counts(target, labels, 6)), equal_nan=True)


@given(st.lists(pairs, min_size=1, max_size=6), st.data())
def test_any_split_into_batches_gives_the_same_bits(images, data):
    rows = np.stack([counts(labels, target, 6) for labels, target in images])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    batches = np.split(rows, cuts)
    added = sum(batch.sum(axis=0) for batch in batches)
    for figure in FIGURES:
        whole = figure(rows.sum(axis=0))
        assert whole.tobytes() == figure(added).tobytes()
        assert whole.tobytes() == figure(np.concatenate(batches).sum(axis=0).astype(float)).tobytes()


@given(pairs, st.integers(0, 12))
def test_tiles_of_an_image_add_up_to_the_image(drawn, at):
    labels, target = drawn
    tiles = [(labels[part], target[part]) for part in (slice(at), slice(at, None))]
    whole = pixel_confusion(labels, target, 6)
    assert np.array_equal(sum(pixel_confusion(*tile, 6) for tile in tiles), whole)


def test_leading_axes_go_through():
    rows = np.stack([counts(*drawn_pair(4, 8, 9, seed), 4) for seed in range(6)])
    for figure in FIGURES:
        stacked = figure(rows.reshape(2, 3, 3, 4))
        assert np.array_equal(stacked.reshape(6, *stacked.shape[2:]), np.stack([figure(row) for row in rows]))


@pytest.mark.parametrize("found", [{"target": [0, 7]}, {"labels": [0, 7]}])
def test_a_value_that_is_no_class_is_refused(found):
    masks = {"labels": [0, 1], "target": [0, 1]} | found
    with pytest.raises(DataError, match="pixels of value 7, which is no class: with 3 classes they are 0 to 2, or 255"):
        counts(masks["labels"], masks["target"], 3)


def test_a_prediction_without_a_class_is_refused():
    with pytest.raises(DataError, match="2 pixels of value 255"):
        counts([0, 255, 255, 255], [0, 1, 0, 255], 2)


def test_twenty_four_megapixels_take_a_moment_and_little_memory():
    rng = np.random.default_rng(0)
    target = rng.integers(150, size=(4000, 6000), dtype=np.uint8)
    labels = np.roll(target, 7, axis=1)
    tracemalloc.start()
    start = time.process_time()
    confusion = pixel_confusion(labels, target, 150)
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert confusion.sum() == 24_000_000
