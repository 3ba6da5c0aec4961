"""Predictions for files: `load` a model file, give it images and videos, get back what it says of each."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.packed import PackedPhoto, PackedPhotos
from pellucid.data.remote import INDEX, is_url
from pellucid.errors import ImageError, UsageError
from pellucid.image import SUFFIXES, read_header, read_image
from pellucid.predictions.base import AbstractPrediction
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.predictions.views import views
from pellucid.runtime.forms import is_exported
from pellucid.side_by_side import side_by_side
from pellucid.video import is_video, read_frames

if TYPE_CHECKING:
    from pellucid.network import Predictor
    from pellucid.runtime.predictor import ExportedPredictor

__all__ = ["Predicted", "find_photos", "list_images", "load", "predict"]

READERS = 2
"""Threads that read files while a network runs."""
HELD_PIXELS = 100_000_000
"""Of all photos that are held at once."""


def load(
    path: str | Path, *, device: str | None = None, engine: str | None = None, lanes: int = 1
) -> "Predictor | ExportedPredictor":
    """The predictor of a model file or of an exported one; damage, of any byte, is an error.

    `device` is where torch runs a model file; `engine` is what runs an exported file: `onnxruntime`, `openvino`,
    `openvino-bf16`, or `fastest`, which is measured once. An exported file may be called by `lanes` threads at once:
    with 1 an answer comes soonest, with as many as there are cores a folder is done soonest.
    """
    if is_exported(path):
        if device not in (None, "cpu"):
            raise UsageError(f"{path} runs on the processor, not on {device!r}. Take the model file for that.")
        from pellucid.runtime.loading import load_exported

        return load_exported(path, engine, lanes)
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
    images: Iterable[str | Path | PackedPhoto],
    *,
    threshold: float | None = None,
    agnostic: bool = False,
    tiles: bool = False,
    every: int = 1,
) -> Iterator[Predicted]:
    """Predictions for image files, photos in shards and the frames of videos, in order; what cannot be read gives one
    with an error.

    To detect, `threshold` is the least score of a box, where that of the model file is not wanted; `agnostic` lets
    boxes of different classes suppress each other; with `tiles` large photos are seen whole and in overlapping parts.
    Of videos, of `every` so many frames the first is looked at.
    """
    if every < 1:
        raise UsageError(f"Every {every} frames is none: give 1 or more.")
    predictor = model if isinstance(model, AbstractPredictor) else load(model)
    postprocess = predictor.postprocess.adjusted(threshold=threshold, agnostic=agnostic)

    def said(found: list[Predicted]) -> list[Predicted]:
        photos = [one.pixels for one in found if one.pixels is not None]
        if tiles:
            predictions = iter([postprocess.merged(views(predictor, photo)) for photo in photos])
        else:
            predictions = iter([postprocess.prediction(*outputs) for outputs in predictor.outputs(photos)])
        return [one if one.error else replace(one, prediction=next(predictions)) for one in found]

    # A network that keeps all cores busy is called from here alone, while others read; else each does both.
    workers, apart = max(READERS, predictor.lanes), predictor.lanes > 1
    batches = _batches(_opened(images, every), predictor.together, HELD_PIXELS // (workers + 1))
    with ThreadPoolExecutor(workers) as pool:
        for found in side_by_side(pool, (lambda batch: said(_read(batch))) if apart else _read, batches, workers):
            yield from found if apart else said(found)


Waiting = str | PackedPhoto | Predicted
"""The path of an image, one in a shard, or a frame of a video."""


def _opened(images: Iterable[str | Path | PackedPhoto], every: int) -> Iterator[tuple[int, Waiting]]:
    """(pixels, image) of all images and of the frames of videos."""
    for image in images:
        if isinstance(image, PackedPhoto):
            yield image.size[0] * image.size[1], image
            continue
        path = str(image)
        if is_video(path):
            yield from ((0 if one.pixels is None else one.pixels.size // 3, one) for one in _frames(path, every))
        else:
            yield _pixels(path), path


def _batches(photos: Iterable[tuple[int, Waiting]], most: int, most_pixels: int) -> Iterator[list[Waiting]]:
    """At most so many photos, and so few that they have at most so many pixels."""
    found: list[Waiting] = []
    total = 0
    for pixels, photo in photos:
        if found and (len(found) == most or total + pixels > most_pixels):
            yield found
            found, total = [], 0
        found.append(photo)
        total += pixels
    if found:
        yield found


def _read(batch: list[Waiting]) -> list[Predicted]:
    return [one if isinstance(one, Predicted) else _photo(one) for one in batch]


def _pixels(path: str) -> int:
    try:
        height, width, _ = read_header(path)
    except ImageError:  # said when it is read
        return 0
    return height * width


def _photo(photo: str | PackedPhoto) -> Predicted:
    try:
        pixels = photo.read() if isinstance(photo, PackedPhoto) else read_image(Path(photo)).pixels
    except ImageError as error:
        return Predicted(str(photo), error=str(error))
    return Predicted(str(photo), pixels=pixels)


def _frames(path: str, every: int) -> Iterator[Predicted]:
    try:
        for frame in read_frames(path, every):
            yield Predicted(path, pixels=frame.pixels, frame=frame.number, seconds=frame.seconds)
    except ImageError as error:
        yield Predicted(path, error=str(error))


def find_photos(given: Sequence[str], listed: Iterable[str]) -> list[str] | PackedPhotos:
    """The photos of a set in shards, here or behind a URL; else files, as `list_images` finds them."""
    packed = [word for word in given if is_url(word) or (Path(word) / INDEX).is_file()]
    if not packed:
        return list_images(given, listed)
    if len(given) > 1:
        raise UsageError(f"{packed[0]} is a set in shards. Give it alone: it is predicted by itself.")
    from pellucid.data.dataset import open_dataset

    return PackedPhotos(open_dataset(packed[0], "shards", val=0, test=0))


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
