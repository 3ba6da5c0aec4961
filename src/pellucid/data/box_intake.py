"""The boxes of images on their way into a dataset: taken one by one, or refused with place, value and cure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pellucid.cores import usable_cores
from pellucid.data.boxes import Box, Boxes, Xyxy, fitted
from pellucid.data.intake import Intake
from pellucid.data.ledger import Refusal
from pellucid.errors import ImageError, UsageError
from pellucid.image import read_header
from pellucid.types import Record

__all__ = [
    "CURE",
    "EXACT",
    "ImageBoxes",
    "exact_number",
    "exact_numbers",
    "exact_text",
    "nearest",
    "photo_sizes",
    "refuse_ignored",
]

CURE = "Mend or remove the box."
ALL_REFUSED = "all its boxes were refused, so nobody knows whether there is anything in it"
CUT = "boxes that leave the image by a pixel at most are cut at its edge"
MOST_DIGITS = 100  # of a number, which is read to the last one
ROUNDING = 0.01  # pixels that shares of six digits lose in the largest photos
EXACT = Context(prec=60)
"""Decimal fractions are added and multiplied in this context, so that corners come out as they went in."""


def photo_sizes(intake: Intake, images: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """(height, width) of images, turned as the camera noted; those whose header cannot be read are refused."""
    paths = list(images)
    with ThreadPoolExecutor(usable_cores()) as pool:
        found = list(pool.map(lambda path: _size(intake.root / path), paths))
    for path, size in zip(paths, found, strict=True):
        if isinstance(size, ImageError):
            refusal = Refusal.of("", size)
            intake.refuse(path, refusal.reason, refusal.cure)
    return {path: size for path, size in zip(paths, found, strict=True) if not isinstance(size, ImageError)}


def _size(path: Path) -> tuple[int, int] | ImageError:
    try:
        return read_header(path)[:2]
    except ImageError as error:
        return error


@dataclass
class ImageBoxes:
    """The boxes of one image of this (height, width), as they are taken."""

    intake: Intake
    image: Path
    size: tuple[int, int]
    boxes: list[Box] = field(default_factory=list)
    refused: int = 0
    beyond: bool = False

    def take(
        self,
        found: Box | str,
        place: str,
        *,
        value: str,
        line: int | None = None,
        cure: str = CURE,
    ) -> None:
        """Keep a box where it fits into the photo; else, or where it is a reason, refuse it by its place."""
        cut = found if isinstance(found, str) else fitted(found.xyxy, self.size)
        if isinstance(found, str) or isinstance(cut, str):
            self.refused += 1
            self.intake.refuse_label(place, str(cut), cure, line=line, value=value)
            return
        self.beyond |= max(abs(new - old) for new, old in zip(cut, found.xyxy, strict=True)) > ROUNDING
        self.boxes.append(Box(cut, found.label, found.ignored, found.area))

    def record(self, empty: str = "no box: all of it is background") -> Record | None:
        """The record of the image, which is used now; None, and refused, where there were boxes and none is left."""
        if self.refused and not self.boxes:
            self.intake.refuse(self.image, ALL_REFUSED, "Mend its boxes, or say that it has none.")
            return None
        if self.beyond:
            self.intake.note(self.image, CUT)
        if not self.boxes:
            self.intake.note(self.image, empty)
        self.intake.use(self.image)
        return Record(self.image, Boxes.gathered(self.boxes))


def exact_numbers(said: Mapping[str, str]) -> list[Decimal] | str:
    """The decimal fractions that texts say, to the last digit, or what is wrong with one, by its name."""
    found = []
    for name, text in said.items():
        number = exact_number(text)
        if number is None:
            return f"its {name} is {text!r:.40}, no finite number"
        found.append(number)
    return found


def exact_number(text: str) -> Decimal | None:
    """The decimal fraction that a text says; None where it is no finite number, or none that can be kept."""
    try:
        return Decimal(text) if len(text) < MOST_DIGITS and math.isfinite(float(text)) else None
    except (ValueError, InvalidOperation):  # InvalidOperation: an exponent of more digits than numbers have
        return None


def nearest(left: Decimal, top: Decimal, right: Decimal, bottom: Decimal) -> Xyxy:
    """The floating-point numbers next to decimal fractions."""
    return float(left), float(top), float(right), float(bottom)


def exact_text(value: Decimal) -> str:
    """A decimal fraction without exponent and idle zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def refuse_ignored(records: Mapping[str, Sequence[Record]], name: str) -> None:
    """Raise UsageError where an object is to be ignored, for a format of that name which cannot say so."""
    for here in records.values():
        for record in here:
            label: Any = record.label
            if any(box.ignored for box in label):
                raise UsageError(
                    f"{record.name} has an object to ignore, and {name} knows none. "
                    "Choose voc, coco-boxes or csv-boxes."
                )
