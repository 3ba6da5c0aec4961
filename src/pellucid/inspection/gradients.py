"""How large the gradient of the loss is in every layer, beside the layer's own weights."""

import statistics
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.inspection.findings import Finding
from pellucid.inspection.places import evaluating
from pellucid.models.base import AbstractModel

__all__ = ["gradient_findings", "gradient_sizes"]

APART = 1e6
"""How many times smaller or larger than in the median layer a gradient is, before it is a finding."""


def gradient_sizes(model: AbstractModel, x: Float[Tensor, "n c h w"], targets: Any) -> dict[str, float]:
    """‖∂L/∂W‖ / ‖W‖ of every convolution and linear layer that the loss depends on, in evaluation mode."""
    layers = {name: one for name, one in model.named_modules() if isinstance(one, nn.Conv2d | nn.Linear)}
    weights = {name: one.weight for name, one in layers.items()}
    needed = {name: weight.requires_grad for name, weight in weights.items()}
    try:
        for weight in weights.values():
            weight.requires_grad_()
        with evaluating(model), torch.enable_grad():
            loss = torch.stack(list(model.loss(model(x), targets).values())).sum()
            found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    finally:
        for name, weight in weights.items():
            weight.requires_grad_(needed[name])
    pairs = zip(weights.items(), found, strict=True)
    return {
        name: float(gradient.double().norm() / weight.detach().double().norm().clamp(min=1e-300))
        for (name, weight), gradient in pairs
        if gradient is not None
    }


def gradient_findings(sizes: dict[str, float]) -> tuple[list[Finding], list[str]]:
    """Layers that learn next to nothing beside the others, or far too much; and what is well."""
    broken = [name for name, size in sizes.items() if not torch.tensor(size).isfinite()]
    if broken:
        return [_finding("exploding-gradient", broken[0], float("inf"), broken, "is not a number")], []
    middle = statistics.median(sizes.values()) if sizes else 0.0
    if not middle:
        return [], []
    small = [name for name, size in sizes.items() if size < middle / APART]
    large = [name for name, size in sizes.items() if size > middle * APART]
    findings = []
    if small:
        least = min(small, key=lambda name: sizes[name])
        told = f"is {sizes[least] / middle:.1e} of that of the median layer"
        findings.append(_finding("vanishing-gradient", least, sizes[least] / middle, small, told))
    if large:
        most = max(large, key=lambda name: sizes[name])
        told = f"is {sizes[most] / middle:.1e} times that of the median layer"
        findings.append(_finding("exploding-gradient", most, sizes[most] / middle, large, told))
    if findings:
        return findings, []
    low, high = min(sizes.values()) / middle, max(sizes.values()) / middle
    return [], [f"gradients are {low:.1e} to {high:.1e} times that of the median layer ({len(sizes)} layers)"]


def _finding(kind: str, worst: str, number: float, where: list[str], told: str) -> Finding:
    vanishes = kind == "vanishing-gradient"
    cures = {
        True: "It learns nothing: look for dead or tiny weights between it and the loss.",
        False: "It would be thrown about: look for huge weights behind it, clip gradients, lower the learning rate.",
    }
    limit = 1 / APART if vanishes else APART
    text = f"The gradient of the loss in {worst}, beside its weights, {told}."
    return Finding("error", kind, text, number, limit, tuple(where), cures[vanishes])
