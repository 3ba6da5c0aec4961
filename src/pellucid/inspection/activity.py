"""What the layers of a network do over many images: which channels ever fire, and whether batch norms fit the data.

A batch norm keeps the mean μ and variance σ² that its input had in training. Over images of the same kind the input has
them again, up to what augmentation changes; the gap is |mean - μ| / σ of a channel, in σ.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from pellucid.inspection.findings import Finding, useless
from pellucid.inspection.listening import Listener
from pellucid.inspection.places import Places, evaluating

__all__ = ["Activity", "activity_findings", "activity_of"]

DEAD = 0.25
"""Share of a layer's channels that never fire, from which on it is a finding: some are lost in any training."""
CONSTANT = 1e-5
"""Range of a channel over all images and places, beside its size, up to which it says nothing of the image."""
GAP = 0.5
"""σ that the inputs of a batch norm lie beside its running mean, in the median of its channels; beyond what so few
images can differ by chance, 2/√n of n, since the places of one image are much alike."""
SPREAD = 2.0
"""How many times the variance of its inputs is that of its running variance, or the other way, in the median."""


@dataclass(slots=True, eq=False)
class _Range:
    """Least and greatest of every channel."""

    least: Tensor
    greatest: Tensor


@dataclass(slots=True, eq=False)
class _Moments:
    """Sums of every channel in float64, of values less the running mean, which keeps them small."""

    mean: Tensor
    deviation: Tensor
    count: int = 0
    images: int = 0
    total: Any = 0.0
    squares: Any = 0.0

    @property
    def gap(self) -> Float[Tensor, " c"]:
        """|mean - μ| / σ."""
        return (self.total / self.count).abs() / self.deviation

    @property
    def spread(self) -> Float[Tensor, " c"]:
        """The variance of the inputs over the running variance."""
        return (self.squares / self.count - (self.total / self.count) ** 2) / self.deviation**2


@dataclass(slots=True, eq=False)
class Activity:
    """What was heard: of every activation the range of its channels, of every batch norm the moments of its inputs."""

    ranges: dict[str, _Range] = field(default_factory=dict)
    moments: dict[str, _Moments] = field(default_factory=dict)


def activity_of(model: nn.Module, batches: Iterable[Float[Tensor, "n c h w"]]) -> Activity:
    """The activity of a network over normalised images, in evaluation mode."""
    found = Activity()
    with evaluating(model), torch.no_grad():
        for x in batches:
            with Places(model) as places, _Ear(places, found):
                model(x)
    return found


class _Ear(Listener):
    def __init__(self, places: Places, found: Activity) -> None:
        super().__init__(places)
        self._found = found

    def heard(self, name: str, kind: str, given: Any, outputs: tuple[Tensor, ...]) -> None:
        if kind == "relu":
            self._range(name, outputs[0])
        elif kind == "batch_norm" and given[0][1] is not None:
            eps = given[1].get("eps", given[0][7] if len(given[0]) > 7 else 1e-5)
            self._moments(name, given[0][0], given[0][1].double(), (given[0][2].double() + eps).sqrt())

    def _range(self, name: str, output: Tensor) -> None:
        """Of (N C H W) and of (N C)."""
        axes = [axis for axis in range(output.ndim) if axis != 1]
        least, greatest = output.amin(axes), output.amax(axes)
        known = self._found.ranges.setdefault(name, _Range(least, greatest))
        known.least, known.greatest = torch.minimum(known.least, least), torch.maximum(known.greatest, greatest)

    def _moments(self, name: str, x: Tensor, mean: Tensor, deviation: Tensor) -> None:
        known = self._found.moments.setdefault(name, _Moments(mean, deviation))
        axes = [axis for axis in range(x.ndim) if axis != 1]
        apart = x.double() - mean.view(1, -1, *[1] * (x.ndim - 2))
        known.count += x.numel() // x.shape[1]
        known.images += len(x)
        known.total = known.total + apart.sum(axes)
        known.squares = known.squares + (apart**2).sum(axes)


