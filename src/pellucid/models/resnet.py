"""ResNet-18, 34, 50, 101, 152 of He et al. 2015 (arXiv 1512.03385, table 1), named as in torchvision."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pellucid.models.base import AbstractClassifier, Feature
from pellucid.models.layers import BasicBlock, BlockType, Bottleneck, Dilations, initialise, stage

__all__ = ["MODELS", "ResNet", "resnet_backbone"]

TABLE_1: dict[int, tuple[BlockType, tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(AbstractClassifier):
    """A residual network for photos: shortcut B, parameter names and shapes those of torchvision.

    An `output_stride` below 32 keeps the last maps large: from where it is reached, dilation stands in for stride, and
    every fourth cell (at 8) is what the plain network gives: Chen et al. 2015, "DeepLab" (arXiv 1412.7062).
    """

    size: int = 224
    head: ClassVar[str] = "fc"

    def __init__(self, classes: int, depth: int, *, in_channels: int = 3, output_stride: int = 32) -> None:
        super().__init__()
        block, blocks = TABLE_1[depth]
        strides, dilations = zip(*_strides(output_stride), strict=True)
        out = block.expansion
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = stage(block, 64 * out, 128, blocks[1], stride=strides[0], dilations=dilations[0])
        self.layer3 = stage(block, 128 * out, 256, blocks[2], stride=strides[1], dilations=dilations[1])
        self.layer4 = stage(block, 256 * out, 512, blocks[3], stride=strides[2], dilations=dilations[2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * out, classes)
        widths = {
            "stem": 64,
            "layer1": 64 * out,
            "layer2": 128 * out,
            "layer3": 256 * out,
            "layer4": 512 * out,
        }
        self.features = tuple(
            Feature(name, width, min(2**at, output_stride)) for at, (name, width) in enumerate(widths.items(), 1)
        )
        initialise(self)

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activations that `features` declares, at strides 2, 4, 8, 16 and 32, or up to the output stride."""
        stem = self.relu(self.bn1(self.conv1(x)))  # N 64 H/2 W/2
        layer1 = self.layer1(self.maxpool(stem))
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        layer4 = self.layer4(layer3)
        return {"stem": stem, "layer1": layer1, "layer2": layer2, "layer3": layer3, "layer4": layer4}

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits for normalised images."""
        pooled = self.avgpool(self.stages(x)["layer4"])  # N 512·expansion 1 1
        return self.fc(torch.flatten(pooled, 1))


def _strides(output_stride: int) -> Iterator[tuple[int, Dilations]]:
    """Stride and dilations of layer2, 3 and 4."""
    reached, dilation = 4, 1
    for _ in range(3):
        before = dilation
        if reached < output_stride:
            reached *= 2
            yield 2, (before, dilation)
        else:
            dilation *= 2
            yield 1, (before, dilation)


def resnet_backbone(depth: int, in_channels: int, *, output_stride: int = 32) -> ResNet:
    """A residual network without its classifier, for heads of other tasks: it has `stages`, and no `forward`."""
    network = ResNet(1, depth, in_channels=in_channels, output_stride=output_stride)
    del network.avgpool, network.fc
    return network


def _of_depth(depth: int) -> Callable[..., ResNet]:
    """The constructor of one row of table 1; it takes no other argument than any model does."""

    def constructor(classes: int, *, in_channels: int = 3) -> ResNet:
        return ResNet(classes, depth, in_channels=in_channels)

    return constructor


MODELS = {f"resnet{depth}": _of_depth(depth) for depth in TABLE_1}
