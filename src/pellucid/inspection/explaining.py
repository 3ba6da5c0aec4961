"""A model file and a picture file in, the account of one number out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import UsageError
from pellucid.image import read_image
from pellucid.inspection.accounting import Account, account
from pellucid.inspection.targets import PARTS, Box, Class, Pixel, Target
from pellucid.network import Predictor, load_predictor
from pellucid.predictions.detect import BoxPostprocess
from pellucid.tiling import WHOLE
from pellucid.types import Frame

__all__ = ["Explanation", "explain_file"]

FORMS = {
    "classify": "class:NAME",
    "segment": "pixel:Y,X or pixel:Y,X:NAME",
    "detect": f"box:K, or box:K: and one of {', '.join(PARTS)}",
}


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """The account of a number, and the network's view of the photo: what its pixels are pixels of."""

    image: str
    account: Account
    pixels: UInt8[ndarray, "h w c"]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"image": self.image, **self.account.to_json()}


def explain_file(
    model: str | Path, image: str | Path, target: str | None = None, versus: str | None = None
) -> Explanation:
    """The account of `target` for a photo, computed on the processor.

    A target is `class:NAME`, `pixel:Y,X:NAME` in the photo's pixels, or `box:K`, the K-th box that `predict` finds,
    counted from 0. Left out, it is the predicted class, that of the pixel in the middle, or the surest box. With
    `versus` it is what the logit is more than that of this class.
    """
    predictor = load_predictor(model, "cpu")
    photo = read_image(image).pixels
    pixels = predictor.preprocess.pixels(photo)
    height, width = pixels.shape[:2]
    if not predictor.preprocess.one_size and height * width > WHOLE:
        raise UsageError(f"{image} is seen at {height}x{width}, in tiles. Cut out a part of at most {WHOLE:,} pixels.")
    decoded = {name: value[0] for name, value in predictor.decoded(pixels[None]).items()}
    aim = _target(predictor, decoded, predictor.preprocess.frame(*photo.shape[:2]), (target, versus))
    x = predictor.preprocess.normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    return Explanation(str(image), account(predictor.model, x, aim, predictor.manifest.classes), pixels)


def _target(
    predictor: Predictor, decoded: dict[str, ndarray], frame: Frame, given: tuple[str | None, str | None]
) -> Target:
    text, versus = given
    match predictor.manifest.task:
        case "classify":
            return _class(text, versus, int(decoded["logits"].argmax()))
        case "segment":
            return _pixel(text, versus, decoded["labels"], frame)
    if versus is not None:
        raise UsageError("--versus compares classes of an image or pixel, and a box has one score. Leave it out.")
    return _box(text, predictor.postprocess, decoded)


def _class(text: str | None, versus: str | None, predicted: int) -> Class:
    if text is None:
        return Class(predicted, versus)
    kind, _, name = text.partition(":")
    if kind != "class" or not name:
        raise _unreadable(text, "classify")
    return Class(name, versus)


def _pixel(text: str | None, versus: str | None, labels: UInt8[ndarray, "h w"], frame: Frame) -> Pixel:
    """Of the photo's pixels to the network pixel that the centre falls on, as a mask comes to the photo's size."""
    y, x = (side // 2 for side in frame.photo)
    name = ""
    if text is not None:
        found = re.fullmatch(r"pixel:(\d+),(\d+)(?::(.+))?", text)
        if not found:
            raise _unreadable(text, "segment")
        y, x, name = int(found[1]), int(found[2]), found[3] or ""
    if y >= frame.photo[0] or x >= frame.photo[1]:
        raise UsageError(f"Pixel {y},{x} lies outside of a photo of {frame.photo[0]} rows, {frame.photo[1]} columns.")
    row, column = (
        (2 * at + 1) * inner // (2 * whole) for at, inner, whole in zip((y, x), frame.network, frame.photo, strict=True)
    )
    return Pixel(row, column, name or int(labels[row, column]), versus)


def _box(text: str | None, postprocess: Any, decoded: dict[str, ndarray]) -> Box:
    found = re.fullmatch(rf"box:(\d+)(?::({'|'.join(PARTS)}))?", text or "box:0")
    if not found or not isinstance(postprocess, BoxPostprocess):
        raise _unreadable(text or "", "detect")
    _, labels, candidates = postprocess.kept(decoded, postprocess.threshold)
    number = int(found[1])
    if number >= len(labels):
        raise UsageError(
            f"There is no box {number}: {len(labels)} are found from a score of {postprocess.threshold:g} on."
        )
    part = next(one for one in PARTS if one == (found[2] or "score"))
    return Box(int(candidates[number]), int(labels[number]), part)


def _unreadable(text: str, task: str) -> UsageError:
    return UsageError(f"--target {text!r}: the task is to {task}. Give {FORMS[task]}.")
