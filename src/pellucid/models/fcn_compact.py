"""A small fast segmenter for small budgets: a plain encoder, and skip sums of features back to the full size.

What FCN-8s does with scores at three strides this does with features at every stride: project the coarse level to the
finer one's channels, enlarge it twofold, add (Long, Shelhamer & Darrell 2015, section 4.2), and let a 3x3 convolution
mend the seam.
"""

import itertools
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.models.base import AbstractSegmenter, Feature
from pellucid.models.compact import ConvUnit

__all__ = ["MODELS", "CompactFcn"]

LEVELS = 4


class CompactFcn(AbstractSegmenter):
    """`width / 2` channels at the full size, `width` at a half, then twice that and four times that, to a sixteenth."""

    size: int = 256
    head: ClassVar[str] = "score"

    def __init__(self, classes: int, *, in_channels: int = 3, width: int = 32) -> None:
        super().__init__()
        if width < 2:
            raise UsageError(f"fcn_compact of width {width}: the width is at least 2.")
        channels = [width // 2] + [width * min(2**level, 4) for level in range(LEVELS)]
        self.stem = nn.Sequential(ConvUnit(in_channels, channels[0]), ConvUnit(channels[0], channels[0]))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        pairs = list(itertools.pairwise(channels))
        self.down = nn.ModuleList(
            nn.Sequential(ConvUnit(fine, coarse), ConvUnit(coarse, coarse)) for fine, coarse in pairs
        )
        self.lift = nn.ModuleList(nn.Conv2d(coarse, fine, 1, bias=False) for fine, coarse in pairs)
        self.merge = nn.ModuleList(ConvUnit(fine, fine) for fine, _ in pairs)
        self.score = nn.Conv2d(channels[0], classes, 1)
        self.features = tuple(
            Feature(f"down.{level}", channels[level + 1], 2 ** (level + 1), (2 ** (level + 1) - 1) / 2)
            for level in range(LEVELS)
        )

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activations at strides 2, 4, 8 and 16, by the names of their features."""
        return {feature.name: level for feature, level in zip(self.features, self._levels(x)[1:], strict=True)}

    def _levels(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        levels = [self.stem(x)]
        for down in self.down:
            levels.append(down(self.pool(levels[-1])))
        return levels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits."""
        *levels, x = self._levels(x)
        for fine, lift, merge in reversed(list(zip(levels, self.lift, self.merge, strict=True))):
            x = merge(fine + enlarged(lift(x), fine))
        return self.score(x)


def enlarged(x: Float[Tensor, "n c h w"], like: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n c h2 w2"]:
    """Twice the size by bilinear interpolation; where a pool rounded an odd side up, its last cell is cut off."""
    height, width = like.shape[2:]
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)[:, :, :height, :width]


MODELS = {"fcn_compact": CompactFcn}
