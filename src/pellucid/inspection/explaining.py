"""A model file and a picture file in, the account of one number or a heat map of it out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.image import read_image
from pellucid.inspection.accounting import Account
from pellucid.inspection.aiming import aimed
from pellucid.inspection.candidates import Candidates, candidates_of
from pellucid.inspection.heatmaps import HeatMap, Method, heat_map
from pellucid.inspection.layering import Layers, account_layers
from pellucid.inspection.places import evaluating
from pellucid.inspection.streams import Streams, streams_of
from pellucid.inspection.targets import Pixel, Target
from pellucid.inspection.trials import Trials, try_map
from pellucid.inspection.truth import targets_of
from pellucid.models.base import AbstractDetector
from pellucid.network import Predictor, load_predictor
from pellucid.tiling import WHOLE

__all__ = ["Explanation", "MapExplanation", "Way", "explain_file", "map_file"]

Way = Literal["account"] | Method


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A photo, and what the network sees of it: what its pixels are pixels of. `model` is the network's name."""

    image: str
    model: str
    photo: UInt8[ndarray, "h w c"]
    pixels: UInt8[ndarray, "h2 w2 c2"]


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The account of a number, whole and layer by layer; of a detector all candidates, of an FCN the streams."""

    view: View
    layers: Layers
    candidates: Candidates | None
    streams: Streams | None

    @property
    def account(self) -> Account:
        """That of the number."""
        return self.layers.account

    @property
    def pixels(self) -> UInt8[ndarray, "h w c"]:
        """What the network sees of the photo."""
        return self.view.pixels

    def text(self) -> str:
        """The sum, then the view of the task, then the layers."""
        parts = [self.account.summary()]
        parts += [one.text() for one in (self.streams, self.candidates) if one is not None]
        return "\n\n".join([*parts, self.layers.text()])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        found = {"image": self.view.image, **self.account.to_json()}
        found["layers"] = [layer.to_json() for layer in self.layers.layers]
        found |= {"streams": self.streams.to_json()["streams"]} if self.streams else {}
        return found | ({"detection": self.candidates.to_json()} if self.candidates else {})


@dataclass(frozen=True, slots=True, eq=False)
class MapExplanation:
    """A heat map of a number, and whether it can be believed."""

    view: View
    heat: HeatMap
    trials: Trials

    def text(self) -> str:
        """The map in a line and its trials below."""
        return f"{self.heat.summary()}\n{self.trials.text()}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"image": self.view.image, **self.heat.to_json(), "trials": self.trials.to_json()}


def explain_file(
    model: str | Path,
    image: str | Path,
    target: str | None = None,
    versus: str | None = None,
    *,
    truth: str | Path | None = None,
) -> Explanation:
    """The account of `target` for a photo, computed on the processor.

    A target is `class:NAME`, `pixel:Y,X:NAME` in the photo's pixels, or `box:K`, the K-th box that `predict` finds,
    counted from 0. Left out, it is the predicted class, that of the pixel in the middle, or the surest box. With
    `versus` it is what the logit is more than that of this class. `truth` is a dataset that says what objects are in
    the photo: with it every candidate box has its assignment and loss.
    """
    predictor = load_predictor(model, "cpu")
    view, aim, x = _seen(predictor, image, (target, versus))
    network, classes = predictor.model, predictor.manifest.classes
    objects = None if truth is None else targets_of(predictor, truth, Path(image), view.photo)
    layers = account_layers(network, x, aim, classes)
    streams = streams_of(network, x, aim, classes) if isinstance(aim, Pixel) else None
    return Explanation(view, layers, _candidates(predictor, view, x, objects), streams)


def map_file(
    model: str | Path,
    image: str | Path,
    target: str | None = None,
    versus: str | None = None,
    *,
    method: Method = "grad-cam",
) -> MapExplanation:
    """A heat map of `target` for a photo, as `explain_file` takes it, and its trials."""
    predictor = load_predictor(model, "cpu")
    view, aim, x = _seen(predictor, image, (target, versus))
    classes = predictor.manifest.classes
    found = heat_map(predictor.model, x, aim, classes, method=method)
    return MapExplanation(view, found, try_map(predictor.model, x, aim, classes, found))


def _seen(
    predictor: Predictor, image: str | Path, given: tuple[str | None, str | None]
) -> tuple[View, Target, Float[Tensor, "1 c h w"]]:
    photo = read_image(image).pixels
    pixels = predictor.preprocess.pixels(photo)
    height, width = pixels.shape[:2]
    if not predictor.preprocess.one_size and height * width > WHOLE:
        raise UsageError(f"{image} is seen at {height}x{width}, in tiles. Cut out a part of at most {WHOLE:,} pixels.")
    decoded = {name: value[0] for name, value in predictor.decoded(pixels[None]).items()}
    aim = aimed(predictor, decoded, predictor.preprocess.frame(*photo.shape[:2]), given)
    x = predictor.preprocess.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    name = str(predictor.model.architecture.get("name", type(predictor.model).__name__))
    return View(str(image), name, photo, pixels), aim, x


def _candidates(
    predictor: Predictor, view: View, x: Float[Tensor, "1 c h w"], objects: Mapping[str, Tensor] | None
) -> Candidates | None:
    if not isinstance(predictor.model, AbstractDetector):
        return None
    with evaluating(predictor.model), torch.no_grad():
        outputs = predictor.model(x)
    return candidates_of(predictor, outputs, predictor.preprocess.frame(*view.photo.shape[:2]), objects)
