"""Networks to look into: those of the catalogue, narrow; and some that are not ours, written as people write them."""

import re
from contextlib import ExitStack
from unittest import mock

import torch
from torch import nn
from torch.nn import functional

from pellucid.models.base import AbstractModel, build_model
from tests.models.kinds import SMALL

LARGE = re.compile(r"resnet(18|34|50|101|152)$")
WIDTHS = {nn.Conv2d: 2, nn.Linear: 2, nn.BatchNorm2d: 1}
"""How many of the first arguments of a layer are numbers of channels."""


def narrow(name: str, classes: int = 5) -> AbstractModel:
    """A network of the catalogue: every operation in its place; where it would be large, with an eighth of the
    channels. What is asserted of all networks in their full width says so."""
    with ExitStack() as stack:
        for kind, count in WIDTHS.items() if LARGE.search(name) else ():
            stack.enter_context(mock.patch.object(kind, "__init__", _narrowed(kind.__init__, count)))
        return build_model(name, classes, **SMALL.get(name, {}))


def _narrowed(init, count: int):
    def narrowed(self, *arguments, **keywords) -> None:
        init(self, *map(_eighth, arguments[:count]), *arguments[count:], **keywords)

    return narrowed


def _eighth(width: int) -> int:
    """Of a layer's channels, which are a power of two; numbers of classes and of outputs stay."""
    return width // 8 if width >= 64 and width.bit_count() == 1 else width


class ForeignBlock(nn.Module):
    """As in torchvision: one in-place ReLU for two places, and a sum that overwrites."""

    def __init__(self, c_in: int, c_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.downsample = None
        if stride > 1 or c_in != c_out:
            self.downsample = nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out))

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ForeignResNet(nn.Module):
    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(ForeignBlock(8, 8, 1), ForeignBlock(8, 8, 1))
        self.layer2 = nn.Sequential(ForeignBlock(8, 16, 2), ForeignBlock(16, 16, 1))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class CourseNet(nn.Module):
    """The network of the course on a plain module: functional ReLUs, one pool for two places."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(functional.relu(self.conv1(x)))
        x = self.pool(functional.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        return self.fc3(functional.relu(self.fc2(functional.relu(self.fc1(x)))))


class Smooth(nn.Module):
    """What is not piecewise linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        return self.fc(functional.gelu(self.conv(x)).mean(dim=(2, 3)))


def unsettled(model: nn.Module) -> nn.Module:
    """As after some training: no normalisation is the identity, no gamma or score is 0, every bias is something."""
    generator = torch.Generator().manual_seed(1)
    for tensor in model.parameters():
        if not tensor.any():
            tensor.data.normal_(0, 0.1, generator=generator)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.weight, 0.3, 0.9),
                (module.bias, -0.3, 0.3),
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 2.0),
            ):
                tensor.data.uniform_(low, high, generator=generator)
    return model
