"""Predictions for photos: `load` a model file, give it images, get back what it says of each in the photo's pixels."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pellucid.catalog import find
from pellucid.checkpoint import Manifest, load_model
from pellucid.errors import ImageError, UsageError
from pellucid.image import SUFFIXES, read_image
from pellucid.machine import best_device, keep_memory
from pellucid.models.base import AbstractModel
from pellucid.tasks.base import AbstractPrediction, AbstractTask
from pellucid.types import Frame

__all__ = ["Predicted", "Predictor", "list_images", "load", "predict"]


@dataclass(frozen=True, slots=True)
class Predictor:
    """A network with all that turns photos into predictions. Call it with photos: uint8 arrays H W C."""

    model: AbstractModel
    task: AbstractTask
    manifest: Manifest
    device: torch.device

    def __call__(self, photos: Sequence[UInt8[np.ndarray, "_ _ _"]]) -> list[AbstractPrediction]:
        """One prediction a photo, in the photo's own pixels."""
        if not photos:
            return []
        preprocess = self.manifest.preprocess
        pixels = np.stack([preprocess.pixels(photo) for photo in photos])
        decoded = self.decoded(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        frames = [preprocess.frame(*photo.shape[:2]) for photo in photos]
        return [self._one(decoded, place, frame) for place, frame in enumerate(frames)]

    def _one(self, decoded: dict[str, Tensor], place: int, frame: Frame) -> AbstractPrediction:
        return self.task.prediction({name: value[place] for name, value in decoded.items()}, frame)

    @torch.inference_mode()
    def decoded(self, pixels: UInt8[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """Decoded outputs for network pixels."""
        images = self.manifest.preprocess.normalise(pixels.to(self.device))
        images = images.contiguous(memory_format=torch.channels_last)
        return self.model.decode(self.model(images))


def load(path: str | Path, *, device: str | None = None) -> Predictor:
    """The predictor of a model file; damage, of any byte, is an error."""
    keep_memory()
    model, manifest = load_model(path)
    place = best_device(device)
    model.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Predictor(model, find("TASKS", manifest.task)(manifest.classes), manifest, place)


@dataclass(frozen=True, slots=True)
class Predicted:
    """One image's prediction, or why there is none; `pixels` is the photo."""

    image: str
    prediction: AbstractPrediction | None = None
    error: str | None = None
    pixels: UInt8[np.ndarray, "_ _ _"] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values: image, prediction, error."""
        prediction = None if self.prediction is None else self.prediction.to_json()
        return {"image": self.image, "prediction": prediction, "error": self.error}


def predict(
    model: str | Path | Predictor, images: Iterable[str | Path], *, batch: int = 16, threads: int = 2
) -> Iterator[Predicted]:
    """Predictions for image files, in order; a file that cannot be read gives one with an error."""
    predictor = model if isinstance(model, Predictor) else load(model)
    waiting = iter(images)
    with ThreadPoolExecutor(threads) as pool:
        while paths := [str(path) for path in islice(waiting, batch)]:
            yield from _predict_batch(predictor, paths, list(pool.map(_read, paths)))


def _read(path: str) -> UInt8[np.ndarray, "_ _ _"] | ImageError:
    try:
        return read_image(Path(path)).pixels
    except ImageError as error:
        return error


def _predict_batch(
    predictor: Predictor, paths: list[str], photos: list[UInt8[np.ndarray, "_ _ _"] | ImageError]
) -> Iterator[Predicted]:
    predictions = iter(predictor([photo for photo in photos if not isinstance(photo, ImageError)]))
    for path, photo in zip(paths, photos, strict=True):
        if isinstance(photo, ImageError):
            yield Predicted(path, error=str(photo))
        else:
            yield Predicted(path, next(predictions), pixels=photo)


def list_images(given: Iterable[str], listed: Iterable[str]) -> list[str]:
    """The image files meant by files, folders and globs; `-` reads one path a line from `listed`.

    Of a folder, files with the suffix of an image, at any depth, by name; a file that was named is kept whatever it is.
    """
    found: list[str] = []
    for word in given:
        if word == "-":
            found += [line.rstrip("\r\n") for line in listed if line.strip()]
        elif Path(word).is_dir():
            inside = sorted(path for path in Path(word).rglob("*") if path.suffix.lower() in SUFFIXES)
            found += [str(path) for path in inside if path.is_file() and not path.name.startswith(".")]
        elif not Path(word).exists() and glob.has_magic(word):
            found += sorted(glob.glob(word, recursive=True))  # noqa: PTH207  (Path.glob takes no absolute pattern)
        else:
            found.append(word)
    if not found:
        raise UsageError(f"No image in {' '.join(given)}. Give files, folders, globs, or - and a list.")
    return found
