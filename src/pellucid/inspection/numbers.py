"""A model file, a photo and the place of a number in; the terms of that number out."""

import re
from pathlib import Path
from typing import Literal

import torch

from pellucid.errors import UsageError
from pellucid.image import read_image
from pellucid.inspection.aiming import aimed
from pellucid.inspection.recording import record
from pellucid.inspection.terms_of import Explained, explain, explain_gradient, explain_weight
from pellucid.network import load_predictor
from pellucid.tiling import WHOLE

__all__ = ["What", "number_of_file"]

What = Literal["output", "gradient", "weight"]


def number_of_file(
    model: str | Path,
    image: str | Path,
    operation: str,
    at: str,
    *,
    what: What = "output",
    aim: tuple[str | None, str | None] = (None, None),
) -> Explained:
    """The number of an operation at `CHANNEL,ROW,COLUMN` on a photo; or the gradient there, or of a weight.

    `aim` is the target of the gradients and the class it is compared with, as `explain_file` takes them.
    """
    if not re.fullmatch(r"\d+(,\d+)*", at):
        raise UsageError(f"The place {at!r}: give whole numbers and commas, as 3,20,20 for channel, row and column.")
    place = tuple(map(int, at.split(",")))
    predictor = load_predictor(model, "cpu")
    photo = read_image(image).pixels
    pixels = predictor.preprocess.pixels(photo)
    if pixels.shape[0] * pixels.shape[1] > WHOLE:
        raise UsageError(f"{image} is seen in tiles. Cut out a part of at most {WHOLE:,} network pixels.")
    x = predictor.preprocess.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    network, classes = predictor.model, predictor.manifest.classes
    if what == "output":
        return explain(record(network, x), operation, place)
    decoded = {name: value[0] for name, value in predictor.decoded(pixels[None]).items()}
    target = aimed(predictor, decoded, predictor.preprocess.frame(*photo.shape[:2]), aim)
    trace = record(network, x, lambda outputs: target.number(network, outputs, classes))
    return (explain_weight if what == "weight" else explain_gradient)(trace, operation, place)
