"""A small fast network for small budgets: the plainest stack of 3x3 convolutions, norms, ReLUs and max pools.

Its width and depth are what `--minutes` turns: `width` sets the work an image, `side` the number of halvings. Most of
the work is done at a quarter and an eighth of the input's side, where a convolution is cheapest for what it learns.
"""

import math
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.models.base import AbstractClassifier, Feature

__all__ = ["MODELS", "Compact"]


class ConvUnit(nn.Module):
    """Convolution, batch norm, ReLU, and a max pool that halves the side where wanted."""

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1, pool: bool = False
    ) -> None:
        super().__init__()
        padding = (kernel_size - 1) // 2
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """One unit: N out_channels at the same, a half or a quarter of the side."""
        return self.pool(self.relu(self.bn(self.conv(x))))


class Compact(AbstractClassifier):
    """Stem, then per halving a pooled and a plain unit, then the largest value of each channel and a linear layer.

    `side` is the image side in pixels it is built for: 28 or 32 give three halvings, 224 gives a strided stem and
    five, which leave 3x3 cells. Any size that leaves a cell works. `width` channels after the first halving, twice that
    after the second, four times where there are more than three.
    """

    size: int = 32
    head: ClassVar[str] = "fc"

    def __init__(self, classes: int, *, in_channels: int = 3, width: int = 32, side: int = 32) -> None:
        super().__init__()
        if width < 2 or side < 1:
            raise UsageError(f"Compact of width {width} for side {side}: the width is at least 2, the side at least 1.")
        stride = 1 if side <= 64 else 2
        halvings = max(1, min(5, round(math.log2(side / stride / 3.5))))
        channels = [width // 2] + [width * min(2**place, 2 if halvings <= 3 else 4) for place in range(halvings)]
        self.stem = ConvUnit(in_channels, channels[0], stride=stride)
        units, features = [], []
        for place in range(halvings):
            units += [ConvUnit(channels[place], channels[place + 1], pool=True)]
            units += [ConvUnit(channels[place + 1], channels[place + 1])]
            features.append(Feature(f"units.{2 * place + 1}", channels[place + 1], stride * 2 ** (place + 1)))
        self.units = nn.ModuleList(units)
        self.features = tuple(features)
        self.fc = nn.Linear(channels[-1], classes)

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activation after each halving, by the name of its feature."""
        x = self.stem(x)
        found = {}
        for place, unit in enumerate(self.units):
            x = unit(x)
            found[f"units.{place}"] = x
        return {feature.name: found[feature.name] for feature in self.features}

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits."""
        last = self.stages(x)[self.features[-1].name]
        return self.fc(last.amax(dim=(2, 3)))


MODELS: dict[str, Any] = {"compact": Compact}
