"""`pellucid predict`: what a model says of images and videos."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.predictions.base import AbstractPostprocess
    from pellucid.results import AbstractResults

__all__ = ["predict"]

MANY = 16
"""Images from which on the whole counts more than the first answer."""


def predict(
    model: str,
    images: tuple[str, ...],
    *,
    json: bool = False,
    csv: bool = False,
    draw: str | None = None,
    save: str | None = None,
    out: str | None = None,
    to: Literal["coco", "yolo", "voc"] | None = None,
    threshold: float | None = None,
    agnostic: bool = False,
    tiles: bool = False,
    every: int = 1,
    engine: str | None = None,
) -> int:
    """What a model says of images.

    Args:
        model: A model.safetensors, or what `pellucid export` has written.
        images: Files, folders, globs, videos; - reads one path a line from standard input.
        json: Print one JSON object a line: image, prediction, error.
        csv: Print a CSV table.
        draw: Write every picture, and every video, its predictions drawn on it, into this folder.
        save: Write masks into this folder: class indices, and the same in colours.
        out: Write the images with the boxes found in them as a dataset into this new folder, in the format --to.
        to: How boxes are written.
        threshold: Least score of a box; else the one that was best on the validation split.
        agnostic: Let boxes of different classes suppress each other.
        tiles: Search large photos whole and in overlapping parts, for what is small in them.
        every: Of a video, look at one of so many frames.
        engine: What runs an exported file: onnxruntime, openvino, openvino-bf16, or fastest, which is measured once.
    """
    from pellucid.cores import network_lanes
    from pellucid.prediction import list_images, load
    from pellucid.prediction import predict as predict_images
    from pellucid.terminal import PredictionWriter, note, tracked
    from pellucid.video import is_video

    if json and csv:
        raise UsageError("--json and --csv are two forms of the same answer. Give one of them.")
    if (out is None) != (to is None):
        raise UsageError("--out DIR and --to coco, yolo or voc belong together. Give both.")
    paths = list_images(images, sys.stdin)
    videos = any(map(is_video, paths))
    if every != 1 and not videos:
        raise UsageError(f"--every {every} has no effect without a video. Leave it out.")
    lanes = network_lanes() if videos or len(paths) >= MANY else 1
    predictor = load(model, engine=engine, lanes=lanes)
    form = "json" if json else "csv" if csv else "text"
    writer = PredictionWriter(form, predictor.postprocess.columns, sys.stdout, videos=videos)
    said = predict_images(predictor, paths, threshold=threshold, agnostic=agnostic, tiles=tiles, every=every)
    failed = 0
    with ExitStack() as stack:
        kept = [stack.enter_context(results) for results in _results(predictor.postprocess, draw, save, out, to)]
        for found in tracked(said, None if videos else len(paths), "images"):
            writer.write(found)
            failed += found.error is not None
            for results in kept:
                results.take(found)
    if failed:
        note(f"{failed} of {len(paths)} images could not be read.")
    return 1 if failed else 0


def _results(
    postprocess: "AbstractPostprocess",
    draw: str | None,
    save: str | None,
    out: str | None,
    to: Literal["coco", "yolo", "voc"] | None,
) -> Iterator["AbstractResults"]:
    """The folders that are asked for."""
    if draw is save is out is None:
        return
    from pellucid.results import BoxDataset, Drawings, Masks

    if draw is not None:
        yield Drawings(Path(draw), postprocess)
    if save is not None:
        yield Masks(Path(save), postprocess)
    if out is not None and to is not None:
        yield BoxDataset(Path(out), to, postprocess)
