"""How far a figure could be off by the chance of which images were judged: intervals and paired tests.

A resample draws n of the n images with replacement. Only how often each *distinct outcome* was drawn matters,
and those counts are one multinomial draw: 2,000 resamples of 10,000 images take a fraction of a second.

A figure that is no mean over images, such as mean IoU, is computed anew from what each resample sums up to. Where it
is 0/0 in a resample (NaN), that resample is left out.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from jaxtyping import Float, Int, Num
from numpy import ndarray
from numpy.random import Generator

from pellucid.metrics.counts import ClassFigures, macro_f1

__all__ = [
    "Difference",
    "bootstrap_macro_f1",
    "bootstrap_mean",
    "difference",
    "image_draws",
    "mcnemar",
    "paired_bootstrap",
    "paired_figure_bootstrap",
    "percentile_interval",
    "resampled_sums",
    "wilson",
]

RESAMPLES = 2000
LEVEL = 0.95
CHUNK_CELLS = 4_000_000  # draws held at once: 32 MB


def percentile_interval(values: Float[ndarray, " resamples"], level: float = LEVEL) -> tuple[float, float]:
    """The middle `level` of the resampled values (Efron & Tibshirani 1993, section 13.3); NaN if none is known."""
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_mean(
    values: Float[ndarray, " n"], rng: Generator, *, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float]:
    """The interval of a mean over images, such as accuracy (values 0 and 1)."""
    distinct, counts = np.unique(values, return_counts=True)
    means = [draws @ distinct / len(values) for draws in _resampled(counts, resamples, rng)]
    return percentile_interval(np.concatenate(means), level)


def bootstrap_macro_f1(
    targets: Int[ndarray, " n"],
    predictions: Int[ndarray, " n"],
    classes: int,
    rng: Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float]:
    """The interval of macro F1 over the classes that occur in a resample."""
    cells, counts = np.unique(targets * classes + predictions, return_counts=True)
    rows, columns = cells // classes, cells % classes
    hits = np.where(rows == columns, rows, classes)  # mistakes go to one column more, which is cut off
    scores = []
    for draws in _resampled(counts, resamples, rng):
        figures = ClassFigures(
            support=_sums_by(rows, draws, classes),
            predicted=_sums_by(columns, draws, classes),
            hits=_sums_by(hits, draws, classes + 1)[:, :classes],
        )
        scores.append(macro_f1(figures))
    return percentile_interval(np.concatenate(scores), level)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two paired measurements, its interval and its two-sided p value.

    p is twice the smaller share of resamples on either side of 0, with one counted on each side so that it is
    never 0 (Davison & Hinkley 1997, section 4.2.3): the interval of level 1 - p just reaches 0.
    """

    value: float
    interval: tuple[float, float]
    p: float


def paired_bootstrap(
    first: Float[ndarray, " n"],
    second: Float[ndarray, " n"],
    rng: Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Difference:
    """`mean(first - second)` on the same images."""
    distinct, counts = np.unique(first - second, return_counts=True)
    means = [draws @ distinct / len(first) for draws in _resampled(counts, resamples, rng)]
    return difference(float(np.mean(first - second)), np.concatenate(means), level)


def resampled_sums(
    counts: Int[ndarray, "n ..."], rng: Generator, *, resamples: int = RESAMPLES
) -> Float[ndarray, "resamples ..."]:
    """What the counts of the images add up to in each resample; any figure of such sums then has its interval.

    `percentile_interval(mean_iou(resampled_sums(counts, rng)))`. The sums are whole numbers, exact below 2^53.
    """
    columns = counts.reshape(len(counts), -1).astype(np.float64)
    images = np.ones(len(counts), np.int64)
    sums = [draws @ columns for draws in _resampled(images, resamples, rng)]
    return np.concatenate(sums).reshape(-1, *counts.shape[1:])


def paired_figure_bootstrap(
    first: Int[ndarray, "n ..."],
    second: Int[ndarray, "n ..."],
    figure: Callable[[Num[ndarray, "..."]], Float[ndarray, "*rows"]],
    rng: Generator,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Difference:
    """`figure(Σ first) - figure(Σ second)` of two models' counts on the same images, such as `regions.mean_iou`."""
    both = np.stack([first, second], axis=1)
    of_first, of_second = np.moveaxis(resampled_sums(both, rng, resamples=resamples), 1, 0)
    value = figure(first.sum(axis=0)) - figure(second.sum(axis=0))
    return difference(float(value), figure(of_first) - figure(of_second), level)


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p of McNemar 1947 for the images that only one of two models got right.

    If the models were equally good, `only_first` would be binomial with chance 1/2 of the n discordant
    images: `p = min(1, 2·Σ_{i <= min} C(n, i) / 2^n)`. The sum is in whole numbers, hence exact for any n.
    """
    n = only_first + only_second
    term = total = 1
    for i in range(min(only_first, only_second)):
        term = term * (n - i) // (i + 1)
        total += term
    return min(1.0, 2 * total / 2**n)


def wilson(successes: Num[ndarray, " n"], trials: Num[ndarray, " n"], level: float = LEVEL) -> Float[ndarray, "n 2"]:
    """Score interval of shares (Wilson 1927): within 0..1, sensible at both ends; 0..1 without trials."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    n = np.maximum(trials, 1)
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    interval = np.clip(np.stack([centre - half, centre + half], axis=-1), 0.0, 1.0)
    return np.where((trials > 0)[:, None], interval, np.array([0.0, 1.0]))


def difference(value: float, drawn: Float[ndarray, " resamples"], level: float = LEVEL) -> Difference:
    """What resampled differences say of a measured one; those that are NaN are left out."""
    known = drawn[~np.isnan(drawn)]
    side = min(int((known <= 0).sum()), int((known >= 0).sum()))
    p = min(1.0, 2 * (side + 1) / (len(known) + 1))
    return Difference(value, percentile_interval(known, level), p)


def image_draws(images: int, resamples: int, rng: Generator, *, rows: int) -> Iterator[Int[ndarray, "images _"]]:
    """How often each image is in each resample, for figures that are no sums over images; `rows` resamples at once."""
    for start in range(0, resamples, rows):
        draws = rng.multinomial(images, np.full(images, 1 / images), size=min(rows, resamples - start))
        yield np.ascontiguousarray(draws.T, np.int32)


def _resampled(counts: Int[ndarray, " outcomes"], resamples: int, rng: Generator) -> Iterator[ndarray]:
    """How often each distinct outcome is in each resample: arrays of some rows and one column an outcome."""
    n = int(counts.sum())
    rows = max(1, CHUNK_CELLS // len(counts))
    for start in range(0, resamples, rows):
        yield rng.multinomial(n, counts / n, size=min(rows, resamples - start)).astype(np.float64)


def _sums_by(
    groups: Int[ndarray, " outcomes"], draws: Float[ndarray, "resamples outcomes"], total: int
) -> Float[ndarray, "resamples groups"]:
    """Columns added up by group; a group without a column is 0."""
    order = np.argsort(groups, kind="stable")
    present, starts = np.unique(groups[order], return_index=True)
    sums = np.zeros((len(draws), total))
    sums[:, present] = np.add.reduceat(draws[:, order], starts, axis=1)
    return sums
