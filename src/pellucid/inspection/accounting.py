"""The exact account of one number: what every pixel and every bias gives to it.

A network of convolutions, normalisation with fixed statistics, ReLUs and pools is affine as long as its pattern stays:
which ReLUs are open, which place each maximum comes from. With the pattern of one image frozen

    logit = Σ_pixels gradient·x + Σ_biases gradient·bias + constant

without a remainder (Srinivas & Fleuret 2019, "Full-Gradient Representation", arXiv 1905.00780, equation 2), because the
gradient of a piecewise linear network is that of the affine map it is there. A bias of batch norm is its whole shift
β - γ·mean / √(var + ε). The sum is compared with the number that the network itself gives; the difference must be
rounding, and where it is not, the account does not call itself exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from pellucid.errors import UsageError
from pellucid.inspection.biases import Bias, Biases
from pellucid.inspection.notebook import notebook, on_white, rows_of
from pellucid.inspection.places import Places, evaluating
from pellucid.inspection.targets import Target

__all__ = ["Account", "Share", "account"]

EXACT, FIRST_ORDER = "EXACT", "FIRST-ORDER"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}
"""Relative residuals up to which a difference is rounding, by the type of the number that is explained."""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What the biases of one layer give, channel by channel; `kind` is conv2d, linear or batch_norm."""

    name: str
    kind: str
    channels: Float[Tensor, " c"]

    @property
    def contribution(self) -> float:
        """Of all channels."""
        return float(self.channels.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """A number of the network and what adds up to it, in float64.

    `logit` is the number that the network gives, `pixels` (C H W) what every value of its input gives, `biases` what
    every layer's biases give, in the order of the pass; `constant` is what a box side has from where its cell lies.
    `tolerance` is the relative residual up to which a difference is rounding.
    """

    target: str
    logit: float
    pixels: Float[Tensor, "c h w"]
    biases: tuple[Share, ...]
    constant: float
    tolerance: float

    @property
    def input_contribution(self) -> float:
        """Of all pixels."""
        return float(self.pixels.sum())

    @property
    def bias_contribution(self) -> float:
        """Of all biases."""
        return sum(share.contribution for share in self.biases)

    @property
    def sum(self) -> float:
        """Of everything: what the number must be."""
        return self.input_contribution + self.bias_contribution + self.constant

    @property
    def residual(self) -> float:
        """What the sum is more than the network's own number."""
        return self.sum - self.logit

    @property
    def size(self) -> float:
        """Of what is summed, layer by layer, without signs: rounding grows with it where terms cancel."""
        parts = [self.logit, self.input_contribution, self.constant, *(share.contribution for share in self.biases)]
        return max(map(abs, parts))

    @property
    def badge(self) -> str:
        """EXACT where nothing but rounding is left, else FIRST-ORDER: the network is not affine around this image."""
        return EXACT if abs(self.residual) <= self.tolerance * self.size else FIRST_ORDER

    def summary(self, most: int = 5) -> str:
        """The sum in a line, and the layers whose biases give most."""
        terms = [("pixels", self.input_contribution), ("biases", self.bias_contribution)]
        terms += [("place of the cell", self.constant)] if self.constant else []
        told = " ".join(f"{value:+.6g} ({name})" for name, value in terms)
        lines = [f"{self.target}  {self.logit:.6g} = {told}   residual {self.residual:+.1e}  {self.badge}"]
        greatest = sorted(self.biases, key=lambda share: -abs(share.contribution))[:most]
        return "\n".join([*lines, *(f"  biases of {one.name}  {one.contribution:+.6g}" for one in greatest)])

    def _repr_html_(self) -> str:
        plane = self.pixels.sum(0).numpy()
        rows = [(share.name, share.kind, share.contribution) for share in self.biases]
        shares = rows_of("biases", ("layer", "kind", "contribution"), rows)
        return notebook(self.summary(0), on_white(plane, plane.shape), shares)

    def to_json(self) -> dict[str, Any]:
        """Plain values: the totals, and the share of every layer's biases."""
        return {
            "target": self.target,
            "logit": self.logit,
            "sum": self.sum,
            "residual": self.residual,
            "badge": self.badge,
            "input_contribution": self.input_contribution,
            "bias_contribution": self.bias_contribution,
            "constant": self.constant,
            "biases": [{"name": one.name, "kind": one.kind, "contribution": one.contribution} for one in self.biases],
        }


def account(model: nn.Module, x: Float[Tensor, "n c h w"], target: Target, classes: Sequence[str] = ()) -> Account:
    """What every pixel of the image and every bias gives to the target, in evaluation mode.

    `classes` are the names that a target may use. The network computes in the type of model and image, float32 or
    float64; sides of boxes are decoded in float32. The model is left as it was.
    """
    if x.shape[0] != 1 or x.dtype not in TOLERANCE:
        raise UsageError(f"An account is of one image in float32 or float64, not of {x.dtype} {tuple(x.shape)}.")
    with evaluating(model):
        with torch.no_grad():
            outputs = model(x)
            logit = target.number(model, outputs, classes)
            constant = target.number(model, tree_map_only(Tensor, torch.zeros_like, outputs), classes)
        pixels = x.detach().clone().requires_grad_()
        with torch.enable_grad(), Places(model) as places, Biases(places) as biases:
            number = target.number(model, model(pixels.clone()), classes)
        return _summed(pixels, number, biases.found, (target.text(classes), float(logit), float(constant)))


def _summed(pixels: Tensor, number: Tensor, found: list[Bias], told: tuple[str, float, float]) -> Account:
    leaves = [one.leaf for one in found]
    gradients = torch.autograd.grad(number, [pixels, *leaves], allow_unused=True, materialize_grads=True)
    target, logit, constant = told
    shares = (
        Share(one.name, one.kind, (gradient.double() * one.shift.double()).cpu())
        for one, gradient in zip(found, gradients[1:], strict=True)
    )
    products = (pixels.detach().double() * gradients[0].double())[0].cpu()
    return Account(target, logit, products, tuple(shares), constant, TOLERANCE[number.dtype])
