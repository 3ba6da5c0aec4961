"""Intervals and tests against published values, plain loops, coverage and properties."""

import time
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
    percentile_interval,
    wilson,
)


def generator(seed=0):
    return np.random.default_rng(seed)


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
