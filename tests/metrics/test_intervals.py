"""Intervals and tests against published values, plain loops, coverage and properties."""

import time
import tracemalloc
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pellucid.metrics.intervals import (
    bootstrap_macro_f1,
    bootstrap_mean,
    mcnemar,
    paired_bootstrap,
    paired_figure_bootstrap,
    percentile_interval,
    resampled_sums,
    wilson,
)
from pellucid.metrics.regions import frequency_weighted_iou, mean_accuracy, mean_iou, pixel_accuracy

FIGURES = (mean_iou, mean_accuracy, pixel_accuracy, frequency_weighted_iou)


def generator(seed=0):
    return np.random.default_rng(seed)


def region_rows(images, classes, seed=0, share=0.8):
    """Hits, target pixels and predicted pixels of images, in each of which some classes are absent."""
    rng = generator(seed)
    target = rng.integers(1, 900, size=(images, classes)) * (rng.random((images, classes)) < 0.6)
    hits = rng.binomial(target, share)
    return np.stack([hits, target, hits + rng.integers(0, 90, size=hits.shape)], axis=1)


def test_percentiles_of_a_line():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert percentile_interval(np.arange(101.0), level=0.5) == pytest.approx((25.0, 75.0))


def test_mean_interval_is_that_of_a_plain_bootstrap():
    """The multinomial counts give the same distribution as drawing images one by one."""
    values = generator(3).gamma(2.0, size=80).round(1)
    indices = generator(4).integers(80, size=(20_000, 80))
    low, high = np.quantile(values[indices].mean(axis=1), [0.025, 0.975])
    ours = bootstrap_mean(values, generator(5), resamples=20_000)
    assert ours == pytest.approx((low, high), abs=0.02)


def test_mean_interval_of_accuracy_is_about_the_normal_one():
    values = np.repeat([1.0, 0.0], [900, 100])
    half = 1.96 * np.sqrt(0.9 * 0.1 / 1000)
    assert bootstrap_mean(values, generator()) == pytest.approx((0.9 - half, 0.9 + half), abs=0.003)


def test_intervals_are_the_same_for_the_same_seed_and_differ_otherwise():
    values = generator(1).random(50)
    first = bootstrap_mean(values, generator(7))
    assert first == bootstrap_mean(values, generator(7))
    assert first != bootstrap_mean(values, generator(8))


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(0, 99))
def test_mean_interval_lies_within_the_values(drawn, seed):
    values = np.array(drawn)
    low, high = bootstrap_mean(values, generator(seed), resamples=50)
    assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9


def test_mean_interval_covers_the_truth_as_often_as_it_says():
    """300 samples of 100 draws with chance 0.8: 95 % of the intervals hold 0.8, give or take 2 standard errors."""
    rng = generator(11)
    held = 0
    for _ in range(300):
        low, high = bootstrap_mean((rng.random(100) < 0.8).astype(float), rng, resamples=400)
        held += low <= 0.8 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_macro_f1_interval_is_that_of_a_plain_bootstrap():
    rng = generator(2)
    targets = rng.integers(4, size=120)
    predictions = np.where(rng.random(120) < 0.6, targets, rng.integers(4, size=120))
    drawn = generator(3).integers(120, size=(1500, 120))
    scores = [f1_score(targets[at], predictions[at], average="macro") for at in drawn]
    low, high = np.quantile(scores, [0.025, 0.975])
    ours = bootstrap_macro_f1(targets, predictions, 4, generator(4), resamples=4000)
    assert ours == pytest.approx((low, high), abs=0.015)


def test_macro_f1_leaves_out_classes_that_do_not_occur():
    targets = np.array([0] * 20 + [1])
    assert bootstrap_macro_f1(targets, targets, 9, generator()) == (1.0, 1.0)


