"""VGG-16: Simonyan & Zisserman 2015, "Very Deep Convolutional Networks" (arXiv 1409.1556), table 1, column D."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.models.base import AbstractClassifier, Feature

__all__ = ["CHANNELS", "MODELS", "VGG", "convolutions", "initialise", "pools"]

CHANNELS = (1, 2, 4, 8, 8)
"""Channels of the five stages, in multiples of the width."""
CONVOLUTIONS = (2, 2, 3, 3, 3)
"""3x3 convolutions of the five stages."""


def convolutions(in_channels: int, width: int, *, padding: int = 1, ceil_mode: bool = False) -> nn.Sequential:
    """The five stages, each of 3x3 convolutions with ReLU and a pool that halves the side; numbered as in torchvision.

    `padding` is that of the first convolution, `ceil_mode` that of the pools; both differ in FCN.
    """
    if width < 1:
        raise UsageError(f"VGG of width {width}: the first stage has at least one channel, 64 in the paper.")
    layers: list[nn.Module] = []
    for multiple, count in zip(CHANNELS, CONVOLUTIONS, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(in_channels, multiple * width, 3, padding=1 if layers else padding), nn.ReLU()]
            in_channels = multiple * width
        layers.append(nn.MaxPool2d(2, stride=2, ceil_mode=ceil_mode))
    return nn.Sequential(*layers)


def pools(layers: nn.Sequential, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
    """What pool1 to pool5 give."""
    found = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, nn.MaxPool2d):
            found.append(x)
    return found


def initialise(network: nn.Module) -> None:
    """Random weights for training from nothing, as in torchvision; the biases are 0.

    Convolutions: normal with variance 2 / (out_channels · kernel area), He et al. 2015 (arXiv 1502.01852), without
    which so deep a network does not start. Linear layers: normal with deviation 0.01, the paper's for all.
    """
    for module in network.modules():
        match module:
            case nn.Conv2d(bias=Tensor() as bias):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(bias)
            case nn.Linear():
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)


class VGG(AbstractClassifier):
    """Thirteen 3x3 convolutions in five stages, then three linear layers on 7x7 cells.

    `width` is the number of channels of the first stage, from which all others follow: 64 in the paper. Published
    files call `layers` features.
    """

    size: int = 224
    head: ClassVar[str] = "classifier.6"
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({"features": "layers"})

    def __init__(self, classes: int, *, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        hidden = 64 * width
        self.layers = convolutions(in_channels, width)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            *(nn.Linear(CHANNELS[-1] * width * 7 * 7, hidden), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(hidden, classes),
        )
        self.features = tuple(
            Feature(f"pool{at}", multiple * width, 2**at, (2**at - 1) / 2) for at, multiple in enumerate(CHANNELS, 1)
        )
        initialise(self)

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activations that `features` declares, at strides 2, 4, 8, 16 and 32; a last odd row is not read."""
        names = (feature.name for feature in self.features)
        return dict(zip(names, pools(self.layers, x), strict=True))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits for normalised images."""
        cells = self.avgpool(pools(self.layers, x)[-1])  # N 8·width 7 7
        return self.classifier(torch.flatten(cells, 1))


MODELS: dict[str, Any] = {"vgg16": VGG}
