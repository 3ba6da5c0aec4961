"""A model file's network in torch, as a predictor."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.catalog import find
from pellucid.checkpoint import Manifest, load_model
from pellucid.machine import best_device, keep_memory
from pellucid.models.base import AbstractModel
from pellucid.predictions.base import AbstractPostprocess
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.preprocess import Preprocess
from pellucid.tasks.base import AbstractTask, arrays
from pellucid.tiling import decoded

__all__ = ["Predictor", "load_predictor"]


@dataclass(frozen=True, slots=True)
class Predictor(AbstractPredictor):
    """A network in torch with its task and manifest. Call it with photos: uint8 arrays H W C."""

    model: AbstractModel
    task: AbstractTask
    manifest: Manifest

    @property
    def preprocess(self) -> Preprocess:
        """That of the model file."""
        return self.manifest.preprocess

    @property
    def postprocess(self) -> AbstractPostprocess:
        """The task's."""
        return self.task.postprocess

    def decoded(self, pixels: UInt8[ndarray, "n h w c"]) -> dict[str, ndarray]:
        """Decoded outputs for network pixels."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return arrays(decoded(self.model, self.task, self.preprocess, images))


def load_predictor(path: str | Path, device: str | None = None) -> Predictor:
    """The predictor of a `model.safetensors`; damage, of any byte, is an error."""
    keep_memory()
    model, manifest = load_model(path)
    place = best_device(device)
    model.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    task: AbstractTask = find("TASKS", manifest.task)(manifest.classes, learnt=manifest.learnt)
    return Predictor(model, task.suited(model), manifest)
