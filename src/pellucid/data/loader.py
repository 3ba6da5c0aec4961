"""Batches in an order that is a pure function of (seed, step): nothing has to be saved for a resume.

Training reads an endless stream, one permutation of the images after another, in batches that are always full.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int

from pellucid.data.cache import Decoded
from pellucid.types import Batch

__all__ = ["Loader", "random_seed"]


@runtime_checkable
class Collates(Protocol):
    """The part of a task that a loader needs."""

    def collate(self, records: Any, frames: Any) -> Any:
        """The targets of a batch."""


def random_seed(*parts: int) -> int:
    """A 63-bit seed that is a pure function of its parts, well mixed even for neighbouring ones."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


@dataclass(slots=True)
class Loader:
    """Batches of one split."""

    decoded: Decoded
    task: Collates
    batch: int
    seed: int = 0
    _epoch: int = -1
    _order: Int[np.ndarray, " images"] | None = None

    def __len__(self) -> int:
        """Images in the split."""
        return len(self.decoded.records)

    def at(self, step: int) -> Batch:
        """The training batch of a step, counted from 0."""
        stream = range(step * self.batch, (step + 1) * self.batch)
        return self._batch([int(self._permutation(place // len(self))[place % len(self)]) for place in stream])

    def in_order(self) -> Iterator[Batch]:
        """Every image once, in the order of the split."""
        for start in range(0, len(self), self.batch):
            yield self._batch(list(range(start, min(start + self.batch, len(self)))))

    def _permutation(self, epoch: int) -> Int[np.ndarray, " images"]:
        if self._order is None or epoch != self._epoch:
            generator = np.random.Generator(np.random.PCG64(random_seed(self.seed, 1, epoch)))
            self._order, self._epoch = generator.permutation(len(self)), epoch
        return self._order

    def _batch(self, positions: list[int]) -> Batch:
        images = torch.from_numpy(self.decoded.pixels.take(positions)).permute(0, 3, 1, 2)
        records = [self.decoded.records[position] for position in positions]
        return Batch(images, self.task.collate(records, self.decoded.frames(positions)), tuple(positions))
