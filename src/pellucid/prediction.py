"""Predictions for photos: `load` a model file, give it images, get back what it says of each in the photo's pixels."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from pellucid.catalog import find
from pellucid.checkpoint import Manifest, load_model
from pellucid.errors import ImageError, UsageError
from pellucid.image import SUFFIXES, read_header, read_image
from pellucid.machine import best_device, keep_memory
from pellucid.models.base import AbstractModel
from pellucid.tasks.base import AbstractPrediction, AbstractTask
from pellucid.tiling import decoded
from pellucid.types import Frame

__all__ = ["Predicted", "Predictor", "list_images", "load", "predict"]

PIXELS_A_BATCH = 32_000_000
"""Of photos that are held at once."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """A network with all that turns photos into predictions. Call it with photos: uint8 arrays H W C."""

    model: AbstractModel
    task: AbstractTask
    manifest: Manifest

    def __call__(self, photos: Sequence[UInt8[np.ndarray, "_ _ _"]]) -> list[AbstractPrediction]:
        """One prediction a photo, in the photo's own pixels; neighbours of one size in the network go through it
        together."""
        frame = self.manifest.preprocess.frame
        groups = groupby(photos, lambda photo: frame(*photo.shape[:2]).network)
        return [prediction for _, group in groups for prediction in self._together(list(group))]

    def _together(self, photos: Sequence[UInt8[np.ndarray, "_ _ _"]]) -> list[AbstractPrediction]:
        preprocess = self.manifest.preprocess
        pixels = np.stack([preprocess.pixels(photo) for photo in photos])
        found = self.decoded(torch.from_numpy(pixels).permute(0, 3, 1, 2))
        frames = [preprocess.frame(*photo.shape[:2]) for photo in photos]
        return [self._one(found, place, frame) for place, frame in enumerate(frames)]

    def _one(self, found: dict[str, Tensor], place: int, frame: Frame) -> AbstractPrediction:
        return self.task.prediction({name: value[place] for name, value in found.items()}, frame)

    def decoded(self, pixels: UInt8[Tensor, "n c h w"]) -> dict[str, Tensor]:
        """Decoded outputs for network pixels."""
        return decoded(self.model, self.task, self.manifest.preprocess, pixels)


def load(path: str | Path, *, device: str | None = None) -> Predictor:
    """The predictor of a model file; damage, of any byte, is an error."""
    keep_memory()
    model, manifest = load_model(path)
    place = best_device(device)
    model.to(device=place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Predictor(model, find("TASKS", manifest.task)(manifest.classes, learnt=manifest.learnt), manifest)


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
    with ThreadPoolExecutor(threads) as pool:
        for paths in _batches(images, batch):
            yield from _predict_batch(predictor, paths, list(pool.map(_read, paths)))


def _batches(images: Iterable[str | Path], most: int) -> Iterator[list[str]]:
    """Paths in batches of at most so many images and of as few pixels as fit the memory, by what their headers say."""
    paths: list[str] = []
    pixels = 0
    for path in map(str, images):
        size = _pixels(path)
        if paths and (len(paths) == most or pixels + size > PIXELS_A_BATCH):
            yield paths
            paths, pixels = [], 0
        paths.append(path)
        pixels += size
    if paths:
        yield paths


def _pixels(path: str) -> int:
    try:
        height, width, _ = read_header(path)
    except ImageError:  # said when it is read
        return 0
    return height * width


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
