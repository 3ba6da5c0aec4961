"""Filters that are of no use by themselves: of zeros, or the same as another of their layer."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.inspection.findings import Finding, useless

__all__ = ["filter_findings"]

SAME = 0.9999
"""Cosine from which two filters of a layer are one."""
TAPS = 9
"""Numbers that a filter has at least, for a likeness not to be chance."""
MOST_FILTERS = 4096
NOTHING = 1e-6
"""Size of a filter, beside the median of its layer, up to which it is nothing."""


def filter_findings(model: nn.Module) -> tuple[list[Finding], list[str]]:
    """Of all convolutions and linear layers but the last, whose filters are the classes' own."""
    layers = {name: _filters(module) for name, module in model.named_modules() if _looked_at(module)}
    twins = {name: _twins(filters) for name, filters in layers.items()}
    twins = {name: pairs for name, pairs in twins.items() if pairs}
    empty = {name: int(_empty(filters).sum()) for name, filters in layers.items() if _empty(filters).any()}
    findings = [*_twin_finding(twins), *_empty_finding(empty)]
    well = [] if findings else [f"no filter is another's double, none is empty ({len(layers)} layers)"]
    return findings, well


def _looked_at(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.Linear) and 1 < len(module.weight) <= MOST_FILTERS


def _filters(module: nn.Module) -> Float[Tensor, "filters taps"]:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight.detach().float().flatten(1).cpu()


def _empty(filters: Float[Tensor, "filters taps"]) -> Tensor:
    sizes = filters.norm(dim=1)
    return (sizes <= NOTHING * sizes.median()) | (sizes == 0)


def _twins(filters: Float[Tensor, "filters taps"]) -> list[tuple[int, int]]:
    if filters.shape[1] < TAPS:
        return []
    sizes = filters.norm(dim=1, keepdim=True)
    unit = torch.where(_empty(filters)[:, None], 0.0, filters / sizes.clamp(min=1e-30))
    pairs = ((unit @ unit.T).triu(1) > SAME).nonzero()
    return [(int(one), int(other)) for one, other in pairs.tolist()]


def _twin_finding(twins: dict[str, list[tuple[int, int]]]) -> list[Finding]:
    if not twins:
        return []
    worst = max(twins, key=lambda name: len(twins[name]))
    one, other = twins[worst][0]
    return [
        Finding(
            "warning",
            "duplicate-filter",
            f"{len(twins[worst])} pairs of filters of {worst} are the same, {one} and {other} first.",
            len(twins[worst]),
            0,
            tuple(f"{name}: {', '.join(f'{a} = {b}' for a, b in pairs[:6])}" for name, pairs in twins.items()),
            "One of each pair is wasted: look how the weights were made or converted, or train with a smaller width.",
        )
    ]


def _empty_finding(empty: dict[str, int]) -> list[Finding]:
    return useless(
        "empty-filter",
        empty,
        "filters",
        "are nothing but zeros.",
        "They give the same number everywhere: lower the weight decay, or train with a smaller width.",
    )
