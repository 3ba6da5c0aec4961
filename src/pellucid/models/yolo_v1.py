"""YOLO v1 of Redmon et al. 2016 (arXiv 1506.02640): the network of figure 3, the fast one, and residual backbones."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.models.base import AbstractDetector
from pellucid.models.grid import GridHead
from pellucid.models.resnet import resnet_backbone

__all__ = ["FAST", "FIGURE_3", "MODELS", "ResNetYoloV1", "YoloV1"]

STRIDE = 64
SLOPE = 0.1
POOL = "pool"
Layout = Sequence[tuple[int, int, int] | str]

FIGURE_3: Layout = (
    *((7, 64, 2), POOL),
    *((3, 192, 1), POOL),
    *((1, 128, 1), (3, 256, 1), (1, 256, 1), (3, 512, 1), POOL),
    *(4 * ((1, 256, 1), (3, 512, 1))),
    *((1, 512, 1), (3, 1024, 1), POOL),
    *(2 * ((1, 512, 1), (3, 1024, 1))),
    *((3, 1024, 1), (3, 1024, 2), (3, 1024, 1), (3, 1024, 1)),
)
"""Kernel, filters and stride of each of the 24 convolutions, and 2x2 pools of stride 2."""

FAST: Layout = (
    *((3, 16, 1), POOL, (3, 32, 1), POOL, (3, 64, 1), POOL, (3, 128, 1), POOL, (3, 256, 1), POOL, (3, 512, 1), POOL),
    *((3, 1024, 1), (3, 512, 1), (3, 256, 1)),
)
"""Nine convolutions. The paper says "9 instead of 24 and fewer filters" and no more; this is our choice: filters
double at each of the six halvings that lead to 7x7 cells, and decrease before the connected layers, which would be
most of it."""

HIDDEN, FAST_HIDDEN = 4096, 1024
"""Units between the connected layers: of the paper, and of the fast network, as many to its inputs as there."""


def layers_of(layout: Layout, in_channels: int, width: float, *, norm: bool) -> nn.Sequential:
    """Convolutions with a bias, or batch norm instead, each with a leaky ReLU; and pools."""
    layers: list[nn.Module] = []
    for one in layout:
        if isinstance(one, str):
            layers.append(nn.MaxPool2d(2))
            continue
        kernel, filters, stride = one
        channels = max(1, round(filters * width))
        layers.append(nn.Conv2d(in_channels, channels, kernel, stride=stride, padding=kernel // 2, bias=not norm))
        layers += [nn.BatchNorm2d(channels)] if norm else []
        layers.append(nn.LeakyReLU(SLOPE))
        in_channels = channels
    return nn.Sequential(*layers)


def initialise(network: nn.Module) -> None:
    """Convolutions and hidden units: normal, variance 2 / ((1 + slope²)·fan-in), He et al. 2015 (1502.01852); biases 0.

    With it the signal keeps its size through 24 layers without normalisation.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, a=SLOPE)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


Defaults = Mapping[str, tuple[Any, str]]

SHOWN: Defaults = {
    "clip": (10.0, "one image with large boxes must not move everything"),
    "mosaic": (0.0, "a cell learns one object, and four images have several in a cell"),
    "shift": (0.2, "as in the paper"),
    "zoom": (0.8, "as in the paper"),
}
PLAIN: Defaults = {
    "optimizer": ("adamw", "steps of one size for the connected layers and the filters before them"),
    "lr": (1e-3, "larger ones end in NaN: what the last layer gives is not bounded"),
    **SHOWN,
}
NORMED: Defaults = {
    "optimizer": ("muon-adamw", "muon for filters behind batch norm, adamw for the connected layers"),
    **SHOWN,
}
"""Settings without and with batch norm. (The paper: momentum 0.9, rates of 1e-3 to 1e-2, weights from ImageNet.)"""


