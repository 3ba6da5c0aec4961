"""ResNet-20, 32, 44, 56, 110 for small images: He et al. 2015 (arXiv 1512.03385), section 4.2."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.models.base import AbstractClassifier, Feature
from pellucid.models.layers import BasicBlock, Shortcut, convolution, initialise, stage

__all__ = ["MODELS", "SmallResNet"]


SHORTCUTS: dict[str, Shortcut] = {"A": "A", "B": "B", "C": "C"}


class SmallResNet(AbstractClassifier):
    """6n + 2 layers: a 3x3 convolution, three stages of n blocks with 16, 32 and 64 channels, a linear layer.

    Meant for 32x32, takes any size. Shortcut A, which has no parameters, is the paper's choice here; B and C
    project.
    """

    size: int = 32
    head: ClassVar[str] = "fc"
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({"linear": "fc", "shortcut": "downsample"})

    def __init__(self, classes: int, depth: int, *, in_channels: int = 3, shortcut: str = "A") -> None:
        super().__init__()
        if shortcut not in SHORTCUTS:
            raise UsageError(f"shortcut is {shortcut!r}; it must be 'A', 'B' or 'C'.")
        kind = SHORTCUTS[shortcut]
        blocks = (depth - 2) // 6
        self.conv1 = convolution(in_channels, 16, 3)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = stage(BasicBlock, 16, 16, blocks, stride=1, shortcut=kind)
        self.layer2 = stage(BasicBlock, 16, 32, blocks, stride=2, shortcut=kind)
        self.layer3 = stage(BasicBlock, 32, 64, blocks, stride=2, shortcut=kind)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, classes)
        self.features = (Feature("layer1", 16, 1), Feature("layer2", 32, 2), Feature("layer3", 64, 4))
        initialise(self)

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activations that `features` declares, at strides 1, 2 and 4."""
        stem = self.relu(self.bn1(self.conv1(x)))  # N 16 H W
        layer1 = self.layer1(stem)
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        return {"layer1": layer1, "layer2": layer2, "layer3": layer3}

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits for normalised images."""
        pooled = self.avgpool(self.stages(x)["layer3"])  # N 64 1 1
        return self.fc(torch.flatten(pooled, 1))


def _of_depth(depth: int) -> Callable[..., SmallResNet]:
    def constructor(classes: int, *, in_channels: int = 3, shortcut: str = "A") -> SmallResNet:
        return SmallResNet(classes, depth, in_channels=in_channels, shortcut=shortcut)

    return constructor


MODELS = {f"resnet{depth}": _of_depth(depth) for depth in (20, 32, 44, 56, 110)}
