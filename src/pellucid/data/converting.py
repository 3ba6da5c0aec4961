"""A dataset written in another format: what can be decoded goes over, everything else is named."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pellucid.catalog import find
from pellucid.cores import usable_cores
from pellucid.data.dataset import AbstractFormat, Dataset, open_dataset
from pellucid.data.formats.shards import ShardsFormat
from pellucid.data.ledger import Refusal
from pellucid.data.masks import AbstractMask
from pellucid.data.records import chosen
from pellucid.errors import DataError, ImageError, UsageError
from pellucid.types import Record

__all__ = ["Converted", "convert"]


@dataclass(frozen=True, slots=True)
class Converted:
    """Images by split that were written to `out`, and what was refused."""

    out: str
    format: str
    classes: tuple[str, ...]
    counts: dict[str, int]
    refused: tuple[Refusal, ...]

    @property
    def whole(self) -> bool:
        """Whether every image and label went over; files that are neither do not count."""
        return all(refusal.is_stray for refusal in self.refused)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"ok": self.whole, **asdict(self)}

    def text(self) -> str:
        """Lines for a terminal: what was written, then every refusal."""
        counts = ", ".join(f"{count:,} {split}" for split, count in self.counts.items())
        lines = [f"{self.out}: {self.format}, {len(self.classes)} classes, images: {counts}"]
        return "\n".join([*lines, *(f"refused: {refusal}" for refusal in self.refused)])


def convert(
    data: str | Path, to: str, out: str | Path, *, format: str | None = None, shard_mb: int | None = None
) -> Converted:
    """Write the dataset at `data` in the format `to` into the new or empty folder `out`, with the splits it has.

    `shard_mb` is the size of shards, where these are written.
    """
    thing = find("FORMATS", to)
    target: AbstractFormat = thing() if isinstance(thing, type) else thing
    if shard_mb is not None:
        target = _sized(target, shard_mb)
    dataset = open_dataset(data, format, val=0, test=0)
    if target.task not in ("", dataset.task):
        raise UsageError(
            f"{data} is for the task {dataset.task!r}, and the format {to!r} holds data for {target.task!r}. "
            "What it would have to say of each image is not there."
        )
    kept = _readable(dataset)
    if not kept.splits:
        raise DataError(
            f"{data} has no image that can be read. First: {kept.ledger.refused[len(dataset.ledger.refused)]}"
        )
    target.write(kept, Path(out))
    counts = {split: len(records) for split, records in kept.splits.items()}
    return Converted(str(out), to, kept.classes, counts, kept.ledger.refused)


def _sized(target: AbstractFormat, megabytes: int) -> AbstractFormat:
    if not isinstance(target, ShardsFormat):
        raise UsageError(f"--shard-mb is for --to shards, and {target.name!r} has none. Leave it out.")
    if megabytes < 1:
        raise UsageError(f"--shard-mb {megabytes} must be 1 or more.")
    return ShardsFormat(megabytes * 10**6)


def _readable(dataset: Dataset) -> Dataset:
    """The dataset without the images that, or whose masks, cannot be decoded; they are refused."""
    splits, refused = {}, []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for split, records in dataset.splits.items():
            troubles = list(pool.map(lambda record: _trouble(dataset, record), records))
            refused += [trouble for trouble in troubles if trouble]
            if kept := [place for place, trouble in enumerate(troubles) if not trouble]:
                splits[split] = chosen(records, kept)
    return dataclasses.replace(dataset, splits=splits, ledger=dataset.ledger.refuse(tuple(refused)))


def _trouble(dataset: Dataset, record: Record) -> Refusal | None:
    try:
        pixels = dataset.image(record).pixels
        if isinstance(record.label, AbstractMask):
            record.label.read(dataset.root, pixels.shape[:2])
    except ImageError as error:
        return Refusal.of(record.name, error)
    return None
