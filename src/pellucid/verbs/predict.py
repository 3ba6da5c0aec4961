"""`pellucid predict`: what a model says of images."""

import sys
from pathlib import Path

from pellucid.errors import UsageError

__all__ = ["predict"]


def predict(
    model: str,
    images: tuple[str, ...],
    *,
    json: bool = False,
    csv: bool = False,
    draw: str | None = None,
    save: str | None = None,
) -> int:
    """What a model says of images.

    Args:
        model: A model.safetensors.
        images: Files, folders, globs; - reads one path a line from standard input.
        json: Print one JSON object a line: image, prediction, error.
        csv: Print a CSV table.
        draw: Write every picture, its prediction drawn on it, into this folder.
        save: Write masks into this folder: class indices, and the same in colours.
    """
    from pellucid.image import write_image
    from pellucid.prediction import list_images, load
    from pellucid.prediction import predict as predict_images
    from pellucid.terminal import PredictionWriter, drawn_path, note, tracked

    if json and csv:
        raise UsageError("--json and --csv are two forms of the same answer. Give one of them.")
    paths = list_images(images, sys.stdin)
    predictor = load(model)
    form = "json" if json else "csv" if csv else "text"
    writer = PredictionWriter(form, predictor.task.columns, sys.stdout)
    failed, drawn, saved = 0, set[Path](), set[Path]()
    for found in tracked(predict_images(predictor, paths), len(paths), "images"):
        writer.write(found)
        failed += found.error is not None
        if draw is not None and found.prediction is not None:
            target = drawn_path(Path(draw), found.image, drawn)
            write_image(target, predictor.task.draw(found.pixels, found.prediction))
        if save is not None and found.prediction is not None:
            predictor.task.save(found.prediction, drawn_path(Path(save), found.image, saved))
    if failed:
        note(f"{failed} of {len(paths)} images could not be read.")
    return 1 if failed else 0
