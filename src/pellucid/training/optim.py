"""Optimisers and the learning rate over a run."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from pellucid.config import TrainConfig

__all__ = ["Muon", "make_optimizers", "orthogonalise", "rate_factor", "set_rate"]

SGD_RATE_BESIDE_MUON = 0.1
SGD_DECAY_BESIDE_MUON = 5e-4


class Muon(Optimizer):
    """Momentum whose step is made orthogonal: every direction of a filter bank moves by the same amount.

    Jordan et al. 2024. A filter bank (out, in, kh, kw) is a matrix of one row a filter; its Nesterov momentum
    G = U Σ Vᵀ is replaced by about U Vᵀ, scaled by sqrt(max(1, rows / columns)).
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update; gradients stay as they are. No closure is called: the loop has the loss already."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)

    def _update(self, parameter: nn.Parameter, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"])
        direction = orthogonalise(ahead.reshape(len(ahead), -1))
        scale = math.sqrt(max(1.0, direction.shape[0] / direction.shape[1]))
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(direction.view_as(parameter), alpha=-group["lr"] * scale)


def orthogonalise(matrix: Float[Tensor, "rows columns"], iterations: int = 5) -> Float[Tensor, "rows columns"]:
    """About U Vᵀ for matrix = U Σ Vᵀ, by a quintic Newton-Schulz iteration (Jordan et al. 2024).

    Its coefficients pull small singular values up fast rather than exactly to 1: they end between 0.7 and 1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def make_optimizers(model: nn.Module, settings: TrainConfig) -> list[Optimizer]:
    """The optimisers of a run over every parameter that requires a gradient; `settings` has no None left."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rate, decay, momentum = settings.lr or 0.0, settings.weight_decay or 0.0, settings.momentum or 0.0
    match settings.optimizer:
        case "adamw":
            return [AdamW(_decayed(parameters, decay), lr=rate, fused=True)]
        case "muon":
            filters = [parameter for parameter in parameters if parameter.ndim == 4 and parameter.shape[1] > 1]
            chosen = {id(parameter) for parameter in filters}
            others = [parameter for parameter in parameters if id(parameter) not in chosen]
            muon = [Muon(filters, rate, momentum, decay)] if filters else []
            groups = _decayed(others, SGD_DECAY_BESIDE_MUON)
            beside = [_sgd(groups, SGD_RATE_BESIDE_MUON, momentum)] if others else []
            return [*muon, *beside]
        case _:
            return [_sgd(_decayed(parameters, decay), rate, momentum)]


def _sgd(groups: list[dict[str, Any]], rate: float, momentum: float) -> SGD:
    return SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=True)


def _decayed(parameters: list[nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Two groups: weights, and the norms and biases (one axis) that are not decayed."""
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    offsets = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": offsets, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def rate_factor(step: int, steps: int, settings: TrainConfig) -> float:
    """Learning rate of step `step` (0-based) of `steps`, as a share of its peak.

    A straight rise over the warm-up, then down to zero: straight (one-cycle) or along half a cosine.
    """
    done = (step + 1) / (steps + 1)
    if done < settings.warmup:
        return done / settings.warmup
    left = (1 - done) / (1 - settings.warmup)
    return left if settings.schedule == "one-cycle" else 0.5 * (1 - math.cos(math.pi * left))


def set_rate(optimizers: list[Optimizer], factor: float) -> float:
    """Set every learning rate to `factor` of its peak; gives the first one."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("peak", group["lr"])
            group["lr"] = group["peak"] * factor
    return float(optimizers[0].param_groups[0]["lr"])
