"""Whether the scores can be believed: of the images predicted with score 0.8, are 80 % correct?

Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks" (arXiv 1706.04599).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from pellucid.metrics.counts import softmax

__all__ = ["Reliability", "brier_scores", "calibration_error", "fit_temperature", "reliability", "scores_at"]

BINS = 15
CHUNK = 4096  # rows held as float64 at once: 33 MB at 1,000 classes


@dataclass(frozen=True, slots=True)
class Reliability:
    """Images by score, in bins of equal width over (0, 1]; an image on an edge belongs to the bin below it.

    `score` and `accuracy` are the means in each bin, NaN where it holds no image.
    """

    edges: Float[ndarray, " edges"]
    count: Int[ndarray, " bins"]
    score: Float[ndarray, " bins"]
    accuracy: Float[ndarray, " bins"]


def reliability(scores: Float[ndarray, " n"], correct: Bool[ndarray, " n"], bins: int = BINS) -> Reliability:
    """Mean score and accuracy by bin: bin m holds scores in ((m-1)/M, m/M], 0 itself in the first."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    at = np.clip(np.searchsorted(edges, scores, side="left") - 1, 0, bins - 1)
    count = np.bincount(at, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    mean_score = np.bincount(at, weights=scores, minlength=bins) / filled
    accuracy = np.bincount(at, weights=correct, minlength=bins) / filled
    return Reliability(edges, count, mean_score, accuracy)


def calibration_error(curve: Reliability) -> float:
    """Expected calibration error, equation 3: `Σ |B_m| / n · |accuracy(B_m) - score(B_m)|`, in 0..1."""
    gaps = np.nan_to_num(np.abs(curve.accuracy - curve.score))
    return float((curve.count * gaps).sum() / curve.count.sum())


def brier_scores(probs: Float[ndarray, "n classes"], labels: Int[ndarray, " n"]) -> Float[ndarray, " n"]:
    """`Σ_k (p_k - [k = label])²` of each image, in 0..2 (Brier 1950, equation 2); 0 is best."""
    own = np.take_along_axis(probs, labels[:, None], axis=1)[:, 0]
    return (probs**2).sum(axis=1) - own**2 + (1.0 - own) ** 2


def fit_temperature(
    logits: Float[ndarray, "n classes"], labels: Int[ndarray, " n"], low: float = 0.01, high: float = 100.0
) -> float:
    """The T in [low, high] that minimises the mean cross entropy of `logits / T` (section 4.2).

    Cross entropy is convex in b = 1/T, so its slope has one zero, which two bounds enclose. A Newton step
    that would leave them, or is not half as long as the one before, is replaced by their geometric mean. All
    images correct by a wide margin give `low`, predictions worse than chance `high`.
    """
    left, right = 1.0 / high, 1.0 / low
    if _slope_and_curvature(logits, labels, right)[0] < 0:
        return low
    if _slope_and_curvature(logits, labels, left)[0] > 0:
        return high
    b, move = 1.0, np.inf
    for _ in range(100):
        slope, curvature = _slope_and_curvature(logits, labels, b)
        if slope == 0:
            break
        left, right = (left, b) if slope > 0 else (b, right)
        following = b - slope / max(curvature, 1e-300)
        if not left < following < right or abs(following - b) > move / 2:
            following = float(np.sqrt(left * right))
        b, move = following, abs(following - b)
        if move <= 1e-9 * b:
            break
    return 1.0 / b


def scores_at(logits: Float[ndarray, "n classes"], temperature: float) -> Float[ndarray, " n"]:
    """The greatest prob of each image with `logits / temperature`."""
    starts = range(0, len(logits), CHUNK)
    parts = [softmax(logits[start : start + CHUNK] / temperature).max(axis=1) for start in starts]
    return np.concatenate(parts)


def _slope_and_curvature(
    logits: Float[ndarray, "n classes"], labels: Int[ndarray, " n"], b: float
) -> tuple[float, float]:
    """First and second derivative by b of the mean of `log Σ exp(b·z) - b·z[label]`.

    They are the mean of `E[z] - z[label]` and the mean of `Var[z]` under the probs.
    """
    slope = curvature = 0.0
    for start in range(0, len(labels), CHUNK):
        z = np.asarray(logits[start : start + CHUNK], np.float64)
        own = np.take_along_axis(z, labels[start : start + CHUNK, None], axis=1)
        z = z - own
        probs = softmax(b * z)
        mean = (probs * z).sum(axis=1, keepdims=True)
        slope += float(mean.sum())
        curvature += float((probs * (z - mean) ** 2).sum())
    return slope / len(labels), curvature / len(labels)
