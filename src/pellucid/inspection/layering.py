"""The exact account of one number layer by layer: which channels and places of each it is made of.

Cut the pass behind any operation: what was made before and is used after is all that the rest of the network knows of
the image. With the pattern of the image fixed the rest is affine, so that

    number = Σ over these values (activation · gradient) + Σ biases behind the cut + constant

again without a remainder, at every cut. The values are those of the layer itself (`through`) and those that go around
it, over shortcuts, skips and other levels (`around`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.inspection.accounting import EXACT, FIRST_ORDER, Account, account
from pellucid.inspection.biases import Biases
from pellucid.inspection.flows import Flow, Flows, Step
from pellucid.inspection.notebook import notebook, rows_of
from pellucid.inspection.places import Places, evaluating
from pellucid.inspection.targets import Target

__all__ = ["Layer", "Layers", "account_layers"]

FOLLOWERS = {"batch_norm", "relu", "leaky_relu", "hardtanh", "relu6"}
"""What belongs to the layer before it: of a convolution, its normalisation and its ReLU the last is shown."""
RESHAPES = {"flatten", "view", "reshape", "getitem", "transpose", "permute", "unflatten", "contiguous", "to", "squeeze"}
"""What only renames places: the sum is that of the layer before."""
MOST = 5
"""Channels and places of a layer that are told."""


COLUMNS = ("layer", "output", "through", "around", "biases", "residual", "most by channel", "most at row, column")


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A cut behind one operation; all numbers in float64.

    `channels` and `places` are what the values of the layer count, summed by channel and by place; `around` is what
    passes it by, `biases` what is added behind it, `residual` what all of it is more than the network's own number.
    """

    step: Step
    channels: Float[Tensor, " c"]
    places: Float[Tensor, "h w"] | None
    around: float
    biases: float
    residual: float
    badge: str

    @property
    def through(self) -> float:
        """Of all values of the layer."""
        return float(self.channels.sum())

    def greatest_channels(self, most: int = MOST) -> list[tuple[int, float]]:
        """(channel, contribution), the largest of either sign first."""
        order = self.channels.abs().argsort(descending=True, stable=True)[:most]
        return [(int(at), float(self.channels[at])) for at in order if self.channels[at]]

    def greatest_places(self, most: int = MOST) -> list[tuple[int, int, float]]:
        """(row, column, contribution), the largest of either sign first; none of what is no map."""
        if self.places is None:
            return []
        flat, width = self.places.flatten(), self.places.shape[1]
        order = flat.abs().argsort(descending=True, stable=True)[:most]
        return [(*divmod(int(at), width), float(flat[at])) for at in order if flat[at]]

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the greatest channels and places."""
        return {
            "name": self.step.name,
            "kind": self.step.kind,
            "output": list(self.step.shape),
            "through": self.through,
            "around": self.around,
            "bias_contribution": self.biases,
            "residual": self.residual,
            "badge": self.badge,
            "channels": [{"channel": at, "contribution": value} for at, value in self.greatest_channels()],
            "positions": [{"y": y, "x": x, "contribution": value} for y, x, value in self.greatest_places()],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The account of a number, and its layers in the order of the pass, the input first."""

    account: Account
    layers: tuple[Layer, ...]

    @property
    def residual(self) -> float:
        """The largest of all layers, with its sign."""
        return max((layer.residual for layer in self.layers), key=abs)

    def _repr_html_(self) -> str:
        rows = [_told(layer) for layer in self.layers]
        return notebook(self.account.summary(0), rows_of("layers", COLUMNS, rows))

    def text(self) -> str:
        """A line a layer: what passes through it, around it, what biases behind it add, and where the most is."""
        rows: list[Sequence[str]] = [COLUMNS, *(_told(layer) for layer in self.layers)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)


def account_layers(
    model: nn.Module, x: Float[Tensor, "n c h w"], target: Target, classes: Sequence[str] = ()
) -> Layers:
    """The account of the target, and for every layer of the pass what its channels and places give to it.

    As `account`, of one image in float32 or float64, in evaluation mode; the model is left as it was.
    """
    found = account(model, x, target, classes)
    image = x.detach().clone().requires_grad_()
    with evaluating(model), torch.enable_grad(), Places(model) as places, Places(model) as inner:
        with Biases(inner) as biases, Flows(image, places, biases) as flows:
            outputs = model(image)
        number = target.number(model, flows.closed(outputs), classes)
        leaves = [image, *(one.leaf for one in biases.found)]
        _, *gradients = torch.autograd.grad(number, leaves, allow_unused=True, materialize_grads=True)
    shares = [
        float((gradient.double() * one.shift.double()).sum())
        for one, gradient in zip(biases.found, gradients, strict=True)
    ]
    return Layers(found, tuple(_layers(found, flows, shares)))


def _layers(found: Account, flows: Flows, shares: list[float]) -> list[Layer]:
    makers = sorted({flow.maker for flow in flows.flows})
    return [_cut(at, found, flows, shares) for at in makers if _shown(at, flows)]


def _shown(at: int, flows: Flows) -> bool:
    """Whether the layer ends here: nothing that only belongs to it comes next."""
    users = {flow.user for flow in flows.flows if flow.maker == at}
    kinds = {flows.steps[user].kind for user in users if user < len(flows.steps)}
    return flows.steps[at].kind not in RESHAPES and not (len(users) == 1 and kinds <= FOLLOWERS and kinds)


def _cut(at: int, found: Account, flows: Flows, shares: list[float]) -> Layer:
    own = [flow for flow in flows.flows if flow.maker == at]
    around = sum(float(flow.channels.sum()) for flow in flows.flows if flow.maker < at < flow.user)
    biases = sum(share for share, step in zip(shares, flows.bias_steps, strict=True) if step > at)
    channels, places = _added(own)
    parts = (float(channels.sum()), around, biases, found.constant)
    residual = sum(parts) - found.logit
    exact = abs(residual) <= found.tolerance * max(map(abs, (*parts, found.logit)))
    return Layer(flows.steps[at], channels, places, around, biases, residual, EXACT if exact else FIRST_ORDER)


def _added(own: list[Flow]) -> tuple[Tensor, Tensor | None]:
    """Over the uses of one value."""
    channels = torch.stack([flow.channels for flow in own]).sum(0)
    maps = [flow.places for flow in own if flow.places is not None]
    return channels, torch.stack(maps).sum(0) if maps else None


def _told(layer: Layer) -> Sequence[str]:
    channels = " ".join(f"{at} {value:+.3g}" for at, value in layer.greatest_channels(3))
    places = " ".join(f"{y},{x} {value:+.3g}" for y, x, value in layer.greatest_places(2))
    sums = (f"{value:+.4g}" for value in (layer.through, layer.around, layer.biases))
    return (layer.step.name, "x".join(map(str, layer.step.shape)), *sums, f"{layer.residual:+.0e}", channels, places)
