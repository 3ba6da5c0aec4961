"""CIFAR-10's binary records: one byte of label, then 32 x 32 red, as many green, as many blue bytes."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, class_lines
from pellucid.data.ledger import Ledger, Refusal
from pellucid.errors import DataError, UsageError
from pellucid.files import write_atomic
from pellucid.image import Image
from pellucid.types import Record

__all__ = ["FORMATS", "CifarFormat"]

NAME = re.compile(r"(data|val|test)_batch(_\d+)?\.bin")
SPLITS = {"data": "train", "val": "val", "test": "test"}
NAMES = "batches.meta.txt"
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
MOST_CLASSES = 10
BATCH_RECORDS = 10_000


class CifarFormat(AbstractFormat):
    """`data_batch_1.bin` and so on, `test_batch.bin`, and the class names in `batches.meta.txt`."""

    name = "cifar"
    task = "classify"

    def sniff(self, path: Path) -> bool:
        """A folder with a file named like those of CIFAR-10."""
        return path.is_dir() and any(NAME.fullmatch(entry.name) for entry in path.iterdir())

    def read(self, path: Path) -> Dataset:
        """One record an image; how many a file holds follows from its size."""
        classes = _classes(path)
        used = {NAMES: len(classes)} if (path / NAMES).is_file() else {}
        refused: list[Refusal] = []
        splits: dict[str, list[Record]] = {}
        for entry in sorted(path.iterdir(), key=lambda entry: (len(entry.name), entry.name)):
            match = NAME.fullmatch(entry.name)
            if match:
                records, unfit = _records(entry, classes)
                splits.setdefault(SPLITS[match[1]], []).extend(records)
                used[entry.name] = len(records)
                refused += unfit
            elif entry.name != NAMES:
                refused.append(Refusal(entry.name, "it is none of CIFAR's files", "Nothing needs to be done."))
        frozen = {name: tuple(records) for name, records in splits.items()}
        return Dataset(self.task, classes, frozen, path, Ledger(used, tuple(refused)), self.name)

    def image(self, root: Path, record: Record) -> Image:
        """One image of the file, uint8 32 32 3."""
        planes = _array(root / record.path)[record.item, 1:].reshape(3, SIDE, SIDE)
        return Image(np.array(planes.transpose(1, 2, 0), order="C"), "RGB")

    def write(self, dataset: Dataset, folder: Path) -> None:
        """Files of at most 10,000 records, and the class names."""
        if len(dataset.classes) > MOST_CLASSES:
            raise UsageError(f"CIFAR-10 records hold {MOST_CLASSES} classes at most, not {len(dataset.classes)}.")
        names = class_lines(dataset.classes)
        claim_folder(folder)
        for split, records in dataset.splits.items():
            rows = _rows(dataset, records)
            stem = {"train": "data", "val": "val", "test": "test"}[split]
            for number, start in enumerate(range(0, len(rows), BATCH_RECORDS), 1):
                plain = split != "train" and len(rows) <= BATCH_RECORDS
                name = f"{stem}_batch.bin" if plain else f"{stem}_batch_{number}.bin"
                write_atomic(folder / name, rows[start : start + BATCH_RECORDS].tobytes())
        write_atomic(folder / NAMES, names)


def _classes(path: Path) -> tuple[str, ...]:
    """The names in `batches.meta.txt`; the numbers 0 to 9 where it is missing."""
    if not (path / NAMES).is_file():
        return tuple(str(number) for number in range(MOST_CLASSES))
    names = tuple(line.strip() for line in (path / NAMES).read_text("utf-8-sig").splitlines() if line.strip())
    if not 1 <= len(names) <= MOST_CLASSES or len(set(names)) < len(names):
        raise DataError(f"{path / NAMES} must name up to {MOST_CLASSES} different classes; it has {', '.join(names)}.")
    return names


def _records(path: Path, classes: tuple[str, ...]) -> tuple[list[Record], list[Refusal]]:
    """The records of one file, and those whose label is no class."""
    name = Path(path.name)
    records, unfit = [], []
    for item, label in enumerate(_array(path)[:, 0].tolist()):
        record = Record(name, label, item)
        if label < len(classes):
            records.append(record)
        else:
            cure = f"Labels run from 0 to {len(classes) - 1}; replace the file with an intact copy."
            unfit.append(Refusal(record.name, f"record {item} has a label that is no class", cure, value=str(label)))
    return records, unfit


def _array(path: Path) -> NDArray[np.uint8]:
    """The file as N rows of 3073 bytes, mapped."""
    status = path.stat()
    return _mapped(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=32)
def _mapped(path: Path, _changed: int, size: int) -> NDArray[np.uint8]:
    if size == 0 or size % RECORD_BYTES:
        raise DataError(
            f"{path} holds {size} bytes, no multiple of {RECORD_BYTES} (a label and 32 x 32 x 3 pixels). "
            "Replace it with an intact copy."
        )
    return np.memmap(path, np.uint8, "r").reshape(-1, RECORD_BYTES)


def _rows(dataset: Dataset, records: Sequence[Record]) -> NDArray[np.uint8]:
    rows = np.empty((len(records), RECORD_BYTES), np.uint8)
    for row, record in zip(rows, records, strict=True):
        pixels = dataset.image(record).pixels
        if pixels.shape[:2] != (SIDE, SIDE):
            height, width = pixels.shape[:2]
            raise UsageError(f"CIFAR-10 records hold 32 x 32 pixels; {record.name} has {width} x {height}.")
        row[0] = record.label
        row[1:].reshape(3, SIDE, SIDE)[:] = pixels.transpose(2, 0, 1)
    return rows


FORMATS = {"cifar": CifarFormat()}
