"""What a network's units see, from files: theoretical fields, effective ones, and the sizes of objects beside them."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray
from torch import Tensor

from pellucid.data.cache import Decoded, decode
from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.evaluation import cut_of, match_classes
from pellucid.image import read_image
from pellucid.inspection.costs import aligned, traced
from pellucid.inspection.effective import MASS, EffectiveField, effective_field
from pellucid.inspection.fields import Field, box_around, fields, last_maps, seen
from pellucid.inspection.objects import object_sides
from pellucid.inspection.recording import Trace
from pellucid.network import Predictor, load_predictor
from pellucid.ops.receptive import ReceptiveField

__all__ = ["Compared", "Looked", "Sight", "fields_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """One unit: the pixels that it sees, the box around them (none where it sees padding alone), the effective field.

    `pixels` is the network's view that the effective field was found on last, where it was.
    """

    field: Field
    at: tuple[int, int]
    mask: ndarray
    box: tuple[int, int, int, int] | None
    effective: EffectiveField | None = None
    pixels: UInt8[ndarray, "h w c"] | None = None

    def text(self) -> str:
        """In a line or two."""
        row, column = self.at
        box = "nothing but padding" if self.box is None else "{0}..{2} across, {1}..{3} down".format(*self.box)
        lines = [f"{self.field.name}, unit {row},{column}, sees {box}: {int(self.mask.sum()):,} pixels."]
        if self.effective is not None:
            sigma = " x ".join(f"{side:.1f}" for side in self.effective.sigma)
            lines.append(
                f"  effectively {MASS:.0%} of it is in a square of {self.effective.side()} pixels, σ {sigma}, over "
                f"{self.effective.images} images."
            )
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        box = None if self.box is None else list(self.box)
        found: dict[str, Any] = {"name": self.field.name, "at": list(self.at), "box": box}
        found["pixels"] = int(self.mask.sum())
        if self.effective is not None:
            one = self.effective
            found["effective"] = {"side": one.side(), "mass": MASS, "sigma": list(one.sigma), "images": one.images}
        return found


@dataclass(frozen=True, slots=True)
class Compared:
    """Shares of the objects of a dataset that are larger than what a unit sees, and effectively sees."""

    name: str
    objects: int
    kind: str
    median: float
    larger: float
    larger_effective: float | None

    def text(self) -> str:
        """In a line."""
        effective = "" if self.larger_effective is None else f", {self.larger_effective:.1%} than its effective field"
        return (
            f"{self.objects:,} {self.kind}, {self.median:.0f} pixels long in the median: {self.larger:.1%} are longer "
            f"than what a unit of {self.name} sees{effective}."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The fields of all operations at one size, of some units in particular, and the comparison with objects."""

    model: str
    size: tuple[int, int]
    fields: tuple[Field, ...]
    looked: tuple[Looked, ...]
    compared: tuple[Compared, ...]

    def text(self) -> str:
        """A table of operations, then the units and the objects."""
        rows: list[tuple[str, ...]] = [("operation", "kind", "output", "size", "jump", "start", "note")]
        rows += [_row(field) for field in self.fields[1:]]
        head = f"{self.model} at {self.size[0]}x{self.size[1]}: what a unit sees, in pixels of the network's input"
        said = [one.text() for one in self.looked] + [one.text() for one in self.compared]
        return "\n".join([head, *aligned(rows), *said])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "model": self.model,
            "size": list(self.size),
            "operations": [field.to_json() for field in self.fields[1:]],
            "units": [one.to_json() for one in self.looked],
            "objects": [dataclasses.asdict(one) for one in self.compared],
        }


def _row(field: Field) -> tuple[str, ...]:
    output = "x".join(map(str, field.output))
    if field.rows is None or field.columns is None:
        return (field.name, field.kind, output, "unknown", "", "", field.unknown)
    if field.everything:
        return (field.name, field.kind, output, "all", "", "", "")
    numbers = (_both(field.rows, field.columns, name) for name in ("size", "jump", "start"))
    return (field.name, field.kind, output, *numbers, "" if field.aligned else "branches are not centred alike")


