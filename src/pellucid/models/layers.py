"""Blocks of residual networks: He, Zhang, Ren & Sun 2015, "Deep Residual Learning" (arXiv 1512.03385).

Parameter names are those of torchvision's ResNet, so that published weights load by name.
"""

from typing import ClassVar, Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "BasicBlock",
    "BlockType",
    "Bottleneck",
    "Dilations",
    "PaddedShortcut",
    "Shortcut",
    "initialise",
    "shortcut_of",
    "stage",
]

Shortcut = Literal["A", "B", "C"]
Dilations = tuple[int, int]
"""Of the 3x3 convolution that takes the stride, and of those after it: where dilation stands in for a stride, only the
latter have to step over the cells that it would have left out."""


def convolution(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1; no bias, since batch normalisation follows."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation, bias=False
    )


class PaddedShortcut(nn.Module):
    """Shortcut A: every second pixel; zeros for the new channels, half before and half after. No parameter.

    16 channels of 32x32 -> 8 of zeros, the 16, 8 of zeros, each 16x16.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        new = out_channels - in_channels
        self.before, self.after = new // 2, new - new // 2

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """Subsample, then pad the channel axis."""
        x = x[:, :, :: self.stride, :: self.stride]
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))


def shortcut_of(kind: Shortcut, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """What stands beside a block (section 3.3); None is the identity.

    A: the identity, zeros for new channels. B: a 1x1 projection where the size changes. C: a projection
    everywhere.
    """
    changes = stride != 1 or in_channels != out_channels
    if kind == "C" or (kind == "B" and changes):
        return nn.Sequential(convolution(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels))
    return PaddedShortcut(in_channels, out_channels, stride) if changes else None


class BasicBlock(nn.Module):
    """`relu(F(x) + shortcut(x))` with two 3x3 convolutions in F (figure 5, left)."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        dilations: Dilations = (1, 1),
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, width, 3, stride, dilations[0])
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()  # one module a place: a hook on it sees one activation
        self.conv2 = convolution(width, width, 3, 1, dilations[1])
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut_of(shortcut, in_channels, width, stride)
        self.relu2 = nn.ReLU()

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The normalisation just before the sum."""
        return self.bn2

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """N in_channels H W -> N width H/stride W/stride."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu2(y + shortcut)


class Bottleneck(nn.Module):
    """`relu(F(x) + shortcut(x))` with 1x1, 3x3, 1x1 convolutions in F (figure 5, right).

    The stride is in the 3x3 convolution, as in torchvision ("v1.5"); the paper has it in the first 1x1.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        dilations: Dilations = (1, 1),
    ) -> None:
        super().__init__()
        out_channels = width * self.expansion
        self.conv1 = convolution(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = convolution(width, width, 3, stride, dilations[0])
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv3 = convolution(width, out_channels, 1)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = shortcut_of(shortcut, in_channels, out_channels, stride)
        self.relu3 = nn.ReLU()

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The normalisation just before the sum."""
        return self.bn3

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h2 w2"]:
        """N in_channels H W -> N 4·width H/stride W/stride."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu3(y + shortcut)


BlockType = type[BasicBlock] | type[Bottleneck]


def stage(
    block: BlockType,
    in_channels: int,
    width: int,
    depth: int,
    *,
    stride: int,
    shortcut: Shortcut = "B",
    dilations: Dilations = (1, 1),
) -> nn.Sequential:
    """`depth` blocks in a row, of which the first takes the stride."""
    out_channels = width * block.expansion
    after = dilations[1]
    first = block(in_channels, width, stride, shortcut, dilations)
    rest = [block(out_channels, width, 1, shortcut, (after, after)) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)


def initialise(network: nn.Module) -> None:
    """Random filters for a residual network that is about to be trained from nothing.

    Convolutions: normal with variance 2 / (out_channels · kernel area), He et al. 2015 (arXiv 1502.01852).
    The last gamma of each block is 0, so that every block begins as its shortcut, which eases the start of
    training (Goyal et al. 2017, arXiv 1706.02677, section 5.1); the ResNet paper began with 1.
    """
    for module in network.modules():
        match module:
            case nn.Conv2d():
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            case BasicBlock() | Bottleneck():
                nn.init.zeros_(module.last_norm.weight)
