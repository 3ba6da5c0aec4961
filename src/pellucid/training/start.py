"""Where the weights of a run begin: drawn from the seed, or taken from a model file or a published one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pellucid.catalog import suggestion
from pellucid.checkpoint import load_model
from pellucid.data.fetch import fetch
from pellucid.errors import UsageError
from pellucid.importing import published_preprocess
from pellucid.models.base import AbstractModel, build_model
from pellucid.models.weights import PUBLISHED, fit_weights, inherit_weights, read_weights
from pellucid.preprocess import Preprocess

__all__ = ["Origin", "begin_model", "find_origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Weights to begin with: the network they belong to, and the input they are used to."""

    name: str
    architecture: Mapping[str, Any]
    preprocess: Preprocess
    tensors: Mapping[str, Tensor]


def find_origin(weights: str) -> Origin:
    """The weights of a model file, or of a published name, which is fetched."""
    if Path(weights).is_file():
        model, manifest = load_model(weights)
        return Origin(weights, model.architecture, manifest.preprocess, model.state_dict())
    if weights not in PUBLISHED:
        raise UsageError(f"--weights {weights}: no such file or published name.{suggestion(weights, PUBLISHED)}")
    published = PUBLISHED[weights]
    path = fetch(published.url, published.sha256, published.filename)
    architecture = {"name": published.model, "in_channels": 3}
    return Origin(weights, architecture, published_preprocess(weights), read_weights(path))


def begin_model(architecture: Mapping[str, Any], classes: int, seed: int, origin: Origin | None) -> AbstractModel:
    """A network with weights drawn from the seed, then those of the origin put in.

    Its head may have other classes; of an ancestor's weights it takes those of the parts that it inherits.
    """
    torch.manual_seed(seed)
    arguments = {name: value for name, value in architecture.items() if name not in ("name", "classes")}
    model = build_model(architecture["name"], classes, **arguments)
    if origin is not None and origin.architecture["name"] == architecture["name"]:
        fit_weights(model, dict(origin.tensors), new_head=True)
    elif origin is not None:
        inherit_weights(model, origin.tensors)
    return model
