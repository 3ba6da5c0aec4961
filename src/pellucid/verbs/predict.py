"""`pellucid predict`: what a model says of images and videos."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.answers import AnswerFile, Photos
    from pellucid.data.packed import PackedPhoto
    from pellucid.prediction import Predicted
    from pellucid.predictions.base import AbstractPostprocess
    from pellucid.ranks import Ranks
    from pellucid.results import AbstractResults

    Say = Callable[[Sequence[str | PackedPhoto]], Iterator[Predicted]]

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
        images: Files, folders, globs, videos, or a set in shards; - reads one path a line from standard input.
        json: Print one JSON object a line: image, prediction, error.
        csv: Print a CSV table.
        draw: Write every picture, and every video, its predictions drawn on it, into this folder.
        save: Write masks into this folder: class indices, and the same in colours.
        out: Write the answer into this file, .jsonl or .csv: in parts, so that a run that was killed goes on, and
            several ranks share the work. Or write the images with the boxes found in them as a dataset into this new
            folder, in the format --to.
        to: How boxes are written.
        threshold: Least score of a box; else the one that was best on the validation split.
        agnostic: Let boxes of different classes suppress each other.
        tiles: Search large photos whole and in overlapping parts, for what is small in them.
        every: Of a video, look at one of so many frames.
        engine: What runs an exported file: onnxruntime, openvino, openvino-bf16, or fastest, which is measured once.
    """
    from pellucid.answers import AnswerFile, key_of
    from pellucid.cores import network_lanes
    from pellucid.prediction import find_photos, load
    from pellucid.prediction import predict as predict_images
    from pellucid.ranks import joined
    from pellucid.terminal import note
    from pellucid.video import is_video

    if json and csv:
        raise UsageError("--json and --csv are two forms of the same answer. Give one of them.")
    if out is None and to is not None:
        raise UsageError("--out DIR and --to coco, yolo or voc belong together. Give both.")
    file = Path(out) if out is not None and to is None else None
    with joined() as ranks:
        _refuse_to_share(ranks, file, images)
        photos = find_photos(images, sys.stdin)
        videos = isinstance(photos, list) and any(map(is_video, photos))
        if every != 1 and not videos:
            raise UsageError(f"--every {every} has no effect without a video. Leave it out.")
        predictor = load(model, engine=engine, lanes=network_lanes() if videos or len(photos) >= MANY else 1)
        say = partial(predict_images, predictor, threshold=threshold, agnostic=agnostic, tiles=tiles, every=every)
        with ExitStack() as stack:
            kept = [stack.enter_context(results) for results in _results(predictor.postprocess, draw, save, out, to)]
            if file is None:
                form = "json" if json else "csv" if csv else "text"
                failed = _print(say, photos, form, predictor.postprocess.columns, kept, videos=videos)
            else:
                if videos or json or csv:
                    raise UsageError(f"--out {file} holds photos, in the form of its name: no videos, --json or --csv.")
                depends = [threshold, agnostic, tiles, engine, draw, save]
                answer = AnswerFile(file, predictor.postprocess.columns, key_of(Path(model), photos, depends))
                failed = _write(say, photos, answer, kept, ranks)
    if failed:
        note(f"{failed} of {len(photos)} images could not be read.")
    # torchrun would start all ranks once more, and nothing would be read that could not be read before.
    return 1 if failed and ranks.count == 1 else 0


def _refuse_to_share(ranks: "Ranks", file: Path | None, images: tuple[str, ...]) -> None:
    """What one process alone can do."""
    if ranks.count > 1 and (file is None or "-" in images):
        raise UsageError(
            f"{ranks.count} ranks write one answer together: give --out FILE.jsonl or FILE.csv, and the photos by name."
        )


def _print(
    say: "Say", photos: "Photos", form: str, columns: Sequence[str], kept: "Sequence[AbstractResults]", *, videos: bool
) -> int:
    """To standard output; how many could not be read."""
    from pellucid.answers import PredictionWriter
    from pellucid.terminal import tracked

    writer = PredictionWriter(form, columns, sys.stdout, videos=videos)
    failed = 0
    for found in tracked(say(photos), None if videos else len(photos), "images"):
        writer.write(found)
        failed += found.error is not None
        for results in kept:
            results.take(found)
    return failed


def _write(
    say: "Say", photos: "Photos", answer: "AnswerFile", kept: "Sequence[AbstractResults]", ranks: "Ranks"
) -> int:
    """Into a file, in parts; the first rank puts them together, and says how many could not be read."""
    from pellucid.terminal import tracked

    filled = answer.fill(photos, ranks, say, kept)
    for _ in tracked(filled, None, "images") if ranks.main else filled:
        pass
    ranks.wait()
    return answer.join(photos) if ranks.main else 0


def _results(
    postprocess: "AbstractPostprocess",
    draw: str | None,
    save: str | None,
    out: str | None,
    to: Literal["coco", "yolo", "voc"] | None,
) -> Iterator["AbstractResults"]:
    """The folders that are asked for."""
    if draw is save is to is None:
        return
    from pellucid.results import BoxDataset, Drawings, Masks

    if draw is not None:
        yield Drawings(Path(draw), postprocess)
    if save is not None:
        yield Masks(Path(save), postprocess)
    if out is not None and to is not None:
        yield BoxDataset(Path(out), to, postprocess)
