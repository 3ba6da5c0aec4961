"""Images and masks of a split as a network is given them, uint8: kept in memory-mapped files, or decoded anew."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from pellucid.cores import usable_cores
from pellucid.data.dataset import Dataset
from pellucid.data.masks import AbstractMask
from pellucid.errors import DataError, ImageError
from pellucid.preprocess import Preprocess, resize_nearest
from pellucid.side_by_side import side_by_side
from pellucid.types import Record

__all__ = ["AHEAD", "Develop", "FreshPixels", "Pixels", "RaggedPixels", "Seen", "Shelf", "StoredPixels", "View"]

Seen = tuple[UInt8[np.ndarray, "_ _ _"], UInt8[np.ndarray, "_ _"] | None]
"""An image, and its mask where it has one."""
AHEAD = 16
"""Photos that are decoded ahead of the one that is needed: more would fill the memory with large ones."""
GREY_NOTE = "colour, reduced to grey: this network sees one channel"


@dataclass(frozen=True, slots=True)
class View:
    """One image in network pixels, its mask where it has one, and what is known of the photo.

    `size` is the photo's (height, width), `marks` counts its pixels by class.
    """

    image: UInt8[np.ndarray, "h w c"]
    mask: UInt8[np.ndarray, "mask_h mask_w"] | None
    size: tuple[int, int]
    notes: tuple[str, ...]
    marks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Develop:
    """The way from the records of a dataset to network pixels.

    Masks lie over the network pixels; where the network is `judged` they keep the photo's own size, so that nothing is
    counted that was made smaller first.
    """

    dataset: Dataset
    preprocess: Preprocess
    judged: bool

    def __call__(self, record: Record) -> View:
        """The view of a record; an ImageError where its image or its mask cannot be used."""
        image = self.dataset.image(record)
        height, width, channels = image.pixels.shape
        pixels = self.preprocess.pixels(image.pixels)
        notes = (*image.notes, GREY_NOTE) if channels > self.preprocess.channels else image.notes
        if not isinstance(record.label, AbstractMask):
            return View(pixels, None, (height, width), notes, ())
        mask = record.label.read(self.dataset.root, (height, width))
        marks = np.bincount(mask.ravel(), minlength=256)[: len(self.dataset.classes)]
        fitted = mask if self.judged else resize_nearest(mask, pixels.shape[:2])
        return View(pixels, fitted, (height, width), notes, tuple(marks.tolist()))


@runtime_checkable
class Pixels(Protocol):
    """Where the network pixels of a split come from."""

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions of the split; all have one size."""

    def one(self, position: int) -> Seen:
        """The image at a position of the split, and its mask where it has one."""

    def each(self, positions: Sequence[int]) -> Iterator[Seen]:
        """The same of several; not all have to have one size."""


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """Images of one size in a memory-mapped file."""

    array: UInt8[np.ndarray, "images h w c"]

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions."""
        return self.array[np.asarray(positions)]

    def one(self, position: int) -> Seen:
        """The image at a position."""
        return self.array[position], None

    def each(self, positions: Sequence[int]) -> Iterator[Seen]:
        """The images at these positions."""
        return map(self.one, positions)


@dataclass(frozen=True, slots=True)
class Shelf:
    """Arrays of sizes of their own, one after the other in a memory-mapped file."""

    data: UInt8[np.ndarray, " bytes"]
    shapes: Int[np.ndarray, "n axes"]
    starts: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, data: UInt8[np.ndarray, " bytes"], shapes: Int[np.ndarray, "n axes"]) -> "Shelf":
        """The shelf of arrays of these shapes."""
        ends = np.cumsum(shapes.prod(axis=1), dtype=np.int64)
        return cls(data, shapes, np.concatenate([np.zeros(1, np.int64), ends])[:-1])

    def at(self, position: int) -> UInt8[np.ndarray, "..."]:
        """The array at a position."""
        start, shape = int(self.starts[position]), self.shapes[position]
        return self.data[start : start + int(shape.prod())].reshape(*shape)


@dataclass(frozen=True, slots=True)
class RaggedPixels:
    """Images of sizes of their own in memory-mapped files, with their masks where they have any."""

    images: Shelf
    masks: Shelf | None

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions; all have one size."""
        return np.stack([self.images.at(position) for position in positions])

    def one(self, position: int) -> Seen:
        """The image at a position, and its mask where it has one."""
        return self.images.at(position), None if self.masks is None else self.masks.at(position)

    def each(self, positions: Sequence[int]) -> Iterator[Seen]:
        """The images at these positions."""
        return map(self.one, positions)


@dataclass(frozen=True, slots=True)
class FreshPixels:
    """Images decoded anew each time."""

    develop: Develop
    records: Sequence[Record]
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(usable_cores()))

    def take(self, positions: Sequence[int]) -> UInt8[np.ndarray, "n h w c"]:
        """Images at these positions; all have one size."""
        return np.stack([view.image for view in self.pool.map(self._view, positions)])

    def one(self, position: int) -> Seen:
        """The image at a position, and its mask where it has one."""
        view = self._view(position)
        return view.image, view.mask

    def each(self, positions: Sequence[int]) -> Iterator[Seen]:
        """The images at these positions, decoded side by side."""
        return side_by_side(self.pool, self.one, positions, AHEAD)

    def _view(self, position: int) -> View:
        record = self.records[position]
        try:
            return self.develop(record)
        except ImageError as error:
            raise DataError(f"{record.name} could be read before and no longer can: {error}") from error
