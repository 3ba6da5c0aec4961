"""Counts against hand-worked examples, scikit-learn and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from pellucid.metrics.counts import (
    class_figures,
    confusion_matrix,
    cross_entropies,
    label_ranks,
    macro_f1,
    most_confused,
    softmax,
    top_k_correct,
    weighted_f1,
)

# scikit-learn's documentation of precision_recall_fscore_support and confusion_matrix
TARGETS = np.array([0, 1, 2, 0, 1, 2])
PREDICTIONS = np.array([0, 2, 1, 0, 0, 1])

pairs = st.integers(2, 6).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1, max_size=40),
    )
)
logits_and_labels = st.tuples(st.integers(2, 7), st.integers(1, 9), st.integers(0, 10**6)).map(
    lambda drawn: _coarse(*drawn)
)


def _coarse(classes, n, seed):
    """Logits from few values, so that ties are frequent."""
    rng = np.random.default_rng(seed)
    return rng.integers(-2, 3, size=(n, classes)).astype(np.float32), rng.integers(classes, size=n)


def test_ranks_of_a_worked_example():
    logits = np.array([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [5.0, 5.0, 5.0], [5.0, 5.0, 5.0], [0.0, 1.0, 1.0]])
    assert label_ranks(logits, np.array([1, 0, 0, 2, 2])).tolist() == [0, 2, 0, 2, 1]


@given(logits_and_labels)
def test_ranks_are_the_places_of_a_stable_sort(drawn):
    logits, labels = drawn
    order = np.argsort(-logits, axis=1, kind="stable")
    places = (order == labels[:, None]).argmax(axis=1)
    assert np.array_equal(label_ranks(logits, labels), places)
    assert np.array_equal(label_ranks(logits, labels) == 0, logits.argmax(axis=1) == labels)


@given(logits_and_labels)
def test_top_k_grows_with_k_to_everything(drawn):
    logits, labels = drawn
    hits = [int(top_k_correct(logits, labels, k).sum()) for k in range(logits.shape[1] + 1)]
    assert hits[0] == 0
    assert hits == sorted(hits)
    assert hits[-1] == len(labels)


def test_top_k_is_scikit_learns_without_ties():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(200, 10)), rng.integers(10, size=200)
    for k in (1, 2, 5):
        expected = reference.top_k_accuracy_score(labels, logits, k=k, labels=np.arange(10))
        assert top_k_correct(logits, labels, k).mean() == pytest.approx(expected)


def test_confusion_of_the_published_example():
    assert confusion_matrix(TARGETS, PREDICTIONS, 3).tolist() == [[2, 0, 0], [1, 0, 1], [0, 2, 0]]


@given(pairs)
def test_confusion_is_scikit_learns(drawn):
    classes, rows = drawn
    targets, predictions = np.array(rows).T
    expected = reference.confusion_matrix(targets, predictions, labels=np.arange(classes))
    assert np.array_equal(confusion_matrix(targets, predictions, classes), expected)


def test_figures_of_the_published_example():
    figures = class_figures(confusion_matrix(TARGETS, PREDICTIONS, 3))
    assert figures.precision == pytest.approx([2 / 3, 0, 0])
    assert figures.recall == pytest.approx([1, 0, 0])
    assert figures.f1 == pytest.approx([0.8, 0, 0])
    assert figures.support.tolist() == [2, 2, 2]
    assert float(macro_f1(figures)) == pytest.approx(0.26666666)
    assert float(weighted_f1(figures)) == pytest.approx(0.26666666)


def test_nothing_observed_is_nan_and_counts_in_no_mean():
    figures = class_figures(np.array([[3, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    assert np.isnan(figures.precision).tolist() == [False, True, True, False]
    assert np.isnan(figures.recall).tolist() == [False, True, False, True]
    assert np.isnan(figures.f1).tolist() == [False, True, False, False]
    assert float(macro_f1(figures)) == pytest.approx(np.mean([6 / 8, 0, 0]))


@given(pairs)
def test_figures_are_scikit_learns(drawn):
    classes, rows = drawn
    targets, predictions = np.array(rows).T
    figures = class_figures(confusion_matrix(targets, predictions, classes))
    names = np.arange(classes)
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        targets, predictions, labels=names, zero_division=0
    )
    assert np.nan_to_num(figures.precision) == pytest.approx(precision)
    assert np.nan_to_num(figures.recall) == pytest.approx(recall)
    assert np.nan_to_num(figures.f1) == pytest.approx(f1)
    assert figures.support.tolist() == support.tolist()
    for ours, average in ((macro_f1, "macro"), (weighted_f1, "weighted")):
        expected = reference.f1_score(targets, predictions, average=average, zero_division=0)
        assert float(ours(figures)) == pytest.approx(expected)


def test_softmax_and_cross_entropy_are_torchs():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(50, 7)) * 10, rng.integers(7, size=50)
    z = torch.from_numpy(logits)
    np.testing.assert_allclose(softmax(logits), z.softmax(1), rtol=1e-12)
    expected = torch.nn.functional.cross_entropy(z, torch.from_numpy(labels), reduction="none")
    np.testing.assert_allclose(cross_entropies(logits, labels), expected, rtol=1e-12, atol=1e-14)


def test_cross_entropy_of_two_equal_logits_is_log_two():
    assert cross_entropies(np.zeros((1, 2)), np.array([1])) == pytest.approx(np.log(2))


def test_huge_logits_do_not_overflow():
    logits = np.array([[3e38, 0.0], [-3e38, 0.0]], dtype=np.float32)
    assert softmax(logits).tolist() == [[1, 0], [0, 1]]
    assert cross_entropies(logits, np.array([0, 1])).tolist() == [0, 0]


def test_most_confused_are_the_largest_mistakes_first():
    confusion = np.array([[9, 2, 0], [5, 9, 2], [0, 1, 9]])
    assert most_confused(confusion, 3) == [(1, 0, 5), (0, 1, 2), (1, 2, 2)]
    assert len(most_confused(confusion, 99)) == 4
    assert confusion[0, 0] == 9
