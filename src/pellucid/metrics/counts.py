"""Figures of classification that are counts or sums over images: ranks, confusion, precision, recall, losses.

Where a quotient is 0/0 it is NaN: nothing was observed, and 0 would claim that something was.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from numpy import ndarray

__all__ = [
    "ClassFigures",
    "class_figures",
    "confusion_matrix",
    "cross_entropies",
    "label_ranks",
    "macro_f1",
    "most_confused",
    "quotient",
    "softmax",
    "top_k_correct",
    "weighted_f1",
]


def softmax(logits: Float[ndarray, "n classes"]) -> Float[ndarray, "n classes"]:
    """Probs in float64: `exp(z) / Σ exp(z)` row by row."""
    shifted = np.asarray(logits, np.float64) - np.max(logits, axis=1, keepdims=True)
    powers = np.exp(shifted)
    return powers / powers.sum(axis=1, keepdims=True)


def label_ranks(logits: Float[ndarray, "n classes"], labels: Int[ndarray, " n"]) -> Int[ndarray, " n"]:
    """How many classes stand before the label: 0 is a correct prediction.

    A class stands before it with a greater logit, or with an equal one and a lower index, as in a stable
    sort.
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    before = np.arange(logits.shape[1]) < labels[:, None]
    return ((logits > own) | ((logits == own) & before)).sum(axis=1)


def top_k_correct(logits: Float[ndarray, "n classes"], labels: Int[ndarray, " n"], k: int) -> Bool[ndarray, " n"]:
    """Whether the label is among the k classes of the greatest logits."""
    return label_ranks(logits, labels) < k


def cross_entropies(logits: Float[ndarray, "n classes"], labels: Int[ndarray, " n"]) -> Float[ndarray, " n"]:
    """`log Σ exp(z) - z[label]` of each image, in nats, computed in float64."""
    wide = np.asarray(logits, np.float64)
    top = wide.max(axis=1)
    log_sum = top + np.log(np.exp(wide - top[:, None]).sum(axis=1))
    return log_sum - np.take_along_axis(wide, labels[:, None], axis=1)[:, 0]


def confusion_matrix(
    targets: Int[ndarray, " n"], predictions: Int[ndarray, " n"], classes: int
) -> Int[ndarray, "classes classes"]:
    """Images by target (row) and prediction (column)."""
    cells = np.bincount(targets * classes + predictions, minlength=classes * classes)
    return cells.reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """Figures of each class, from hits, images of the class (support) and predictions of the class.

    A leading axis of resamples is allowed. NaN is 0/0: precision of a class never predicted, recall of a
    class without images, F1 of a class with neither.
    """

    support: Float[ndarray, "*resamples classes"]
    predicted: Float[ndarray, "*resamples classes"]
    hits: Float[ndarray, "*resamples classes"]

    @property
    def precision(self) -> Float[ndarray, "*resamples classes"]:
        """Of the images called this class, the share that is."""
        return quotient(self.hits, self.predicted)

    @property
    def recall(self) -> Float[ndarray, "*resamples classes"]:
        """Of the images of this class, the share that was found."""
        return quotient(self.hits, self.support)

    @property
    def f1(self) -> Float[ndarray, "*resamples classes"]:
        """The harmonic mean of precision and recall, `2·hits / (support + predicted)`."""
        return quotient(2 * self.hits, self.support + self.predicted)


def class_figures(confusion: Int[ndarray, "classes classes"]) -> ClassFigures:
    """Figures of each class from a confusion matrix with targets as rows."""
    wide = confusion.astype(np.float64)
    return ClassFigures(support=wide.sum(axis=1), predicted=wide.sum(axis=0), hits=np.diagonal(wide))


def macro_f1(figures: ClassFigures) -> Float[ndarray, "*resamples"]:
    """The mean F1 of the classes that occur, as target or as prediction; each counts the same."""
    occurs = figures.support + figures.predicted > 0
    return np.asarray(np.where(occurs, figures.f1, 0.0).sum(axis=-1) / occurs.sum(axis=-1))


def weighted_f1(figures: ClassFigures) -> Float[ndarray, "*resamples"]:
    """The mean F1 of the classes, each weighted by its number of images."""
    known = np.where(figures.support > 0, figures.f1, 0.0)
    return np.asarray((known * figures.support).sum(axis=-1) / figures.support.sum(axis=-1))


def most_confused(confusion: Int[ndarray, "classes classes"], most: int) -> list[tuple[int, int, int]]:
    """(target, prediction, images) of the most frequent mistakes, ties in the order of the classes."""
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(at) // len(wrong), int(at) % len(wrong)) for at in order]
    return [(target, given, int(wrong[target, given])) for target, given in pairs if wrong[target, given]]


def quotient(above: Num[ndarray, "..."], below: Num[ndarray, "..."]) -> Float[ndarray, "..."]:
    """`above / below`, NaN where both are 0."""
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
