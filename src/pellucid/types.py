"""The values that travel through every verb. None of them knows a task, a format or a model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Batch", "Frame", "Record", "Span", "Tile"]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a file lies inside a larger one: the `size` bytes from `start` of `file`, and their SHA-256."""

    file: str
    start: int
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One image on disk and what is said of it.

    `item` is the position inside a file that packs many images (IDX, CIFAR), else None. `label` is what the
    task's format read: a class index for classification. `span` is where the image's bytes lie when they are no file
    of their own; `path` is then the name that they had.
    """

    path: Path
    label: Any
    item: int | None = None
    span: Span | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """How messages, ledgers and predictions call this image."""
        return str(self.path) if self.item is None else f"{self.path}#{self.item}"


@dataclass(frozen=True, slots=True)
class Frame:
    """How network pixels lie over the photo's own pixels: `photo = (network - offset) / scale`, per axis (y, x).

    Coordinates are continuous: the left edge of pixel 0 is 0.0, its centre 0.5.
    """

    photo: tuple[int, int]
    network: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images uint8 N C H W, the task's targets for them, and their positions in the split."""

    images: Any
    targets: Any
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of an image that goes through a network by itself, and the part of it that it answers for.

    Half-open pixel bounds (top, left, bottom, right) in the image; `own` lies inside `seen`, and the `own` parts of all
    tiles cover the image once.
    """

    seen: tuple[int, int, int, int]
    own: tuple[int, int, int, int]
