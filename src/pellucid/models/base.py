"""What every model of every task is: raw outputs, a loss of named terms, the decoding that is exported."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from pellucid.catalog import find
from pellucid.errors import UsageError
from pellucid.preprocess import Rule

__all__ = [
    "AbstractClassifier",
    "AbstractDetector",
    "AbstractModel",
    "AbstractSegmenter",
    "Backbone",
    "Feature",
    "at_least_one",
    "build_model",
    "weights_of",
]

MOST_CLASSES = 255
"""Classes a segmenter may have: labels are written as uint8, and in a mask 255 says that a pixel is ignored."""
AUX_SHARE = 0.5
"""What the cross entropy of an auxiliary head counts beside that of the head, as in torchvision's references."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One level of a backbone that heads of other tasks may build on: input pixels per cell is `stride`.

    `centre` is the pixel, along either axis, in the middle of what cell 0 sees; that of cell i is `centre + stride·i`.
    It is 0 behind padded convolutions of odd size, and (stride - 1) / 2 behind pools that halve.
    """

    name: str
    channels: int
    stride: int
    centre: float = 0.0


@runtime_checkable
class Backbone(Protocol):
    """A network whose inner activations other heads may build on, from the finest level to the coarsest."""

    features: tuple[Feature, ...]

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activation of every declared feature by its name: N channels H/stride W/stride.

        How a side that the stride does not divide is rounded is the model's own, and so are cells that see only
        padding.
        """


class AbstractModel(nn.Module, ABC):
    """A piecewise linear network: ReLU or leaky ReLU only, no in-place operation.

    `forward` gives raw outputs; it reads neither `self.training` nor a target. `task` is the name of the task it
    serves, `rule` how a photo comes to its size where nothing else is said, `size` the side of the square image in
    pixels it is meant for (of a class, or of an instance whose arguments set it), `fixed_size` whether it takes no
    other, `side_unit` what its argument `side` must be a multiple of (0: it has none), `head` the prefix (or prefixes)
    of the parameters whose shape depends on the classes, `aliases` what parts of our parameter names are called in
    published files (`{"linear": "fc"}` reads `linear.bias` as `fc.bias`).

    `defaults` are the settings of a training that it learns best with, each with the reason.

    A model may be built on another of the catalogue: `ancestor` is its name, `inherits` maps the parts whose weights
    are taken over to what they are called here (`{"conv1": "backbone.conv1"}`); what it does not name stays behind.

    `known` are numbers that its task is to know before it learns any: `{"overlap": 1.0}`, the IoU beyond which boxes
    suppress each other, says that those of a detector never need to.

    `architecture` is set by `build_model`: the name and arguments that build the same network again.
    """

    task: ClassVar[str]
    rule: ClassVar[Rule]
    size: int = 224
    fixed_size: ClassVar[bool] = False
    side_unit: ClassVar[int] = 0
    defaults: Mapping[str, tuple[Any, str]] = MappingProxyType({})
    head: ClassVar[str | tuple[str, ...]]
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})
    ancestor: str = ""
    inherits: ClassVar[Mapping[str, str]] = MappingProxyType({})
    features: tuple[Feature, ...] = ()
    known: Mapping[str, float] = MappingProxyType({})
    architecture: Mapping[str, Any] = MappingProxyType({})

    @abstractmethod
    def forward(self, x: Float[Tensor, "n c h w"]) -> Any:
        """Raw outputs for normalised images."""

    @abstractmethod
    def loss(self, outputs: Any, targets: Any) -> dict[str, Tensor]:
        """Named loss terms, each a scalar; training minimises their sum."""

    @abstractmethod
    def decode(self, outputs: Any) -> dict[str, Tensor]:
        """What an exported file gives; no data-dependent control flow, since it is traced."""


