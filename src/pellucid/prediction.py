"""Predictions for files: `load` a model file, give it images and videos, get back what it says of each."""

import glob
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import ImageError, UsageError
from pellucid.image import SUFFIXES, read_header, read_image
from pellucid.predictions.base import AbstractPrediction
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.predictions.views import views
from pellucid.runtime.forms import is_exported
from pellucid.video import is_video, read_frames

if TYPE_CHECKING:
    from pellucid.network import Predictor
    from pellucid.runtime.predictor import ExportedPredictor

__all__ = ["Predicted", "list_images", "load", "predict"]

PIXELS_A_BATCH = 32_000_000
"""Of photos that are held at once."""


def load(path: str | Path, *, device: str | None = None, engine: str | None = None) -> "Predictor | ExportedPredictor":
    """The predictor of a model file or of an exported one; damage, of any byte, is an error.

    `device` is where torch runs a model file; `engine` is what runs an exported file: `onnxruntime`, `openvino`,
    `openvino-bf16`, or `fastest`, which is measured once.
    """
    if is_exported(path):
        if device not in (None, "cpu"):
            raise UsageError(f"{path} runs on the processor, not on {device!r}. Take the model file for that.")
        from pellucid.runtime.loading import load_exported

        return load_exported(path, engine)
    if engine is not None:
        raise UsageError(f"{path} is run by torch: an engine, as {engine!r}, is for exported files.")
    from pellucid.network import load_predictor

    return load_predictor(path, device)


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What is said of one image or of one frame of a video, or why there is nothing; `pixels` is the photo.

    `frame` counts the frames of a video from 0, `seconds` is when it is shown.
    """

    image: str
    prediction: AbstractPrediction | None = None
    error: str | None = None
    pixels: UInt8[ndarray, "_ _ _"] | None = None
    frame: int | None = None
    seconds: float | None = None

    @property
    def place(self) -> dict[str, Any]:
        """Image, and of a video frame and seconds."""
        moment = {} if self.frame is None else {"frame": self.frame, "seconds": self.seconds}
        return {"image": self.image, **moment}

    def to_json(self) -> dict[str, Any]:
        """Plain values: where, prediction, error."""
        prediction = None if self.prediction is None else self.prediction.to_json()
        return {**self.place, "prediction": prediction, "error": self.error}


def predict(
    model: str | Path | AbstractPredictor,
    images: Iterable[str | Path],
    *,
    threshold: float | None = None,
    agnostic: bool = False,
    tiles: bool = False,
    every: int = 1,
    batch: int = 16,
    threads: int = 2,
) -> Iterator[Predicted]:
    """Predictions for image files and for the frames of videos, in order; what cannot be read gives one with an error.

    To detect, `threshold` is the least score of a box, where that of the model file is not wanted; `agnostic` lets
    boxes of different classes suppress each other; with `tiles` large photos are seen whole and in overlapping parts.
    Of videos, of `every` so many frames the first is looked at.
    """
    if every < 1:
        raise UsageError(f"Every {every} frames is none: give 1 or more.")
    predictor = model if isinstance(model, AbstractPredictor) else load(model)
    postprocess = predictor.postprocess.adjusted(threshold=threshold, agnostic=agnostic)
    with ThreadPoolExecutor(threads) as pool:
        for found in _ahead(_batches(_opened(map(str, images), every, pool), batch)):
            photos = [one.pixels for one in map(_read, found) if one.pixels is not None]
            if tiles:
                said = (postprocess.merged(views(predictor, photo)) for photo in photos)
            else:
                said = (postprocess.prediction(*outputs) for outputs in predictor.outputs(photos))
            for one in map(_read, found):
                yield one if one.error else replace(one, prediction=next(said))


Waiting = Predicted | Future[Predicted]


def _opened(paths: Iterable[str], every: int, pool: Executor) -> Iterator[tuple[int, Waiting]]:
    """(pixels, photo) of every image, being read, and of the frames of videos."""
    for path in paths:
        if is_video(path):
            yield from ((0 if one.pixels is None else one.pixels.size // 3, one) for one in _frames(path, every))
        else:
            yield _pixels(path), pool.submit(_photo, path)


def _batches(photos: Iterable[tuple[int, Waiting]], most: int) -> Iterator[list[Waiting]]:
    """At most so many photos, and so few that their pixels fit the memory."""
    found: list[Waiting] = []
    total = 0
    for pixels, photo in photos:
        if found and (len(found) == most or total + pixels > PIXELS_A_BATCH):
            yield found
            found, total = [], 0
        found.append(photo)
        total += pixels
    if found:
        yield found


def _ahead(batches: Iterator[list[Waiting]]) -> Iterator[list[Waiting]]:
    """Each batch once the next one is being read, so that reading and the network take turns with nothing."""
    batch = next(batches, None)
    while batch is not None:
        following = next(batches, None)
        yield batch
        batch = following


def _read(photo: Waiting) -> Predicted:
    return photo if isinstance(photo, Predicted) else photo.result()


def _pixels(path: str) -> int:
    try:
        height, width, _ = read_header(path)
    except ImageError:  # said when it is read
        return 0
    return height * width


def _photo(path: str) -> Predicted:
    try:
        return Predicted(path, pixels=read_image(Path(path)).pixels)
    except ImageError as error:
        return Predicted(path, error=str(error))


def _frames(path: str, every: int) -> Iterator[Predicted]:
    try:
        for frame in read_frames(path, every):
            yield Predicted(path, pixels=frame.pixels, frame=frame.number, seconds=frame.seconds)
    except ImageError as error:
        yield Predicted(path, error=str(error))


def list_images(given: Iterable[str], listed: Iterable[str]) -> list[str]:
    """The image files meant by files, folders and globs; `-` reads one path a line from `listed`.

    Of a folder, files with the suffix of an image, at any depth, by name; a file that was named is kept whatever it is,
    and videos are those that were named.
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