def test_ten_thousand_images_of_ten_classes_take_less_than_half_a_second():
    rng = generator()
    targets = rng.integers(10, size=10_000)
    predictions = np.where(rng.random(10_000) < 0.9, targets, rng.integers(10, size=10_000))
    start = time.process_time()
    bootstrap_mean((targets == predictions).astype(float), rng)
    bootstrap_macro_f1(targets, predictions, 10, rng)
    assert time.process_time() - start < 0.5


def test_paired_difference_of_equal_models_is_nothing():
    hits = (generator().random(200) < 0.7).astype(float)
    found = paired_bootstrap(hits, hits, generator())
    assert (found.value, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_paired_difference_uses_the_pairing():
    """Both models fail on the same hard half; one of them on ten images more."""
    first = np.repeat([1.0, 0.0], [500, 500])
    second = first.copy()
    second[:10] = 0
    found = paired_bootstrap(first, second, generator())
    assert found.value == pytest.approx(0.01)
    assert 0 < found.interval[0] < 0.01 < found.interval[1] < 0.02
    assert found.p < 0.01


def test_paired_p_agrees_with_the_exact_test():
    first, second = np.zeros(300), np.zeros(300)
    first[:24] = 1
    second[24:36] = 1
    found = paired_bootstrap(first, second, generator(), resamples=20_000)
    assert found.p == pytest.approx(mcnemar(24, 12), abs=0.03)
    swapped = paired_bootstrap(second, first, generator(), resamples=20_000)
    assert swapped.value == -found.value
    assert swapped.p == pytest.approx(found.p, abs=0.01)


def test_paired_p_is_uniform_when_nothing_differs():
    rng = generator(5)
    found = [paired_bootstrap(rng.random(60), rng.random(60), rng, resamples=300).p for _ in range(200)]
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=0.06)


def test_resampled_sums_are_those_of_drawn_images():
    """The same figures as drawing images one by one, up to the chance of the draws."""
    rows = region_rows(40, 5)
    drawn = generator(1).integers(40, size=(8000, 40))
    sums = resampled_sums(rows, generator(2), resamples=8000)
    for figure in FIGURES:
        expected = percentile_interval(figure(rows[drawn].sum(axis=1)))
        assert percentile_interval(figure(sums)) == pytest.approx(expected, abs=0.004)


@given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_resampled_sums_are_whole_and_of_as_many_images(images, classes, seed):
    rows = region_rows(images, classes, seed)
    rows[:, 1, 0] = 1
    sums = resampled_sums(rows, generator(seed), resamples=20)
    assert sums.shape == (20, 3, classes)
    assert np.array_equal(sums, sums.round())
    assert (sums[:, 1, 0] == images).all()


def test_resampled_sums_do_not_depend_on_how_many_are_held_at_once(monkeypatch):
    rows = region_rows(30, 3)
    whole = resampled_sums(rows, generator(4), resamples=100)
    monkeypatch.setattr("pellucid.metrics.intervals.CHUNK_CELLS", 200)
    assert np.array_equal(resampled_sums(rows, generator(4), resamples=100), whole)


def test_an_interval_leaves_out_resamples_without_the_figure():
    """Of two images one is wholly ignored: a quarter of the resamples hold nothing else."""
    rows = np.array([[[8], [10], [9]], [[0], [0], [0]]])
    figures = mean_iou(resampled_sums(rows, generator()))
    assert np.isnan(figures).mean() == pytest.approx(0.25, abs=0.04)
    assert percentile_interval(figures) == (8 / 11, 8 / 11)
    assert np.isnan(percentile_interval(np.array([np.nan, np.nan]))).all()


def test_a_hundred_and_thirty_classes_in_five_thousand_images_take_seconds_and_little_memory():
    rows = region_rows(5000, 130)
    tracemalloc.start()
    start = time.process_time()
    sums = resampled_sums(rows, generator())
    assert all(np.isfinite(percentile_interval(figure(sums))).all() for figure in FIGURES)
    assert time.process_time() - start < 4
    assert tracemalloc.get_traced_memory()[1] < 300e6
    tracemalloc.stop()


