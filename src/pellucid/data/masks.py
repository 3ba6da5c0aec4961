"""Masks: labels that are pictures, which give the class of every pixel.

A format makes one of these of what it finds; nothing is decoded before `read` is called.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

__all__ = ["IGNORE", "MOST_CLASSES", "AbstractMask", "RenumberedMask"]

IGNORE = 255
"""The class index of pixels that are neither learnt nor counted."""
MOST_CLASSES = IGNORE


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
