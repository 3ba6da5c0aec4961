"""Calibration against hand-worked values, scikit-learn, torch, and properties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from pellucid.metrics.calibration import (
    brier_scores,
    calibration_error,
    fit_temperature,
    reliability,
    scores_at,
)
from pellucid.metrics.counts import cross_entropies, softmax


def test_reliability_of_a_worked_example():
    """Two bins: scores .2 .4 (one of two correct), .6 .8 1.0 (two of three correct)."""
    curve = reliability(np.array([0.2, 0.4, 0.6, 0.8, 1.0]), np.array([True, False, True, True, False]), bins=2)
    assert curve.edges.tolist() == [0, 0.5, 1]
    assert curve.count.tolist() == [2, 3]
    assert curve.score == pytest.approx([0.3, 0.8])
    assert curve.accuracy == pytest.approx([1 / 2, 2 / 3])
    assert calibration_error(curve) == pytest.approx(2 / 5 * 0.2 + 3 / 5 * (0.8 - 2 / 3))


def test_an_edge_belongs_to_the_bin_below_it_and_zero_to_the_first():
    curve = reliability(np.array([0.0, 0.25, 0.5, 1.0]), np.ones(4, bool), bins=4)
    assert curve.count.tolist() == [2, 1, 0, 1]
    assert np.isnan(curve.score[2])
    assert np.isnan(curve.accuracy[2])


def test_reliability_is_scikit_learns():
    rng = np.random.default_rng(0)
    scores = rng.random(500)
    correct = rng.random(500) < scores
    curve = reliability(scores, correct)
    filled = curve.count > 0
    accuracy, mean_score = calibration_curve(correct, scores, n_bins=15)
    np.testing.assert_allclose(curve.accuracy[filled], accuracy)
    np.testing.assert_allclose(curve.score[filled], mean_score)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_error_lies_between_the_mean_gap_and_one(drawn):
    scores, correct = np.array([score for score, _ in drawn]), np.array([hit for _, hit in drawn])
    error = calibration_error(reliability(scores, correct))
    assert abs(scores.mean() - correct.mean()) - 1e-9 <= error <= 1 + 1e-9


def test_sure_and_right_is_calibrated_and_sure_and_wrong_is_not():
    ones = np.ones(10)
    assert calibration_error(reliability(ones, np.ones(10, bool))) == 0
    assert calibration_error(reliability(ones, np.zeros(10, bool))) == 1


def test_brier_of_worked_examples():
    probs = np.array([[1.0, 0, 0], [0, 1.0, 0], [0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3]])
    expected = [0, 2, 0.25 + 2 * 0.0625, 2 / 3]
    assert brier_scores(probs, np.array([0, 0, 0, 2])) == pytest.approx(expected)


def test_brier_is_scikit_learns():
    rng = np.random.default_rng(0)
    probs, labels = softmax(rng.normal(size=(100, 5))), rng.integers(5, size=100)
    expected = brier_score_loss(labels, probs, labels=np.arange(5), scale_by_half=False)
    assert brier_scores(probs, labels).mean() == pytest.approx(expected)


def blurred(n=4000, classes=6, temperature=1.0, seed=0):
    """Logits whose softmax at `temperature` is the true distribution of the labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 2
    probs = softmax(logits)
    labels = (probs.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits * temperature, labels


@pytest.mark.parametrize("true", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_logits_is_found(true):
    logits, labels = blurred(temperature=true)
    assert fit_temperature(logits, labels) == pytest.approx(true, rel=0.1)


def test_the_temperature_is_the_minimum_that_torchs_optimiser_finds():
    logits, labels = blurred(n=300, temperature=3.0)
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    log_b = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_b], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(z * log_b.exp(), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert fit_temperature(logits, labels) == pytest.approx(float(torch.exp(-log_b.detach())), rel=1e-6)


@given(st.integers(0, 10**6), st.floats(0.05, 20))
def test_no_other_temperature_is_better(seed, scale):
    logits, labels = blurred(n=30, classes=3, temperature=scale, seed=seed)
    best = fit_temperature(logits, labels)
    at_best = cross_entropies(logits / best, labels).mean()
    for other in np.geomspace(0.01, 100, 41):
        assert at_best <= cross_entropies(logits / other, labels).mean() + 1e-9


def test_temperatures_stay_between_their_bounds():
    logits = np.array([[4.0, 0.0], [0.0, 4.0]])
    assert fit_temperature(logits, np.array([0, 1])) == 0.01
    assert fit_temperature(logits, np.array([1, 0])) == 100.0
    assert fit_temperature(np.zeros((3, 2)), np.array([0, 1, 1])) == 1.0


def test_temperature_leaves_the_predictions_and_improves_the_calibration():
    logits, labels = blurred(temperature=5.0)
    correct = logits.argmax(1) == labels
    before = calibration_error(reliability(softmax(logits).max(1), correct))
    cooled = logits / fit_temperature(logits, labels)
    assert np.array_equal(cooled.argmax(1), logits.argmax(1))
    assert np.array_equal(softmax(cooled).max(1), scores_at(logits, fit_temperature(logits, labels)))
    assert calibration_error(reliability(softmax(cooled).max(1), correct)) < before / 4
