"""Layers as values, with torch's names and defaults: what counting and receptive fields are computed from.

Wherever a layer is asked for, torch's own module of the same class name does as well: `layer(module)` takes over its
arguments. A network is a sequence of layers; `Branches` are paths that begin at one tensor and are joined.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pellucid.errors import UsageError
from pellucid.ops.windows import PaddingMode

__all__ = [
    "LAYERS",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Branches",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "ReLU",
    "Upsample",
    "layer",
    "layers",
]

Pair = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Conv2d:
    """A convolution."""

    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair = 1
    padding: Pair | str = 0
    dilation: Pair = 1
    groups: int = 1
    bias: bool = True
    padding_mode: PaddingMode = "zeros"


@dataclass(frozen=True, slots=True)
class ConvTranspose2d:
    """A transposed convolution."""

    in_channels: int
    out_channels: int
    kernel_size: Pair
    stride: Pair = 1
    padding: Pair = 0
    output_padding: Pair = 0
    groups: int = 1
    bias: bool = True
    dilation: Pair = 1


@dataclass(frozen=True, slots=True)
class MaxPool2d:
    """The largest value of each window."""

    kernel_size: Pair
    stride: Pair | None = None
    padding: Pair = 0
    dilation: Pair = 1
    ceil_mode: bool = False


@dataclass(frozen=True, slots=True)
class AvgPool2d:
    """The mean of each window."""

    kernel_size: Pair
    stride: Pair | None = None
    padding: Pair = 0
    ceil_mode: bool = False


@dataclass(frozen=True, slots=True)
class AdaptiveAvgPool2d:
    """Means over windows that give the wanted size; with 1 the mean of the whole map."""

    output_size: Pair


@dataclass(frozen=True, slots=True)
class BatchNorm2d:
    """Batch normalisation, with weight and bias."""

    num_features: int


@dataclass(frozen=True, slots=True)
class ReLU:
    """max(x, 0)."""


@dataclass(frozen=True, slots=True)
class LeakyReLU:
    """x, or negative_slope·x below 0."""

    negative_slope: float = 0.01


@dataclass(frozen=True, slots=True)
class Upsample:
    """Bilinear enlargement."""

    scale_factor: float


@dataclass(frozen=True, slots=True)
class Flatten:
    """C H W as one row."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A fully connected layer."""

    in_features: int
    out_features: int
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Branches:
    """Paths from one tensor, joined by a sum or along the channels. An empty path is a shortcut."""

    paths: tuple[tuple["Layer", ...], ...]
    join: Literal["add", "concat"] = "add"

    def __post_init__(self) -> None:
        if not self.paths or self.join not in ("add", "concat"):
            raise UsageError(
                f"Branches of {len(self.paths)} paths joined by {self.join!r}: give paths and add or concat."
            )


Layer = (
    Conv2d
    | ConvTranspose2d
    | MaxPool2d
    | AvgPool2d
    | AdaptiveAvgPool2d
    | BatchNorm2d
    | ReLU
    | LeakyReLU
    | Upsample
    | Flatten
    | Linear
    | Branches
)

LAYERS: dict[str, Any] = {kind.__name__: kind for kind in Layer.__args__}


def layer(module: Any) -> Layer:
    """The layer that a torch module of the same class name is; a layer as it is."""
    kind = LAYERS.get(type(module).__name__)
    if kind is None:
        raise UsageError(f"No layer is called {type(module).__name__}. There is: {', '.join(sorted(LAYERS))}.")
    if isinstance(module, kind):
        return module
    taken = {field.name: getattr(module, field.name) for field in dataclasses.fields(kind)}
    if "bias" in taken:
        taken["bias"] = taken["bias"] is not None
    return kind(**taken)


def layers(modules: Any) -> tuple[Layer, ...]:
    """One layer or many as layers; a Sequential is what it holds."""
    if isinstance(modules, Iterable):
        return tuple(one for module in modules for one in layers(module))
    return (layer(modules),)
