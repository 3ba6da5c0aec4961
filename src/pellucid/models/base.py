"""What every model of every task is: raw outputs, a loss of named terms, the decoding that is exported."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from pellucid.catalog import find
from pellucid.errors import UsageError

__all__ = ["AbstractClassifier", "AbstractModel", "Backbone", "Feature", "build_model"]


@dataclass(frozen=True, slots=True)
class Feature:
    """One level of a backbone that heads of other tasks may build on: input pixels per cell is `stride`."""

    name: str
    channels: int
    stride: int


@runtime_checkable
class Backbone(Protocol):
    """A network whose inner activations other heads may build on, from the finest level to the coarsest."""

    features: tuple[Feature, ...]

    def stages(self, x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """The activation of every declared feature by its name: N channels H/stride W/stride.

        How a side that the stride does not divide is rounded is the model's own.
        """


class AbstractModel(nn.Module, ABC):
    """A piecewise linear network: ReLU or leaky ReLU only, no in-place operation.

    `forward` gives raw outputs; it reads neither `self.training` nor a target. `task` is the name of the task
    it serves, `size` the side of the square image in pixels it is meant for, `fixed_size` whether it takes no
    other, `head` the prefix of the parameters whose shape depends on the classes, `aliases` what parts of our
    parameter names are called in published files (`{"linear": "fc"}` reads `linear.bias` as `fc.bias`).

    `architecture` is set by `build_model`: the name and arguments that build the same network again.
    """

    task: ClassVar[str]
    size: ClassVar[int] = 224
    fixed_size: ClassVar[bool] = False
    head: ClassVar[str]
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})
    features: tuple[Feature, ...] = ()
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