def _both(rows: ReceptiveField, columns: ReceptiveField, name: str) -> str:
    """One number where both axes have the same."""
    first, second = (_number(getattr(one, name)) for one in (rows, columns))
    return first if first == second else f"{first}x{second}"


def _number(value: Fraction | float) -> str:
    return f"{float(value):g}"


def fields_of(
    model: str,
    size: str | None = None,
    *,
    operation: str | None = None,
    at: tuple[int, int] | None = None,
    data: str | None = None,
    split: str = "train",
    photo: str | None = None,
    images: int = 32,
) -> Sight:
    """What the units of a model file or of a network of the catalogue see.

    A unit is `at` (row, column; by default the one in the middle) of an operation, by default of every one that ends in
    maps. Effective fields are those of a model file on images of a dataset, or on one photo; they have the photo's size
    in network pixels. With data, what is seen is compared with the sizes of its objects.
    """
    weights = Path(model).is_file() and (data is not None or photo is not None)
    if not weights and (data or photo):
        raise UsageError(f"{model} has no weights: effective fields are those of a model.safetensors.")
    predictor = load_predictor(model, "cpu") if weights else None
    decoded = _decoded(predictor, data, split, images) if predictor and data else None
    views = _views(predictor, decoded, photo, images) if predictor else []
    if views and size is None:
        size = "{}x{}".format(*views[0].shape[:2])
    _, side, trace = traced(model, size, None)
    found = fields(trace)
    ends = last_maps(trace) if operation is None else [one for one in found if one.name == trace[operation].name]
    alike = [one for one in views if one.shape[:2] == side]
    looked = tuple(_looked(trace, end, at, predictor, alike) for end in ends)
    compared = _compared(looked, decoded, predictor.manifest.classes) if decoded and predictor else ()
    return Sight(model, side, found, looked, compared)


def _decoded(predictor: Predictor, data: str, split: str, images: int) -> Decoded:
    dataset = match_classes(open_dataset(data, **cut_of(predictor)), predictor.task)
    return decode(dataset, split, predictor.preprocess, dataset.digests())


def _views(
    predictor: Predictor, decoded: Decoded | None, photo: str | None, images: int
) -> list[UInt8[ndarray, "h w c"]]:
    """The photo alone, or images spread over the split."""
    if photo is not None:
        return [predictor.preprocess.pixels(read_image(photo).pixels)]
    assert decoded is not None
    count = min(images, len(decoded.records))
    return [decoded.pixels.one(at * len(decoded.records) // count)[0] for at in range(count)]


def _looked(
    trace: Trace, end: Field, at: tuple[int, int] | None, predictor: Predictor | None, views: Sequence[ndarray]
) -> Looked:
    unit = (end.output[0] // 2, end.output[1] // 2) if at is None else at
    mask = seen(trace, end.name, unit)
    if predictor is None or not views or not mask.any():
        return Looked(end, unit, mask, box_around(mask))
    effective = effective_field(predictor.model, _given(predictor, views), end.name, unit)
    return Looked(end, unit, mask, box_around(mask), effective, views[-1])


def _given(predictor: Predictor, views: Sequence[ndarray]) -> Iterator[Tensor]:
    for view in views:
        yield predictor.preprocess.normalise(torch.from_numpy(view.copy()).permute(2, 0, 1)[None])


def _compared(looked: Sequence[Looked], images: Decoded, classes: tuple[str, ...]) -> tuple[Compared, ...]:
    if not images.marks.shape[1] and not hasattr(images.records[0].label, "xyxy"):
        return ()  # an image with one label is all object
    sides, kind = object_sides(images, classes)
    if not len(sides):
        return ()
    found = []
    for one in looked:
        assert one.field.rows is not None
        share = None if one.effective is None else float((sides > one.effective.side()).mean())
        larger = float((sides > float(one.field.rows.size)).mean())
        found.append(Compared(one.field.name, len(sides), kind, float(np.median(sides)), larger, share))
    return tuple(found)