class AbstractClassifier(AbstractModel):
    """A model whose outputs are one logit for each class."""

    task: ClassVar[str] = "classify"
    rule: ClassVar[Rule] = "stretch"

    @abstractmethod
    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits for normalised images."""

    def loss(self, outputs: Float[Tensor, "n classes"], targets: Float[Tensor, "n classes"]) -> dict[str, Tensor]:
        """Cross entropy with soft targets: `-Σ t·log p / Σ t`.

        Label smoothing, mixup and class weights are all in the targets, whose rows need not sum to 1; with
        one-hot rows scaled by class weights this is torch's weighted cross entropy.
        """
        log_probs = functional.log_softmax(outputs.float(), dim=1)
        return {"cross_entropy": -(targets * log_probs).sum() / targets.sum()}

    def decode(self, outputs: Float[Tensor, "n classes"]) -> dict[str, Tensor]:
        """`logits` and `probs`, both N classes."""
        logits = outputs.float()
        return {"logits": logits, "probs": logits.softmax(dim=1)}


PixelLogits = Float[Tensor, "n classes h w"] | dict[str, Float[Tensor, "n classes h w"]]


class AbstractSegmenter(AbstractModel):
    """A model whose outputs are one logit for each class and pixel: the size of the images, whatever it is.

    A model with an auxiliary head gives both as a dict, `out` and `aux`.
    """

    task: ClassVar[str] = "segment"
    rule: ClassVar[Rule] = "scale"

    @abstractmethod
    def forward(self, x: Float[Tensor, "n c h w"]) -> PixelLogits:
        """Logits for normalised images."""

    def loss(self, outputs: PixelLogits, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """`cross_entropy`, with an auxiliary head half of its own as `aux`, and `dice` where a share of it is wanted.

        Of the targets, `labels` (int64 N H W) are class indices, `weight` (N H W) what a pixel counts: the weight of
        its class, or 0 where it is ignored, whose label is any class. `smoothing` and `dice` (N) are the label
        smoothing and the share of the Dice loss, the same for every image.
        """
        out, *aux = outputs.values() if isinstance(outputs, dict) else (outputs,)
        log_probs = functional.log_softmax(out.float(), dim=1)
        terms = {"cross_entropy": _pixel_cross_entropy(log_probs, targets)}
        for logits in aux:
            terms["aux"] = AUX_SHARE * _pixel_cross_entropy(functional.log_softmax(logits.float(), dim=1), targets)
        share = targets["dice"][0]
        if share > 0:
            terms["dice"] = share * _dice_loss(log_probs.exp(), targets["labels"], targets["weight"] > 0)
        return terms

    def decode(self, outputs: PixelLogits) -> dict[str, Tensor]:
        """`labels`, uint8 N H W: the class of the greatest logit, of equal ones the first; `scores` N H W: its prob."""
        logits = (outputs["out"] if isinstance(outputs, dict) else outputs).float()
        greatest, labels = logits.max(dim=1, keepdim=True)
        scores = 1 / (logits - greatest).exp().sum(dim=1)
        return {"labels": labels.squeeze(1).to(torch.uint8), "scores": scores}


class AbstractDetector(AbstractModel):
    """A model whose outputs are raw maps, from which `decode` makes candidate boxes in network pixels."""

    task: ClassVar[str] = "detect"
    rule: ClassVar[Rule] = "letterbox"

    @abstractmethod
    def forward(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """Raw maps by name for normalised images."""

    @abstractmethod
    def loss(self, outputs: dict[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named loss terms.

        Of the targets, `xyxy` (float32 N M 4) are boxes in network pixels, `labels` (int64 N M) class indices, -1 where
        an image has fewer than M boxes, and `ignored` (bool N M) says of which nothing is learnt. `size` (int64 N 2) is
        the height and width of the network's view. Where there are `weights` (float32 N M), an object counts that much
        instead of 1.
        """

    @abstractmethod
    def decode(self, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """`xyxy` (N candidates 4) in network pixels and `scores` (N candidates classes), 0 to 1, before suppression."""

    @abstractmethod
    def evidence(self, outputs: dict[str, Tensor]) -> Float[Tensor, "n candidates classes"]:
        """The numbers of the last layer that the scores of `decode` rise with, in the type the network computes in."""


def at_least_one(targets: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Targets with a row that says that there is no object, where no image of the batch has one."""
    if targets["labels"].shape[1]:
        return targets
    row = {"xyxy": (0, 0, 0, 1), "labels": (0, 1), "ignored": (0, 1), "weights": (0, 1)}
    fill = {"xyxy": 0.0, "labels": -1, "ignored": False, "weights": 1.0}
    padded = {name: functional.pad(targets[name], row[name], value=fill[name]) for name in row.keys() & targets.keys()}
    return {**targets, **padded}


def weights_of(targets: Mapping[str, Tensor], objects: Int[Tensor, "n places"]) -> Float[Tensor, "n places"]:
    """What the objects of these indices count; 1 where the index is -1, or nothing was said."""
    if "weights" not in targets:
        return torch.ones_like(objects, dtype=torch.float32)
    return torch.where(objects < 0, 1.0, targets["weights"].gather(1, objects.clamp(min=0)))


def _pixel_cross_entropy(log_probs: Float[Tensor, "n classes h w"], targets: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    """`-Σ w Σ_c t_c·log p_c / Σ w` over the pixels of the batch, 0 where none counts.

    `t = (1 - s)·onehot + s / classes` is never formed: the inner sum is `(1 - s)·log p_label + s·mean_c log p_c`.
    """
    smoothing, weight = targets["smoothing"][:, None, None], targets["weight"]
    own = log_probs.gather(1, targets["labels"][:, None]).squeeze(1)
    entropies = -((1 - smoothing) * own + smoothing * log_probs.mean(dim=1))
    total = weight.sum()
    return (weight * entropies).sum() / torch.where(total > 0, total, 1)


def _dice_loss(
    probs: Float[Tensor, "n classes h w"], labels: Int[Tensor, "n h w"], counted: Bool[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    """`1 - mean_c 2·Σ p_c·t_c / (Σ p_c + Σ t_c)`, sums over the counted pixels, c the classes that occur among them.

    Milletari, Navab & Ahmadi 2016 (arXiv 1606.04797), section 3, with plain instead of squared sums in the divisor,
    and t the one-hot labels. 0 where no pixel counts.
    """
    classes = torch.arange(probs.shape[1], device=probs.device)
    onehot = (labels[:, None] == classes[:, None, None]) & counted[:, None]
    probs = probs * counted[:, None]
    pixels = onehot.sum((0, 2, 3))
    occurs = pixels > 0
    coefficients = 2 * (probs * onehot).sum((0, 2, 3)) / (probs.sum((0, 2, 3)) + pixels.clamp(min=1))
    return ((1 - coefficients) * occurs).sum() / occurs.sum().clamp(min=1)


def build_model(name: str, classes: int, *, in_channels: int = 3, **arguments: Any) -> AbstractModel:
    """A freshly initialised model of the catalogue, or of a user's file (`mynet.py:MyNet`).

    A constructor takes `(classes, *, in_channels, ...)`; an argument it does not know is an error. To read
    what a model declares (`task`, `size`, `head`) without filling its weights, build it under
    `torch.device("meta")`.
    """
    if classes < 1 or in_channels < 1:
        raise UsageError(f"Model {name!r} needs at least one class and one channel, not {classes} and {in_channels}.")
    constructor = find("MODELS", name)
    _check_arguments(name, constructor, {"in_channels": in_channels, **arguments})
    model = constructor(classes, in_channels=in_channels, **arguments)
    if not isinstance(model, AbstractModel):
        raise UsageError(f"{name!r} builds a {type(model).__name__}, which is not an AbstractModel.")
    if isinstance(model, AbstractSegmenter) and classes > MOST_CLASSES:
        raise UsageError(
            f"Model {name!r} for {classes} classes: masks hold at most {MOST_CLASSES}. Merge some of them."
        )
    model.architecture = {"name": name, "classes": classes, "in_channels": in_channels, **arguments}
    return model


def _check_arguments(name: str, constructor: Any, arguments: dict[str, Any]) -> None:
    """Compare with the signature first, so that a TypeError of the constructor itself keeps its traceback."""
    if not callable(constructor):
        raise UsageError(
            f"{name!r} is a {type(constructor).__name__}; a model is a class or a function that builds one."
        )
    signature = inspect.signature(constructor).replace(return_annotation=inspect.Signature.empty)
    try:
        signature.bind(0, **arguments)
    except TypeError as error:
        raise UsageError(f"Model {name!r}: {error}. It takes {signature}.") from error