def activity_findings(found: Activity) -> tuple[list[Finding], list[str]]:
    """What is wrong with it, and what is well."""
    findings = [*_dead(found), *_constant(found), *_unfit(found)]
    return findings, _well(found, {finding.kind for finding in findings})


def _never(one: _Range) -> Bool[Tensor, " c"]:
    return one.greatest <= 0


def _dead(found: Activity) -> list[Finding]:
    shares = {name: float(_never(one).float().mean()) for name, one in found.ranges.items()}
    where = {name: share for name, share in shares.items() if share >= DEAD}
    if not where:
        return []
    worst = max(where, key=lambda name: where[name])
    silent = int(_never(found.ranges[worst]).sum())
    return [
        Finding(
            "error" if where[worst] == 1 else "warning",
            "dead-relu",
            f"{silent} of {len(found.ranges[worst].greatest)} channels of {worst} fire on no image at no place.",
            where[worst],
            DEAD,
            tuple(f"{name}: {share:.0%} never fire" for name, share in sorted(where.items(), key=lambda it: -it[1])),
            "Train again with a lower learning rate or a longer warm-up; where all are dead, look at the layer's "
            "weights and at the input.",
        )
    ]


def _still(one: _Range) -> Bool[Tensor, " c"]:
    """Channels that fire everywhere with one value."""
    return ~_never(one) & (one.greatest - one.least <= CONSTANT * one.greatest.abs())


def _constant(found: Activity) -> list[Finding]:
    return useless(
        "saturated-filter",
        {name: int(_still(one).sum()) for name, one in found.ranges.items() if _still(one).any()},
        "channels",
        "give one and the same number on every image at every place.",
        "They act as a bias and no more: look for filters of zeros before it, and for images that are all alike.",
    )


def _unfit(found: Activity) -> list[Finding]:
    gaps = {name: (_median(one.gap), _median(one.spread)) for name, one in found.moments.items()}
    limit = GAP + 2 / max((one.images for one in found.moments.values()), default=1) ** 0.5
    where = {name: both for name, both in gaps.items() if both[0] > limit or not 1 / SPREAD <= both[1] <= SPREAD}
    if not where:
        return []
    worst = max(where, key=lambda name: _severity(where[name], limit))
    gap, spread = where[worst]
    by_mean = gap / limit >= _severity((0.0, spread), limit)
    return [
        Finding(
            "error",
            "batch-norm",
            f"The inputs of {worst} lie {gap:.2f} σ beside the running mean and have {spread:.3g} times the running "
            "variance, in the median of its channels.",
            gap if by_mean else spread,
            limit if by_mean else SPREAD if spread > 1 else 1 / SPREAD,
            tuple(f"{name}: {each[0]:.2f} σ, {each[1]:.3g} times the variance" for name, each in where.items()),
            "The images are not what it was trained on, their preprocessing is another, or its statistics are damaged: "
            "where all layers are named look at the first, where one is, at its weights.",
        )
    ]


def _severity(both: tuple[float, float], limit: float) -> float:
    """How many times beyond what is allowed."""
    gap, spread = both
    return max(gap / limit, max(spread, 1 / max(spread, 1e-12)) / SPREAD)


def _median(values: Tensor) -> float:
    return float(values.median())


def _well(found: Activity, kinds: set[str]) -> list[str]:
    said = []
    if found.ranges and "dead-relu" not in kinds:
        share = max(float(_never(one).float().mean()) for one in found.ranges.values())
        said.append(f"of no ReLU more than {share:.0%} of the channels are dead ({len(found.ranges)} layers)")
    if found.moments and "batch-norm" not in kinds:
        gap = max(_median(one.gap) for one in found.moments.values())
        said.append(f"batch norms fit the images: at most {gap:.2f} σ beside the running mean ({len(found.moments)})")
    return said