def test_paired_figures_of_equal_models_do_not_differ():
    rows = region_rows(50, 4)
    found = paired_figure_bootstrap(rows, rows, mean_iou, generator())
    assert (found.value, found.interval, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_a_paired_figure_that_is_a_mean_is_the_paired_bootstrap():
    """Images of one pixel of one class: pixel accuracy is the mean of the hits."""
    first, second = (generator().random((2, 300)) < [[0.8], [0.7]]).astype(np.int64)
    rows = [np.stack([hits, np.ones_like(hits), hits], axis=1)[:, :, None] for hits in (first, second)]
    found = paired_figure_bootstrap(*rows, pixel_accuracy, generator(1), resamples=20_000)
    expected = paired_bootstrap(first.astype(float), second.astype(float), generator(2), resamples=20_000)
    assert found.value == pytest.approx(expected.value)
    assert found.interval == pytest.approx(expected.interval, abs=0.004)
    assert found.p == pytest.approx(expected.p, abs=0.004)


def test_paired_figures_use_the_pairing():
    """Images differ far more from one another than the two models do on any of them."""
    first = np.concatenate([region_rows(60, 4, 1, share=0.95), region_rows(60, 4, 2, share=0.3)])
    second = first.copy()
    second[:, 0] = second[:, 0] * 98 // 100
    found = paired_figure_bootstrap(first, second, mean_iou, generator())
    alone = percentile_interval(mean_iou(resampled_sums(first, generator())))
    assert found.value == float(mean_iou(first.sum(axis=0)) - mean_iou(second.sum(axis=0)))
    assert 0 < found.interval[0] < found.value < found.interval[1]
    assert found.interval[1] - found.interval[0] < (alone[1] - alone[0]) / 10
    assert found.p < 0.002
    swapped = paired_figure_bootstrap(second, first, mean_iou, generator())
    assert swapped.value == -found.value
    assert swapped.interval == pytest.approx((-found.interval[1], -found.interval[0]))


def test_a_paired_figure_that_is_nowhere_known_is_nan_and_tells_nothing():
    nothing = np.zeros((5, 3, 2), np.int64)
    found = paired_figure_bootstrap(nothing, nothing, mean_iou, generator())
    assert np.isnan([found.value, *found.interval]).all()
    assert found.p == 1


@pytest.mark.parametrize(
    ("only_first", "only_second", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 1, 1.0), (0, 6, 2 / 64), (1, 8, 20 / 512), (2, 10, 158 / 4096)],
)
def test_mcnemar_of_worked_examples(only_first, only_second, p):
    """(2, 10): 2·(1 + 12 + 66) / 2^12."""
    assert mcnemar(only_first, only_second) == p
    assert mcnemar(only_second, only_first) == p


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_tail(a, b):
    tail = sum(comb(a + b, i) for i in range(min(a, b) + 1)) / 2 ** (a + b)
    assert mcnemar(a, b) == min(1.0, 2 * tail)


def test_mcnemar_of_many_images_neither_overflows_nor_underflows():
    assert mcnemar(24_700, 25_300) == pytest.approx(0.00738, abs=1e-4)
    assert mcnemar(0, 5_000) == 0.0


def test_wilson_of_published_examples():
    """Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    found = wilson(np.array([81, 15, 0, 1]), np.array([263, 148, 20, 29]))
    expected = [[0.2553, 0.3662], [0.0624, 0.1605], [0.0, 0.1611], [0.0061, 0.1718]]
    np.testing.assert_allclose(found, expected, atol=5e-5)


def test_wilson_of_nothing_is_everything():
    assert wilson(np.array([0]), np.array([0])).tolist() == [[0.0, 1.0]]


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_symmetric_and_holds_the_share(drawn):
    hits, n = drawn
    low, high = wilson(np.array([hits]), np.array([n]))[0]
    assert 0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1
    other = wilson(np.array([n - hits]), np.array([n]))[0]
    assert (1 - other[1], 1 - other[0]) == pytest.approx((low, high))
