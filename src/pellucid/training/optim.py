"""Optimisers and the learning rate over a run."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from pellucid.config import TrainConfig

__all__ = ["Muon", "make_optimizers", "orthogonalise", "rate_factor", "set_rate"]

SGD_RATE_BESIDE_MUON = 0.1
SGD_DECAY_BESIDE_MUON = 5e-4
ADAMW_RATE_BESIDE_MUON = 1e-3
ADAMW_DECAY_BESIDE_MUON = 0.05


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
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            ahead = [self._ahead(parameter, parameter.grad, group["momentum"]) for parameter in parameters]
            for parameter, direction in zip(parameters, orthogonalise(ahead), strict=True):
                scale = math.sqrt(max(1.0, direction.shape[0] / direction.shape[1]))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                rows, channels, *taps = parameter.shape
                bank = direction.view(rows, *taps, channels).movedim(-1, 1)
                parameter.add_(bank, alpha=-group["lr"] * scale)

    def _ahead(self, parameter: nn.Parameter, gradient: Tensor, momentum: float) -> Float[Tensor, "filters values"]:
        """Nesterov momentum: the running mean, moved on, as it would be after this gradient came once more.

        Channels come last in a row, as they do in memory; the order of columns is free.
        """
        state = self.state[parameter]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(mean, momentum).movedim(1, -1).reshape(len(parameter), -1)


def orthogonalise(matrices: Sequence[Float[Tensor, "_ _"]], iterations: int = 5) -> list[Float[Tensor, "_ _"]]:
    """About U Vᵀ for each matrix X = U Σ Vᵀ, by a quintic Newton-Schulz iteration (Jordan et al. 2024).

    What it makes of X is Q X, where the square Q depends on X Xᵀ alone. So the iteration is one upon squares of the
    shorter side, and upon all of one size together.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT for matrix in matrices]
    grams = [x @ x.mT for x in wide]
    found = list(matrices)
    for side in {len(gram) for gram in grams}:
        places = [place for place, gram in enumerate(grams) if len(gram) == side]
        roots = _inverse_roots(torch.stack([grams[place] for place in places]), iterations)
        for place, root in zip(places, roots, strict=True):
            x = root @ wide[place]
            found[place] = x if x.shape == matrices[place].shape else x.mT
    return found


def _inverse_roots(grams: Float[Tensor, "k n n"], iterations: int) -> Float[Tensor, "k n n"]:
    """About A^(-1/2) of each A = X Xᵀ: the Q that brings the singular values of X near 1.

    An iteration is X ← P X with P = a + b·A + c·A², so A ← P A P and Q ← P Q. Its coefficients pull small singular
    values up fast rather than exactly to 1: they end between 0.7 and 1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    square = grams.diagonal(dim1=1, dim2=2).sum(dim=1)[:, None, None] + 1e-14  # of the Frobenius norm of X
    constant = a * torch.eye(grams.shape[-1]).to(grams)
    gram = grams / square
    factor = root = constant + torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    for _ in range(iterations - 1):
        gram = factor @ gram @ factor
        factor = constant + torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        root = factor @ root
    return root / square.sqrt()


def make_optimizers(model: nn.Module, settings: TrainConfig) -> list[Optimizer]:
    """The optimisers of a run over every parameter that requires a gradient; `settings` has no None left."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rate, decay, momentum = settings.lr or 0.0, settings.weight_decay or 0.0, settings.momentum or 0.0
    match settings.optimizer:
        case "adamw":
            return [_adamw(_decayed(parameters, decay), rate)]
        case "muon" | "muon-adamw":
            filters = [parameter for parameter in parameters if parameter.ndim == 4 and parameter.shape[1] > 1]
            chosen = {id(parameter) for parameter in filters}
            others = [parameter for parameter in parameters if id(parameter) not in chosen]
            muon = [Muon(filters, rate, momentum, decay)] if filters else []
            return [*muon, *([_beside(others, settings)] if others else [])]
        case _:
            return [_sgd(_decayed(parameters, decay), rate, momentum)]


def _beside(parameters: list[nn.Parameter], settings: TrainConfig) -> Optimizer:
    """The optimiser of what has no filters, at a rate of its own."""
    if settings.optimizer == "muon-adamw":
        return _adamw(_decayed(parameters, ADAMW_DECAY_BESIDE_MUON), ADAMW_RATE_BESIDE_MUON)
    return _sgd(_decayed(parameters, SGD_DECAY_BESIDE_MUON), SGD_RATE_BESIDE_MUON, settings.momentum or 0.0)


def _adamw(groups: list[dict[str, Any]], rate: float) -> AdamW:
    return AdamW(groups, lr=rate, fused=True)


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
