"""Masks: labels that are pictures, which give the class of every pixel.

A format makes one of these of what it finds; nothing is decoded before `read` is called.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt, UInt8
from numpy import ndarray

from pellucid.data.polygons import polygon_pixels, polygon_window
from pellucid.data.runs import run_pixels
from pellucid.errors import ImageError
from pellucid.image import read_values

__all__ = [
    "IGNORE",
    "MOST_CLASSES",
    "AbstractMask",
    "FileMask",
    "ObjectsMask",
    "RenumberedMask",
    "Shape",
    "ShapesMask",
    "codes_of",
    "other_size",
]

IGNORE = 255
"""The class index of pixels that are neither learnt nor counted."""
MOST_CLASSES = IGNORE

Patch = tuple[tuple[slice, slice], Bool[ndarray, "h w"]]


@dataclass(frozen=True, slots=True)
class AbstractMask(ABC):
    """The label of a record for segmentation; its fields are plain values, for they are part of the data's digest."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """The files that belong to this image alone and that `read` opens, relative to the dataset's root."""

    @abstractmethod
    def read(self, root: Path, size: tuple[int, int]) -> UInt8[ndarray, "h w"]:
        """The class index of every pixel of a photo of this (height, width), IGNORE where there is none to learn.

        Raises ImageError, whose reason names the file and the value, where the mask cannot be used with this photo.
        """

    def renumbered(self, places: Sequence[int]) -> "RenumberedMask":
        """This mask after class `i` became class `places[i]`."""
        return RenumberedMask(self, tuple(places))


@dataclass(frozen=True, slots=True)
class RenumberedMask(AbstractMask):
    """A mask under other class indices: class `i` is `places[i]`, ignored pixels stay ignored."""

    mask: AbstractMask
    places: tuple[int, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Those of the mask."""
        return self.mask.files

    def read(self, root: Path, size: tuple[int, int]) -> UInt8[ndarray, "h w"]:
        """The mask's pixels, renumbered."""
        table = np.full(256, IGNORE, np.uint8)
        table[: len(self.places)] = self.places
        return table[self.mask.read(root, size)]


@dataclass(frozen=True, slots=True)
class FileMask(AbstractMask):
    """A picture with a value for every pixel: `values[i]` is of class `classes[i]`, any other value an error.

    A colour is the value red + 256 green + 65536 blue.
    """

    path: Path
    values: tuple[int, ...]
    classes: tuple[int, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The picture."""
        return (self.path,)

    def read(self, root: Path, size: tuple[int, int]) -> UInt8[ndarray, "h w"]:
        """The class of each value."""
        found = _values(root, self.path, size)
        codes = codes_of(found)
        table = np.zeros(256**found.dtype.itemsize if found.ndim == 2 else 2**24, np.uint16)  # 0: no class, else + 1
        for value, label in zip(self.values, self.classes, strict=True):
            if value < len(table):
                table[value] = label + 1
        places = table[codes]
        if not places.all():
            raise _unknown(self.path, found, places == 0)
        return (places - 1).astype(np.uint8)


def codes_of(values: UInt[ndarray, "h w *rgb"]) -> UInt[ndarray, "h w"]:
    """One number a pixel: its value, or red + 256 green + 65536 blue."""
    if values.ndim == 2:
        return values
    red, green, blue = np.moveaxis(values, 2, 0).astype(np.uint32)
    return red + (green << 8) + (blue << 16)


def _unknown(path: Path, values: UInt[ndarray, "h w *rgb"], where: Bool[ndarray, "h w"]) -> ImageError:
    row, column = np.argwhere(where)[0].tolist()
    value = values[row, column].tolist()
    said = value if values.ndim == 2 else f"{codes_of(values)[row, column]} (red, green, blue {value})"
    return ImageError(
        f"its mask {path} holds the value {said} in row {row}, column {column}, which is no class's "
        f"({where.sum()} pixels are of none)",
        "name its class where the classes are named, or mend the mask",
    )


@dataclass(frozen=True, slots=True)
class ObjectsMask(AbstractMask):
    """A picture for every object, in which its pixels are not 0: they are of class 1, all others of class 0."""

    paths: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The pictures."""
        return self.paths

    def read(self, root: Path, size: tuple[int, int]) -> UInt8[ndarray, "h w"]:
        """The objects, united."""
        mask = np.zeros(size, np.uint8)
        for path in self.paths:
            mask[codes_of(_values(root, path, size)) > 0] = 1
        return mask


@dataclass(frozen=True, slots=True)
class Shape:
    """A region of one class: rings of coordinates x, y, x, y, … whose insides are united, or COCO's run lengths."""

    label: int
    rings: tuple[tuple[float, ...], ...] = ()
    runs: tuple[int, ...] = ()

    def patch(self, size: tuple[int, int], unit: tuple[float, float]) -> Patch:
        """The part of a photo (height, width) in which the shape lies, and its pixels there."""
        if self.runs:
            return (slice(None), slice(None)), run_pixels(self.runs, size)
        rings = [np.reshape(np.array(ring, float), (-1, 2)) * unit for ring in self.rings]
        top, left, bottom, right = window = polygon_window(np.concatenate(rings), size)
        pixels = np.logical_or.reduce([polygon_pixels(ring, window) for ring in rings])
        return (slice(top, bottom), slice(left, right)), pixels


@dataclass(frozen=True, slots=True)
class ShapesMask(AbstractMask):
    """Shapes before class 0, the smaller (in pixels) in front of the larger, those to ignore behind all others.

    `source` is the file that describes them. Coordinates are pixels of a photo of this `size`; without one they are
    shares of its width and height, and the file belongs to this image alone.
    """

    shapes: tuple[Shape, ...]
    source: Path | None
    size: tuple[int, int] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The file with the shapes, unless it describes other images, too."""
        return (self.source,) if self.source and self.size is None else ()

    def read(self, root: Path, size: tuple[int, int]) -> UInt8[ndarray, "h w"]:
        """The shapes, drawn over each other."""
        if self.size is not None and self.size != size:
            raise other_size(f"as {self.source} says", self.size, size)
        unit = (float(size[1]), float(size[0])) if self.size is None else (1.0, 1.0)
        patches = [(shape.label, *shape.patch(size, unit)) for shape in self.shapes]
        patches.sort(key=lambda patch: (patch[0] != IGNORE, -int(patch[2].sum())))
        mask = np.zeros(size, np.uint8)
        for label, place, pixels in patches:
            mask[place][pixels] = label
        return mask


def _values(root: Path, path: Path, size: tuple[int, int]) -> UInt[ndarray, "h w *rgb"]:
    """What a picture holds, checked to be of the photo's size."""
    try:
        values = read_values(root / path)
    except ImageError as error:
        raise ImageError(f"its mask {path}: {error.reason}", error.cure) from error
    if values.shape[:2] != size:
        raise other_size(f"in its mask {path}", values.shape[:2], size)
    return values


def other_size(where: str, found: tuple[int, int], size: tuple[int, int]) -> ImageError:
    """The refusal of a mask of another (height, width) than its image has."""
    said = f"{found[1]}x{found[0]} pixels {where}, {size[1]}x{size[0]} in its image"
    return ImageError(said, "make both of the same size")
