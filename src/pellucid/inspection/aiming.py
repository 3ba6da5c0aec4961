"""What is to be explained, from the words of a command line: `class:bee`, `pixel:12,40`, `box:0`."""

import re
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.errors import UsageError
from pellucid.inspection.targets import PARTS, Box, Class, Pixel, Target
from pellucid.network import Predictor
from pellucid.predictions.detect import BoxPostprocess
from pellucid.types import Frame

__all__ = ["aimed"]

FORMS = {
    "classify": "class:NAME",
    "segment": "pixel:Y,X or pixel:Y,X:NAME",
    "detect": f"box:K, or box:K: and one of {', '.join(PARTS)}",
}


def aimed(
    predictor: Predictor, decoded: dict[str, ndarray], frame: Frame, given: tuple[str | None, str | None]
) -> Target:
    """The target of a text and the class it is compared with; without a text what is predicted.

    `decoded` are the outputs of one photo, which `frame` places.
    """
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
