"""A head that makes fine maps of coarse ones: scores at several strides, upsampled step by step and summed.

Long, Shelhamer & Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation" (arXiv 1411.4038), section 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.models.base import Feature

__all__ = ["SkipHead", "bilinear_filter"]

PIXELS = Feature("pixels", channels=0, stride=1)


def bilinear_filter(kernel_size: int) -> Float[Tensor, "k k"]:
    """The weights by which a transposed convolution interpolates: `(1 - |y - c| / f)·(1 - |x - c| / f)`.

    c is the middle, f = (kernel_size + 1) // 2 the factor. 4 -> 1 3 3 1 / 3 9 9 3 / 3 9 9 3 / 1 3 3 1, over 16.
    """
    factor, middle = (kernel_size + 1) // 2, (kernel_size - 1) / 2
    line = 1 - (torch.arange(kernel_size) - middle).abs() / factor
    return torch.outer(line, line)


@dataclass(frozen=True, slots=True)
class Step:
    """One upsampling, by a factor of `stride`; what it gives first lies on cell `first` of the next finer grid."""

    kernel_size: int
    stride: int
    first: int


def steps(levels: Sequence[Feature], margin: int) -> dict[str, Step]:
    """How to get from each level, the coarsest first, onto the next finer one and at last onto the pixels.

    Where the centres of coarse cells fall between those of finer ones, the kernel is twice the factor; where they fall
    on them, one less. A factor of 2 gives 1 3 3 1 or 1 2 1.
    """
    found = {}
    centre = levels[-1].centre  # of the first cell of the sum so far
    for level, finer in pairwise((*reversed(levels), PIXELS)):
        place = (centre - margin * level.stride - finer.centre) / finer.stride
        factor = level.stride // finer.stride
        kernel_size = 2 * factor - place.is_integer()
        first = int(place - (kernel_size - 1) / 2)
        found[level.name] = Step(kernel_size, factor, first)
        centre = finer.centre + max(first, 0) * finer.stride
    return found


def score(in_channels: int, classes: int) -> nn.Conv2d:
    """A 1x1 convolution that begins at 0, as in the paper: no class is preferred anywhere."""
    layer = nn.Conv2d(in_channels, classes, 1)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def upscore(classes: int, step: Step, *, groups: int, learnt: bool) -> nn.ConvTranspose2d:
    """A transposed convolution that begins as bilinear interpolation of every class by itself, or stays that."""
    layer = nn.ConvTranspose2d(classes, classes, step.kernel_size, stride=step.stride, groups=groups, bias=False)
    same_class = torch.eye(classes) if groups == 1 else torch.ones(classes, 1)
    weight = same_class[:, :, None, None] * bilinear_filter(step.kernel_size)
    layer.weight = nn.Parameter(weight, requires_grad=learnt)
    return layer


class SkipHead(nn.Module):
    """1x1 scores of every level, upsampled and summed from the coarsest level to the finest, then onto the pixels.

    `levels` go from the finest to the coarsest. Maps are laid over each other by the centres that the levels declare,
    so that every score stays where it was found, in images of any size. Of the upsamplings the last is fixed, those
    before it are learnt (section 4.3). With as many `groups` as classes each class is upsampled by itself, with 1 they
    may mix. `margin` cells are added around a map before, each like its nearest; without them the scores of the last
    cells fade towards the border.

    After the scores everything is linear and without bias: the logits are the exact sum of what the levels give.
    """

    def __init__(self, levels: Sequence[Feature], classes: int, *, groups: int, margin: int) -> None:
        super().__init__()
        self.margin = margin
        self.steps = steps(levels, margin)
        finest = levels[0].name
        self.score = nn.ModuleDict({level.name: score(level.channels, classes) for level in reversed(levels)})
        self.upscore = nn.ModuleDict(
            {name: upscore(classes, step, groups=groups, learnt=name != finest) for name, step in self.steps.items()}
        )

    def forward(self, stages: Mapping[str, Tensor], size: Sequence[int]) -> Float[Tensor, "n classes h w"]:
        """Logits of images of that (height, width)."""
        return self._summed(self._scores(stages), size)

    def streams(self, stages: Mapping[str, Tensor], size: Sequence[int]) -> dict[str, Tensor]:
        """What each level adds to the logits: N classes H W by its name."""
        scores = self._scores(stages)
        silent = {name: torch.zeros_like(score) for name, score in scores.items()}
        return {name: self._summed({**silent, name: score}, size) for name, score in scores.items()}

    def _scores(self, stages: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: layer(stages[name]) for name, layer in self.score.items()}

    def _summed(self, scores: Mapping[str, Tensor], size: Sequence[int]) -> Float[Tensor, "n classes h w"]:
        coarsest, *others = scores
        above, first = self._upsampled(coarsest, scores[coarsest])
        for name in others:
            above, below = overlap(above, scores[name], first)
            above, first = self._upsampled(name, above + below)
        return above[:, :, -first : size[0] - first, -first : size[1] - first]

    def _upsampled(self, name: str, total: Float[Tensor, "n classes h w"]) -> tuple[Tensor, int]:
        """The sum so far on the next finer grid, and the cell of it on which it begins."""
        if self.margin:
            total = functional.pad(total, (self.margin,) * 4, mode="replicate")
        return self.upscore[name](total), self.steps[name].first


def overlap(
    upper: Float[Tensor, "n c h w"], lower: Float[Tensor, "n c h2 w2"], first: int
) -> tuple[Float[Tensor, "n c h3 w3"], Float[Tensor, "n c h3 w3"]]:
    """The parts of two maps that lie over each other, where cell 0 of `upper` lies on cell `first` of `lower`.

    Sizes 5 and 6, first 2 -> cells 0 to 3 of the upper, 2 to 5 of the lower.
    """
    over, under = max(-first, 0), max(first, 0)
    height = min(upper.shape[2] - over, lower.shape[2] - under)
    width = min(upper.shape[3] - over, lower.shape[3] - under)
    return (
        upper[:, :, over : over + height, over : over + width],
        lower[:, :, under : under + height, under : under + width],
    )
