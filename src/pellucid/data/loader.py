"""Batches in an order that is a pure function of (seed, step): nothing has to be saved for a resume.

Training reads an endless stream, one permutation of the images after another, in batches that are always full. Of
images of sizes of their own it is shown pieces: a square anywhere in the image, between `zoom` and 1 / `zoom` times as
wide as the network's, brought to the network's size. Where a piece reaches beyond the image, that is mirrored.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from pellucid.data.cache import Decoded
from pellucid.data.pixels import Seen
from pellucid.preprocess import resize, resize_nearest
from pellucid.types import Batch

__all__ = ["Loader", "random_seed"]

MOST_JUDGED = 500
PIXELS_JUDGED = 2_000_000
"""Images and pixels in a batch that is judged."""


@runtime_checkable
class Collates(Protocol):
    """The part of a task that a loader needs."""

    def collate(self, records: Any, frames: Any, masks: Any) -> Any:
        """The targets of a batch."""


def random_seed(*parts: int) -> int:
    """A 63-bit seed that is a pure function of its parts, well mixed even for neighbouring ones."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(slots=True)
class Loader:
    """Batches of one split; `batch` is the number of images in those for training."""

    decoded: Decoded
    task: Collates
    batch: int = 1
    seed: int = 0
    zoom: float = 1.0
    _epoch: int = -1
    _order: Int[np.ndarray, " images"] | None = None

    def __len__(self) -> int:
        """Images in the split."""
        return len(self.decoded.records)

    def at(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The training batch of a step, counted from 0; of several ranks, the part of one of them."""
        share = self.batch // ranks
        stream = range(step * self.batch + rank * share, step * self.batch + (rank + 1) * share)
        positions = [int(self._permutation(place // len(self))[place % len(self)]) for place in stream]
        if self.decoded.preprocess.one_size:
            return self._batch(positions, self.decoded.pixels.take(positions), None)
        generator = np.random.Generator(np.random.PCG64(random_seed(self.seed, 4, step, *([rank] if rank else []))))
        size = self.decoded.preprocess.size
        views = self.decoded.pixels.each(positions)
        return self._stacked(positions, [_piece(view, size, self.zoom, generator) for view in views])

    def in_order(self, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """Every image once, in the order of the split; of several ranks, the batches of one of them.

        Who judges how many of them changes no batch, and so no bit of what is found.
        """
        groups = list(self._groups())
        for group in groups[len(groups) * rank // ranks : len(groups) * (rank + 1) // ranks]:
            yield self._whole(group)

    def _groups(self) -> Iterator[list[int]]:
        """Neighbours of one size, no more than may be judged at once."""
        for shape, positions in groupby(range(len(self)), self._shape):
            group = list(positions)
            most = max(1, min(MOST_JUDGED, PIXELS_JUDGED // math.prod(shape[0])))
            for start in range(0, len(group), most):
                yield group[start : start + most]

    def _shape(self, position: int) -> tuple[tuple[int, int], ...]:
        frame = self.decoded.frames([position])[0]
        return (frame.network,) if self.decoded.preprocess.one_size else (frame.network, frame.photo)

    def _whole(self, positions: list[int]) -> Batch:
        if self.decoded.preprocess.one_size:
            return self._batch(positions, self.decoded.pixels.take(positions), None)
        return self._stacked(positions, list(self.decoded.pixels.each(positions)))

    def _permutation(self, epoch: int) -> Int[np.ndarray, " images"]:
        if self._order is None or epoch != self._epoch:
            generator = np.random.Generator(np.random.PCG64(random_seed(self.seed, 1, epoch)))
            self._order, self._epoch = generator.permutation(len(self)), epoch
        return self._order

    def _stacked(self, positions: list[int], views: Sequence[Seen]) -> Batch:
        masks = [mask for _, mask in views if mask is not None]
        stacked = torch.from_numpy(np.stack(masks)) if masks else None
        return self._batch(positions, np.stack([image for image, _ in views]), stacked)

    def _batch(self, positions: list[int], pixels: UInt8[np.ndarray, "n h w c"], masks: Tensor | None) -> Batch:
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        records = [self.decoded.records[position] for position in positions]
        targets = self.task.collate(records, self.decoded.frames(positions), masks)
        return Batch(images, targets, tuple(positions))


def _piece(view: Seen, size: tuple[int, int], zoom: float, generator: np.random.Generator) -> Seen:
    """A random piece of an image and the same piece of its mask, in the network's size."""
    image, mask = view
    factor = math.exp(generator.uniform(-1, 1) * math.log(zoom))
    sides = zip(image.shape[:2], size, strict=True)
    rows, columns = (_stretch(have, max(1, round(want * factor)), generator) for have, want in sides)
    piece = resize(image[np.ix_(rows, columns)], size)
    return piece, None if mask is None else resize_nearest(mask[np.ix_(rows, columns)], size)


def _stretch(length: int, wanted: int, generator: np.random.Generator) -> Int[np.ndarray, " wanted"]:
    """`wanted` places in a row out of 0..length - 1; where that is too few, mirrored at both ends."""
    room = length - wanted
    start = int(generator.integers(min(0, room), max(0, room) + 1))
    folded = np.arange(start, start + wanted) % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)
