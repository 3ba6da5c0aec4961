"""FCN-32s, 16s and 8s on VGG-16: Long, Shelhamer & Darrell 2015 (arXiv 1411.4038), sections 3 and 4."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pellucid.models.base import AbstractSegmenter, Feature
from pellucid.models.skips import SkipHead
from pellucid.models.vgg import CHANNELS, convolutions, initialise, pools

__all__ = ["FCN", "MODELS", "ConvolutionalVGG"]

PADDING = 100
"""Pixels around the image, so that even one of 1x1 gives a cell of fc6."""


class ConvolutionalVGG(nn.Module):
    """VGG-16 whose first two linear layers slide over the map: fc6 is a 7x7 convolution, fc7 a 1x1 (section 3.1).

    As in the authors' networks, the first convolution pads by 100, pools round up, and fc6 does not pad. On 7x7 cells
    fc6 and fc7 compute what the linear layers of VGG-16 do.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        hidden = 64 * width
        self.layers = convolutions(in_channels, width, padding=PADDING, ceil_mode=True)
        self.fc6 = nn.Conv2d(CHANNELS[-1] * width, hidden, 7)
        self.relu6 = nn.ReLU()
        self.drop6 = nn.Dropout(0.5)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.relu7 = nn.ReLU()
        self.drop7 = nn.Dropout(0.5)
        moved = PADDING - 1  # pixels by which cells lie further out than with padding 1
        self.features = (
            Feature("pool3", CHANNELS[2] * width, 8, 3.5 - moved),
            Feature("pool4", CHANNELS[3] * width, 16, 7.5 - moved),
            Feature("fc7", hidden, 32, 15.5 - moved + 3 * 32),  # fc6 sees 3 cells to either side
        )
        initialise(self)
        for layer in (self.fc6, self.fc7):
            nn.init.normal_(layer.weight, std=0.01)

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activations that `features` declares: N channels (H + 198)/stride (W + 198)/stride, fc7 6 cells less."""
        _, _, pool3, pool4, pool5 = pools(self.layers, x)
        fc6 = self.drop6(self.relu6(self.fc6(pool5)))
        fc7 = self.drop7(self.relu7(self.fc7(fc6)))
        return {"pool3": pool3, "pool4": pool4, "fc7": fc7}


class FCN(AbstractSegmenter):
    """`stride` 32 scores fc7 alone; 16 adds scores of pool4, 8 those of pool4 and pool3.

    The reference networks with their padding, crops (5, 9 and at last 31, 27 or 19) and dense transposed convolutions.
    As in the text of the paper, the last of these stays bilinear interpolation and those before it are learnt; the
    published prototxt files fix all. Scores of pools are not scaled; the authors' later networks, trained in one go,
    multiply those of pool4 by 0.01 and those of pool3 by 0.0001.
    """

    size: int = 500
    head: ClassVar[str] = "classifier"
    ancestor: str = "vgg16"
    inherits: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "features": "backbone.layers",  # in published files
            "layers": "backbone.layers",
            "classifier.0": "backbone.fc6",
            "classifier.3": "backbone.fc7",
        }
    )

    def __init__(self, classes: int, stride: int, *, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.backbone = ConvolutionalVGG(in_channels, width)
        levels = [level for level in self.backbone.features if level.stride >= stride]
        self.classifier = SkipHead(levels, classes, groups=1, margin=0)

    def streams(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """What fc7, pool4 and pool3 add to the logits: N classes H W by name; their sum is `forward`."""
        return self.classifier.streams(self.backbone.stages(x), x.shape[2:])

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits for normalised images."""
        return self.classifier(self.backbone.stages(x), x.shape[2:])


def _of_stride(stride: int) -> Callable[..., FCN]:
    def constructor(classes: int, *, in_channels: int = 3, width: int = 64) -> FCN:
        return FCN(classes, stride, in_channels=in_channels, width=width)

    return constructor


MODELS = {f"fcn{stride}s": _of_stride(stride) for stride in (32, 16, 8)}
