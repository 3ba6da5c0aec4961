"""Whether a heat map can be believed: three trials of it, each with something to compare with.

Deletion and insertion (Petsiuk et al. 2018, "RISE", arXiv 1806.07421, section 4.2): squares of the image are covered,
or shown on an image of nothing, in the order of the map, the largest first. If the map is right the number falls early,
or rises early; squares in random order say how much any map would have done.

Randomisation (Adebayo et al. 2018, "Sanity Checks for Saliency Maps", arXiv 1810.03292): the weights are drawn anew and
the map is made again. A map of the network must change. One that stays, rank by rank, is a map of the image.
"""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pellucid.inspection.heatmaps import MAKERS, HeatMap, Subject, square_numbers
from pellucid.inspection.places import evaluating

__all__ = ["Trials", "rank_correlation", "try_map"]

PARTS = 14
"""Steps from the whole image to nothing."""
ORDERS = 3
"""Random orders, whose mean is compared with."""
SEED = 0


@dataclass(frozen=True, slots=True)
class Trials:
    """What became of the number, and of the map.

    Curves are the number as a share of the way from nothing (0) to the whole image (1), at equal steps of squares, from
    none to all of them changed; `randomised` are rank correlations (Spearman) of the map with that of weights drawn
    anew, of the upper half of the layers and of all. NaN where nothing can be said: the number of nothing is that of
    the image, or a map is the same everywhere.
    """

    deletion: tuple[float, ...]
    insertion: tuple[float, ...]
    random_deletion: tuple[float, ...]
    random_insertion: tuple[float, ...]
    randomised: tuple[tuple[str, float], ...]

    @property
    def areas(self) -> dict[str, float]:
        """Under the curves by their names: of deletion the smaller the better, of insertion the larger."""
        names = ("deletion", "random_deletion", "insertion", "random_insertion")
        return {name: area(getattr(self, name)) for name in names}

    def text(self) -> str:
        """Two lines."""
        areas = self.areas
        drawn = ", ".join(f"{value:+.2f} ({name})" for name, value in self.randomised)
        return (
            f"  deletion {areas['deletion']:.3f} (random {areas['random_deletion']:.3f}, less is better)  "
            f"insertion {areas['insertion']:.3f} (random {areas['random_insertion']:.3f}, more is better)\n"
            f"  rank correlation with the map of redrawn weights {drawn}; near 0 is right"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; what cannot be said is null."""
        curves = {name: [_said(one) for one in getattr(self, name)] for name in self.areas}
        areas = {name: _said(value) for name, value in self.areas.items()}
        return {"areas": areas, "curves": curves, "randomised": {name: _said(rho) for name, rho in self.randomised}}


def try_map(
    model: nn.Module, x: Float[Tensor, "n c h w"], target: Any, classes: Sequence[str], found: HeatMap
) -> Trials:
    """The three trials of a map of that image and number; the model is left as it was."""
    subject = Subject(model, x.detach(), target, tuple(classes))
    with evaluating(model):
        deletion, insertion, random_deletion, random_insertion = _curves(subject, found)
    randomised = tuple(_redrawn(subject, found))
    return Trials(deletion, insertion, random_deletion, random_insertion, randomised)


def area(curve: Sequence[float]) -> float:
    """Under a curve over 0 to 1, by trapezia."""
    return (sum(curve) - (curve[0] + curve[-1]) / 2) / (len(curve) - 1)


def rank_correlation(first: Float[Tensor, " n"], second: Float[Tensor, " n"]) -> float:
    """Spearman's: Pearson's of ranks, equal values sharing the mean of theirs; NaN where all of one are equal."""
    a, b = (_ranks(one) - (len(one) - 1) / 2 for one in (first, second))
    scale = float(a.square().sum() * b.square().sum()) ** 0.5
    return float((a * b).sum()) / scale if scale else math.nan


def _ranks(values: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    _, places, counts = values.unique(return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double() - 1
    return (last - (counts - 1) / 2)[places]


@torch.no_grad()
def _curves(subject: Subject, found: HeatMap) -> tuple[tuple[float, ...], ...]:
    numbers, _ = square_numbers(subject.size)
    order = _squares(found, numbers).argsort(descending=True, stable=True)
    generator = torch.Generator().manual_seed(SEED)
    drawn = [torch.randperm(len(order), generator=generator) for _ in range(ORDERS)]
    whole, nothing = (float(subject.numbers(image)) for image in (subject.x, torch.zeros_like(subject.x)))
    raw = torch.stack([_shown(subject, numbers, one) for one in (order, order.flip(0), *drawn)])
    shares = ((raw - nothing) / (whole - nothing)).double() if whole != nothing else torch.full_like(raw, math.nan)
    deleted, inserted, *random = shares
    mean = torch.stack(random).mean(0)
    # Showing squares is covering them backwards, whoever chose the order.
    return tuple(tuple(curve.tolist()) for curve in (deleted, inserted.flip(0), mean, mean.flip(0)))


def _shown(subject: Subject, numbers: Int[Tensor, "h w"], order: Int[Tensor, " n"]) -> Float[Tensor, " parts"]:
    """The number while squares are covered in that order, from none to all."""
    turns = torch.empty_like(order)
    turns[order] = torch.arange(len(order))
    turn = turns[numbers].to(subject.x.device)
    return subject.numbers_of(subject.x * (turn >= part * len(order) / PARTS) for part in range(PARTS + 1)).cpu()


def _squares(found: HeatMap, numbers: Int[Tensor, "h w"]) -> Float[Tensor, " n"]:
    """The mean of the map in every square."""
    many = int(numbers.max()) + 1
    sums = torch.zeros(many, dtype=torch.float64).index_add(0, numbers.flatten(), found.pixels.flatten())
    return sums / torch.bincount(numbers.flatten(), minlength=many)


def _redrawn(subject: Subject, found: HeatMap) -> Iterable[tuple[str, float]]:
    """Weights become normal numbers of the mean and deviation they had; biases and normalisations stay."""
    numbers, _ = square_numbers(subject.size)
    before = _squares(found, numbers)
    model = copy.deepcopy(subject.model)
    weights = _weights(replace(subject, model=model))
    generator = torch.Generator().manual_seed(SEED)
    for name, chosen in (("upper half of the layers", weights[len(weights) // 2 :]), ("all layers", weights)):
        for weight in chosen:
            noise = torch.randn(weight.shape, generator=generator).to(weight)
            weight.data = noise * weight.data.std(correction=0) + weight.data.mean()
        with evaluating(model):
            yield name, rank_correlation(before, _squares(MAKERS[found.method](replace(subject, model=model)), numbers))


def _weights(subject: Subject) -> list[nn.Parameter]:
    """Those that the number depends on, in the order of the network's parameters."""
    weights = [parameter for parameter in subject.model.parameters() if parameter.ndim > 1]
    for weight in weights:
        weight.requires_grad_()
    with evaluating(subject.model), torch.enable_grad():
        gradients = torch.autograd.grad(subject.numbers(subject.x)[0], weights, allow_unused=True)
    return [one for one, gradient in zip(weights, gradients, strict=True) if gradient is not None and gradient.any()]


def _said(value: float) -> float | None:
    return value if math.isfinite(value) else None
