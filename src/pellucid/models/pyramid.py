"""Features of three strides for detectors: a plain residual backbone, and sums that go down and up between its levels.

Everything is a 3x3 or 1x1 convolution with batch norm and ReLU, a max pool, a nearest enlargement or a sum: operations
that a processor does at full speed, in bf16 and in int8, and that keep the network piecewise linear.

Sides are halved by kernels of even size only, a 6x6 convolution and 2x2 pools. So a cell of stride s lies in the
middle of its s x s pixels, at (i + 1/2)·s, at every level: twofold nearest enlargement puts features where they
were found, and the anchor points of a detector are what the cells are centred on. Behind padded 3x3 strides they
would be half a cell off.
"""

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.models.base import Feature
from pellucid.models.compact import ConvUnit

__all__ = ["COARSEST", "HalfBlock", "Pyramid", "Trunk", "padded"]

COARSEST = 32
"""The stride of the last level; a side it does not divide is filled up with zeros, the mean colour."""


def padded(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Zeros to the right and below, up to whole cells of the coarsest level."""
    return functional.pad(x, (0, -x.shape[3] % COARSEST, 0, -x.shape[2] % COARSEST))


class HalfBlock(nn.Module):
    """`relu(x + F(x))`, F two 3x3 convolutions with half the channels between them: half the work of a basic block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = ConvUnit(channels, channels // 2)
        self.conv = nn.Conv2d(channels // 2, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The same size."""
        return self.relu(x + self.bn(self.conv(self.inner(x))))


class Trunk(nn.Module):
    """Half the side with `width / 2` channels, then `width` at a quarter, twice that at each halving, to 32.

    `blocks` are the residual blocks at strides 4, 8, 16 and 32.
    """

    def __init__(self, in_channels: int, width: int, blocks: Sequence[int]) -> None:
        super().__init__()
        channels = [width // 2] + [width * 2**level for level in range(len(blocks))]
        self.stem = ConvUnit(in_channels, channels[0], kernel_size=6, stride=2)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), ConvUnit(fine, coarse), *(HalfBlock(coarse) for _ in range(depth)))
            for (fine, coarse), depth in zip(itertools.pairwise(channels), blocks, strict=True)
        )
        self.features = tuple(
            Feature(f"levels.{level}", channels[level + 1], stride, (stride - 1) / 2)
            for level, stride in enumerate((4, 8, 16, 32))
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """Activations at strides 4, 8, 16 and 32."""
        found = [self.stem(x)]
        for level in self.levels:
            found.append(level(found[-1]))
        return found[1:]


class Context(nn.Module):
    """What lies around a cell: maxima over 5, 9 and 13 cells beside the cell's own (He et al. 2014, arXiv 1406.4729).

    Pools of 5 in a row give them. Each sees the one before, so the same window costs less than at once.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = ConvUnit(in_channels, out_channels, kernel_size=1)
        self.pools = nn.ModuleList(nn.MaxPool2d(5, stride=1, padding=2) for _ in range(3))
        self.expand = ConvUnit(4 * out_channels, out_channels, kernel_size=1)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
        """N out_channels, the same size."""
        found = [self.reduce(x)]
        for pool in self.pools:
            found.append(pool(found[-1]))
        return self.expand(torch.cat(found, dim=1))


class Pyramid(nn.Module):
    """Levels of one width at strides 8, 16 and 32: coarse ones enlarged and added to finer, then fine pooled and added.

    The way down is that of feature pyramids (Lin et al. 2017, arXiv 1612.03144), the way back up that of path
    aggregation (Liu et al. 2018, arXiv 1803.01534), both with sums: a concatenation would double the work of the
    convolution behind it.
    """

    def __init__(self, in_channels: Sequence[int], width: int) -> None:
        super().__init__()
        *finer, coarsest = in_channels
        self.context = Context(coarsest, width)
        self.lateral = nn.ModuleList(ConvUnit(channels, width, kernel_size=1) for channels in finer)
        self.enlarge = nn.ModuleList(nn.Upsample(scale_factor=2) for _ in finer)
        self.down = nn.ModuleList(ConvUnit(width, width) for _ in finer)
        self.pool = nn.ModuleList(nn.MaxPool2d(2) for _ in finer)
        self.up = nn.ModuleList(ConvUnit(width, width) for _ in finer)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """As many levels, from fine to coarse, N width each."""
        *finer, coarsest = levels
        downwards = [self.context(coarsest)]
        for at in reversed(range(len(finer))):
            downwards.insert(0, self.down[at](self.lateral[at](finer[at]) + self.enlarge[at](downwards[0])))
        upwards = [downwards[0]]
        for at, level in enumerate(downwards[1:]):
            upwards.append(self.up[at](level + self.pool[at](upwards[-1])))
        return upwards
