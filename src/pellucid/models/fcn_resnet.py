"""Fully convolutional networks on residual networks: the skips of Long et al. 2015, and torchvision's dilated ones."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.models.base import AbstractSegmenter
from pellucid.models.resnet import resnet_backbone
from pellucid.models.skips import SkipHead

__all__ = ["MODELS", "DilatedFCN", "SkipFCN"]

BACKBONE = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
INHERITS: Mapping[str, str] = MappingProxyType({part: f"backbone.{part}" for part in BACKBONE})


class SkipFCN(AbstractSegmenter):
    """Scores of a residual network's levels down to `stride` (32, 16 or 8), upsampled and summed: FCN (1411.4038).

    Between backbone and scores lie no wide layers like VGG's fc6 and fc7: layer4 already sees further than those (435
    pixels or more, against 404), and a residual network has but one linear layer, the score itself.

    The cells of a residual network are centred on the pixels 0, stride, 2·stride, …, those of VGG between pixels. The
    kernels of the transposed convolutions are therefore odd, one less than twice their stride.
    """

    head: ClassVar[str] = "classifier"
    inherits: ClassVar[Mapping[str, str]] = INHERITS

    def __init__(self, classes: int, depth: int, stride: int, *, in_channels: int = 3) -> None:
        super().__init__()
        self.ancestor = f"resnet{depth}"
        self.backbone = resnet_backbone(depth, in_channels)
        levels = [level for level in self.backbone.features if level.stride >= stride]
        self.classifier = SkipHead(levels, classes, groups=classes, margin=1)

    def streams(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """What layer4, layer3 and layer2 add to the logits: N classes H W by name; their sum is `forward`."""
        return self.classifier.streams(self.backbone.stages(x), x.shape[2:])

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits for normalised images."""
        return self.classifier(self.backbone.stages(x), x.shape[2:])


class DilatedFCN(AbstractSegmenter):
    """torchvision's fcn_resnet50 and 101: a dilated backbone of output stride 8, one head on layer4, one on layer3.

    Parameter names are torchvision's. `aux`, the second head, only serves training. Logits are brought to the size of
    the images by bilinear interpolation, which takes the cells to lie 3.5 pixels further right and down than they do;
    the published networks have learnt to live with it.
    """

    size: int = 520
    head: ClassVar[tuple[str, ...]] = ("classifier.4", "aux_classifier.4")
    inherits: ClassVar[Mapping[str, str]] = INHERITS

    def __init__(self, classes: int, depth: int, *, in_channels: int = 3, aux: bool = True) -> None:
        super().__init__()
        self.ancestor = f"resnet{depth}"
        self.backbone = resnet_backbone(depth, in_channels, output_stride=8)
        channels = {level.name: level.channels for level in self.backbone.features}
        self.classifier = _head(channels["layer4"], classes)
        self.aux_classifier = _head(channels["layer3"], classes) if aux else None

    def forward(
        self, x: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n classes h w"] | dict[str, Float[Tensor, "n classes h w"]]:
        """Logits for normalised images: `out`, and `aux` of the second head; without that one a tensor."""
        stages = self.backbone.stages(x)
        out = _resized(self.classifier(stages["layer4"]), x)
        if self.aux_classifier is None:
            return out
        return {"out": out, "aux": _resized(self.aux_classifier(stages["layer3"]), x)}


def _head(in_channels: int, classes: int) -> nn.Sequential:
    width = in_channels // 4
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Conv2d(width, classes, 1),
    )


def _resized(logits: Float[Tensor, "n classes h w"], x: Float[Tensor, "n c h2 w2"]) -> Float[Tensor, "n classes h2 w2"]:
    """At the size of the images."""
    return functional.interpolate(logits, x.shape[2:], mode="bilinear", align_corners=False)


def _skips(depth: int, stride: int) -> Callable[..., SkipFCN]:
    def constructor(classes: int, *, in_channels: int = 3) -> SkipFCN:
        return SkipFCN(classes, depth, stride, in_channels=in_channels)

    return constructor


def _dilated(depth: int) -> Callable[..., DilatedFCN]:
    def constructor(classes: int, *, in_channels: int = 3, aux: bool = True) -> DilatedFCN:
        return DilatedFCN(classes, depth, in_channels=in_channels, aux=aux)

    return constructor


MODELS: dict[str, Any] = {
    **{f"fcn{stride}s_resnet{depth}": _skips(depth, stride) for depth in (18, 34, 50) for stride in (32, 16, 8)},
    **{f"fcn_resnet{depth}": _dilated(depth) for depth in (50, 101)},
}