class YoloV1(AbstractDetector):
    """Convolutions down to a cell for 64 pixels, then two connected layers that see the whole image.

    `width` is the share of all channels and hidden units, `norm` puts batch normalisation in place of the biases,
    without which the 24 layers hardly learn from nothing (the paper began with weights from ImageNet). `grid`,
    `boxes` and `side` are S, B and the side of the images in pixels, a multiple of 64, which the connected layers
    fix.
    """

    size: int = 448
    fixed_size: ClassVar[bool] = True
    side_unit: ClassVar[int] = STRIDE
    head: ClassVar[str] = "connected.predict"

    def __init__(
        self,
        classes: int,
        layout: Layout = FIGURE_3,
        hidden: int = HIDDEN,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        grid: int = 7,
        boxes: int = 2,
        side: int = 448,
        norm: bool = False,
    ) -> None:
        super().__init__()
        _check_side(side)
        self.size = side
        self.defaults = NORMED if norm else PLAIN
        self.layers = layers_of(layout, in_channels, width, norm=norm)
        initialise(self.layers)
        last = [one for one in layout if not isinstance(one, str)][-1]
        cells = max(1, round(last[1] * width)) * (side // STRIDE) ** 2
        self.connected = GridHead(cells, max(1, round(hidden * width)), classes, grid=grid, boxes=boxes, side=side)
        initialise(self.connected.hidden)

    def forward(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """`cells`: N S S 5·B + C, for each box x y w h confidence, then the class probabilities."""
        return {"cells": self.connected(self.layers(x))}

    def loss(self, outputs: dict[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The five sums of equation 3."""
        return self.connected.loss(outputs["cells"], targets)

    def decode(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """B boxes a cell, row by row."""
        return self.connected.decode(outputs["cells"])

    def evidence(self, outputs: dict[str, Tensor]) -> Float[Tensor, "n candidates classes"]:
        """The confidence of each box, for every class."""
        return self.connected.evidence(outputs["cells"])


class ResNetYoloV1(AbstractDetector):
    """The grid, its loss and connected layers on a residual network, which published weights may fill.

    As the paper did with its own pretrained layers, convolutions are put behind them, one of which halves the side: two
    here instead of four, 3x3 with batch norm, to `channels`.
    """

    size: int = 448
    fixed_size: ClassVar[bool] = True
    side_unit: ClassVar[int] = STRIDE
    defaults: Defaults = PLAIN
    head: ClassVar[str] = "connected.predict"
    inherits: ClassVar[Mapping[str, str]] = MappingProxyType(
        {part: f"backbone.{part}" for part in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")}
    )

    def __init__(
        self,
        classes: int,
        depth: int,
        *,
        in_channels: int = 3,
        channels: int = 256,
        hidden: int = FAST_HIDDEN,
        grid: int = 7,
        boxes: int = 2,
        side: int = 448,
    ) -> None:
        super().__init__()
        _check_side(side)
        self.size = side
        self.ancestor = f"resnet{depth}"
        self.backbone = resnet_backbone(depth, in_channels)
        self.features = self.backbone.features
        self.extra = layers_of(((3, channels, 2), (3, channels, 1)), self.features[-1].channels, 1.0, norm=True)
        self.connected = GridHead(channels * (side // STRIDE) ** 2, hidden, classes, grid=grid, boxes=boxes, side=side)
        initialise(self.extra)
        initialise(self.connected.hidden)

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """Those of the backbone."""
        return self.backbone.stages(x)

    def forward(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """`cells`: N S S 5·B + C, as of `YoloV1`."""
        return {"cells": self.connected(self.extra(self.stages(x)[self.features[-1].name]))}

    def loss(self, outputs: dict[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The five sums of equation 3."""
        return self.connected.loss(outputs["cells"], targets)

    def decode(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """B boxes a cell, row by row."""
        return self.connected.decode(outputs["cells"])

    def evidence(self, outputs: dict[str, Tensor]) -> Float[Tensor, "n candidates classes"]:
        """The confidence of each box, for every class."""
        return self.connected.evidence(outputs["cells"])


def _check_side(side: int) -> None:
    if side < STRIDE or side % STRIDE:
        raise UsageError(f"YOLO v1 for images of side {side}: a cell is {STRIDE} pixels. Take a multiple of {STRIDE}.")


def _plain(layout: Layout, hidden: int, *, with_norm: bool) -> Callable[..., YoloV1]:
    """The constructor of one layout. The fast one has batch norm, since there are no weights to begin with."""

    def constructor(
        classes: int,
        *,
        in_channels: int = 3,
        width: float = 1.0,
        grid: int = 7,
        boxes: int = 2,
        side: int = 448,
        norm: bool = with_norm,
    ) -> YoloV1:
        return YoloV1(
            *(classes, layout, hidden),
            in_channels=in_channels,
            width=width,
            grid=grid,
            boxes=boxes,
            side=side,
            norm=norm,
        )

    return constructor


def _residual(depth: int) -> Callable[..., ResNetYoloV1]:
    def constructor(
        classes: int, *, in_channels: int = 3, grid: int = 7, boxes: int = 2, side: int = 448
    ) -> ResNetYoloV1:
        return ResNetYoloV1(classes, depth, in_channels=in_channels, grid=grid, boxes=boxes, side=side)

    return constructor


MODELS: dict[str, Any] = {
    "yolo_v1": _plain(FIGURE_3, HIDDEN, with_norm=False),
    "yolo_v1_fast": _plain(FAST, FAST_HIDDEN, with_norm=True),
    **{f"yolo_v1_resnet{depth}": _residual(depth) for depth in (18, 50)},
}
