"""A dataset is an immutable index: which images, which labels, which split, and the ledger of everything offered."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.catalog import catalogue, find
from pellucid.data.ledger import Ledger
from pellucid.errors import DataError, UsageError
from pellucid.files import canonical_json, sha256_file
from pellucid.image import Image, read_image
from pellucid.types import Record

__all__ = ["AbstractFormat", "Dataset", "open_dataset", "read_record", "split_stratified"]

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Dataset:
    """Records by split, with the class names that every label refers to.

    Paths of records are relative to `root`. `made` names the splits that were not in the data and were cut
    from the training images.
    """

    task: str
    classes: tuple[str, ...]
    splits: Mapping[str, tuple[Record, ...]]
    root: Path
    ledger: Ledger
    format: str
    made: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Record, ...]:
        """The records of a split; an error that lists the splits there are."""
        if not self.splits.get(name):
            there = ", ".join(f"{key} ({len(records)})" for key, records in self.splits.items())
            raise UsageError(f"{self.root} has no {name!r} split. It has: {there or 'no image at all'}.")
        return self.splits[name]

    def digest(self) -> str:
        """SHA-256 over the bytes of every file used, the labels, the class names and the splits."""
        paths = sorted({record.path for records in self.splits.values() for record in records})
        with ThreadPoolExecutor(4) as pool:
            digests = dict(zip(paths, pool.map(lambda path: sha256_file(self.root / path), paths), strict=True))
        total = hashlib.sha256(canonical_json([self.task, self.classes]).encode())
        for name in sorted(self.splits):
            for record in self.splits[name]:
                row = [name, str(record.path), record.item, _plain(record.label), digests[record.path]]
                total.update(canonical_json(row).encode())
        return total.hexdigest()

    def without(self, refused: Mapping[str, Sequence[int]], ledger: Ledger) -> "Dataset":
        """This dataset without the records at the given positions of each split."""
        splits = {}
        for name, records in self.splits.items():
            gone = set(refused.get(name, ()))
            splits[name] = tuple(record for at, record in enumerate(records) if at not in gone)
        return dataclasses.replace(self, splits=splits, ledger=ledger)


class AbstractFormat:
    """How one kind of annotated folder is recognised, read and written. One file in `data/formats` each."""

    name: str
    task: str

    def sniff(self, path: Path) -> bool:
        """Whether `path` looks like this format; reads names and first bytes only."""
        raise NotImplementedError

    def read(self, path: Path) -> Dataset:
        """The dataset at `path`: every file below it is in the ledger, used or refused. No image is decoded."""
        raise NotImplementedError

    def image(self, root: Path, record: Record) -> Image:
        """The decoded image of a record; formats that pack many images in one file have their own."""
        return read_image(root / record.path)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Write the dataset in this format."""
        raise UsageError(f"Writing {self.name} is not offered.")


def open_dataset(
    path: str | Path, format: str | None = None, *, seed: int = 0, val: float = 0.1, test: float = 0.1
) -> Dataset:
    """The dataset at a path, or a named set (`fashion-mnist`), with train, val and test splits.

    Missing splits are cut from the training images: stratified by class, decided by `seed` and the names of
    the images, so that adding an image moves no other.
    """
    raise NotImplementedError
