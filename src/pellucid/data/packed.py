"""The photos of a set in shards, as something to predict: made when they are asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.records import AbstractRecords, chosen
from pellucid.errors import UsageError
from pellucid.types import Record

if TYPE_CHECKING:
    from pellucid.data.dataset import Dataset

__all__ = ["PackedPhoto", "PackedPhotos"]

CHUNK = 1024


@dataclass(frozen=True, slots=True)
class PackedPhoto:
    """A photo inside a shard; `size` is (height, width), as the index says it."""

    dataset: "Dataset"
    record: Record
    size: tuple[int, int]

    def __str__(self) -> str:
        return self.record.name

    def read(self) -> UInt8[ndarray, "_ _ _"]:
        """Its pixels. Raises ImageError where it cannot be decoded, DataError where the shard is altered."""
        return self.dataset.image(self.record).pixels


@dataclass(frozen=True, slots=True)
class PackedPhotos(Sequence[PackedPhoto]):
    """All photos of a set, split after split."""

    dataset: "Dataset"

    def __post_init__(self) -> None:
        """Other formats have no index that knows the sizes."""
        if not all(isinstance(records, AbstractRecords) for records in self.dataset.splits.values()):
            raise UsageError(f"{self.dataset.root} is in no shards. Give its folder of images.")

    def __len__(self) -> int:
        return sum(map(len, self.dataset.splits.values()))

    def __iter__(self) -> Iterator[PackedPhoto]:
        for start in range(0, len(self), CHUNK):
            yield from self[start : start + CHUNK]

    @overload
    def __getitem__(self, place: int) -> PackedPhoto: ...

    @overload
    def __getitem__(self, place: slice) -> list[PackedPhoto]: ...

    def __getitem__(self, place: int | slice) -> PackedPhoto | list[PackedPhoto]:
        if isinstance(place, int):
            return self[place : place + 1][0]
        first, last, _ = place.indices(len(self))
        found: list[PackedPhoto] = []
        for records in self.dataset.splits.values():
            found += self._between(records, max(0, first), min(last, len(records)))
            first, last = first - len(records), last - len(records)
        return found

    def _between(self, records: Sequence[Record], first: int, last: int) -> Iterator[PackedPhoto]:
        part = chosen(records, range(first, last))
        seen = part.seen() if isinstance(part, AbstractRecords) and len(part) else None
        if seen is not None:
            for record, (height, width) in zip(part, seen[0].tolist(), strict=True):
                yield PackedPhoto(self.dataset, record, (height, width))
