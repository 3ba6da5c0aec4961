"""Networks of the catalogue as they might be after training, small enough to be exported in a test."""

import functools
from pathlib import Path

import torch
from torch import nn

from pellucid.catalog import find
from pellucid.checkpoint import Manifest, save_model
from pellucid.models.base import AbstractModel, build_model
from pellucid.network import Predictor
from pellucid.preprocess import Preprocess
from tests.models.kinds import SMALL

CLASSES = ("background", "bar", "disc")


def stirred(model: AbstractModel, seed: int = 1) -> AbstractModel:
    """No normalisation is the identity, no score is the same everywhere."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in model.parameters():
        if not tensor.any():
            tensor.data.normal_(0, 0.1, generator=generator)
    for name, tensor in model.named_parameters():
        if "logits.weight" in name:
            tensor.data.normal_(0, 0.3, generator=generator)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.3, 0.9, generator=generator)
            module.running_mean.uniform_(-0.2, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 2.0, generator=generator)
    return model.eval()


def preprocess_of(model: AbstractModel, rule: str | None = None) -> Preprocess:
    side = model.size if model.fixed_size else 64
    more = {"crop": {"crop": 0.875}, "scale": {"scale": 0.7}}.get(rule or model.rule, {})
    return Preprocess((side, side), rule or model.rule, 3, (0.45, 0.4, 0.5), (0.25, 0.2, 0.3), **more)


@functools.lru_cache(maxsize=4)  # some are large
def predictor(name: str, rule: str | None = None) -> Predictor:
    torch.manual_seed(0)
    model = stirred(build_model(name, len(CLASSES), **SMALL.get(name, {})))
    task = find("TASKS", model.task)(CLASSES, learnt={"threshold": 0.02} if model.task == "detect" else {})
    manifest = Manifest(model.task, CLASSES, preprocess_of(model, rule), learnt=dict(task.learnt))
    return Predictor(model, task.suited(model), manifest)


def model_file(folder: Path, name: str) -> Path:
    one = predictor(name)
    path = folder / f"{name}.safetensors"
    save_model(path, one.model, one.manifest)
    return path
