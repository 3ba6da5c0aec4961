"""The effective receptive field: how much each pixel of what a unit can see has a part in it, by gradient.

Of a unit, dY = 1 on all channels is sent back, and |∂Y/∂X| is summed over the channels of the image and averaged over
images. It falls off from the middle as a bell does, and is therefore much smaller than what a unit could see: Luo, Li,
Urtasun & Zemel 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks"
(arXiv 1701.04128).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.inspection.listening import Listener
from pellucid.inspection.places import Places, evaluating

__all__ = ["MASS", "EffectiveField", "effective_field", "pixel_gradient"]

MASS = 0.95
"""Share of all that a unit reacts to, which the square that is called its effective field holds."""


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveField:
    """The share of every pixel (H W, summing to 1) in the unit `at` (row, column) of the operation `name`."""

    name: str
    at: tuple[int, int]
    images: int
    share: Float[ndarray, "h w"]

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of the middle of the shares."""
        rows, columns = self.share.sum(axis=1), self.share.sum(axis=0)
        return float(rows @ np.arange(len(rows))), float(columns @ np.arange(len(columns)))

    @property
    def sigma(self) -> tuple[float, float]:
        """Standard deviation of the shares along rows and columns, in pixels."""
        found = []
        for along, middle in zip((self.share.sum(axis=1), self.share.sum(axis=0)), self.centre, strict=True):
            found.append(float(np.sqrt(along @ (np.arange(len(along)) - middle) ** 2)))
        return found[0], found[1]

    def side(self, mass: float = MASS) -> int:
        """Pixels of the side of the smallest square around the middle that holds this share of it; odd."""
        row, column = (round(place) for place in self.centre)
        distances = np.maximum(
            np.abs(np.arange(self.share.shape[0]) - row)[:, None], np.abs(np.arange(self.share.shape[1]) - column)
        )
        held = np.cumsum(np.bincount(distances.ravel(), self.share.ravel()))
        return 2 * int(np.searchsorted(held, mass * held[-1] * (1 - 1e-12))) + 1


def effective_field(
    model: nn.Module, images: Iterable[Float[Tensor, "1 c h w"]], name: str, at: tuple[int, int] | None = None
) -> EffectiveField:
    """That of a unit of the operation `name`, by default the one in the middle, over images of one size."""
    total, count, unit = np.zeros(0), 0, at
    for x in images:
        gradient, unit = pixel_gradient(model, x, name, at)
        total = total + gradient if count else gradient
        count += 1
    if not count or not total.any():
        raise UsageError(f"No pixel of {count} images changes {name!r} at {unit}: it is dead, or sees only padding.")
    assert unit is not None
    return EffectiveField(name, unit, count, total / total.sum())


def pixel_gradient(
    model: nn.Module, x: Float[Tensor, "1 c h w"], name: str, at: tuple[int, int] | None = None
) -> tuple[Float[ndarray, "h w"], tuple[int, int]]:
    """|∂Y/∂X| summed over channels, Y the sum of all channels of the unit; and which unit that is."""
    pixels = x.detach().clone().requires_grad_()
    with evaluating(model), torch.enable_grad(), Places(model) as places:
        output = _output(model, pixels.clone(), name, places)
        if output.ndim != 4:
            raise UsageError(f"{name!r} gives {tuple(output.shape)}, which are no maps. Take an operation before it.")
        unit = (output.shape[2] // 2, output.shape[3] // 2) if at is None else at
        if not (0 <= unit[0] < output.shape[2] and 0 <= unit[1] < output.shape[3]):
            raise UsageError(f"{name!r} has {output.shape[2]} rows and {output.shape[3]} columns, and no unit {unit}.")
        (gradient,) = torch.autograd.grad(output[0, :, unit[0], unit[1]].sum(), pixels)
    return gradient[0].double().abs().sum(dim=0).numpy(), unit


class _ReachedError(Exception):
    """The pass need go no further."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output = output


class _Until(Listener):
    def __init__(self, places: Places, name: str) -> None:
        super().__init__(places)
        self._name = name

    def heard(self, name: str, kind: str, given: object, outputs: tuple[Tensor, ...]) -> None:
        if name == self._name:
            raise _ReachedError(outputs[0])


def _output(model: nn.Module, x: Tensor, name: str, places: Places) -> Tensor:
    """What the operation gives, with the way back to x."""
    try:
        with _Until(places, name):
            model(x)
    except _ReachedError as reached:
        return reached.output
    raise UsageError(f"No operation is called {name!r}. `pellucid cost` lists them.")
