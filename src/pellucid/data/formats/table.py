"""A CSV or TSV table with columns path, label and, if wanted, split; paths are relative to the table's folder.

With or without a header, with commas, semicolons or tabs, UTF-8 with or without a byte order mark.
"""

import csv
import os
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.data.copying import copy_image
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, ordered_classes, split_named
from pellucid.data.ledger import Ledger, Note, Refusal
from pellucid.data.table_file import (
    LABEL_HEADS,
    PATH_HEADS,
    SPLIT_HEADS,
    boxes_in,
    heads_of,
    image_path,
    place_of,
    table_at,
    table_rows,
)
from pellucid.data.walk import is_image
from pellucid.errors import DataError, UsageError
from pellucid.files import atomic_path
from pellucid.types import Record

__all__ = ["FORMATS", "TableFormat"]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the three columns stand in a row of `width` fields, and whether the first row is a head."""

    path: int
    label: int
    split: int | None
    width: int
    header: bool
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Row:
    """One row that can be used, with the line of the table it begins in."""

    line: int
    path: Path
    label: str
    split: str


@dataclass
class _Reading:
    """What one pass over a table has found so far."""

    table: Path
    refused: list[Refusal] = field(default_factory=list)
    rows: dict[Path, _Row] = field(default_factory=dict)
    contradicted: set[Path] = field(default_factory=set)

    def refuse(self, line: int, reason: str, cure: str, value: str | None = None) -> None:
        shown = None if value is None else value.encode("utf-8", "backslashreplace").decode()[:200]
        self.refused.append(Refusal(self.table.name, reason, cure, line, shown))

    def take(self, line: int, fields: list[str], columns: _Columns) -> None:
        """Keep one row or say why not."""
        text = ",".join(fields)
        try:
            text.encode()
        except UnicodeEncodeError:
            return self.refuse(line, "it is not UTF-8", "Save the table as UTF-8.", text)
        if len(fields) != columns.width:
            reason = f"{len(fields)} fields where {columns.width} are expected"
            return self.refuse(line, reason, "Put quotes around fields that hold the separator.", text)
        label = fields[columns.label].strip()
        if not label:
            return self.refuse(line, "the label is empty", "Write a class name.", text)
        split = split_named(fields[columns.split]) if columns.split is not None else "train"
        if split is None:
            return self.refuse(line, "this is no split", "Write train, val or test.", fields[columns.split or 0])
        return self._take_path(line, fields[columns.path].strip(), label, split)

    def _take_path(self, line: int, text: str, label: str, split: str) -> None:
        path = image_path(self.table.parent, text)
        if not isinstance(path, Path):
            return self.refuse(line, *path, text)
        earlier = self.rows.get(path)
        if earlier is None:
            self.rows[path] = _Row(line, path, label, split)
        elif earlier.label == label:
            reason = f"the image stands in line {earlier.line} already"
            return self.refuse(line, reason, "Remove one of the two lines.", text)
        else:
            self.contradicted.add(path)
            reason = f"labelled {label!r} here and {earlier.label!r} in line {earlier.line}: neither is used"
            return self.refuse(line, reason, "Keep the line that is right.", text)
        return None

    def settle(self) -> list[_Row]:
        """The rows that nothing contradicts."""
        for path in sorted(self.contradicted):
            row = self.rows.pop(path)
            reason = f"labelled {row.label!r} here and otherwise further down: neither is used"
            self.refuse(row.line, reason, "Keep the line that is right.", path.as_posix())
        return list(self.rows.values())


class TableFormat(AbstractFormat):
    """Labels in a table beside the images."""

    name = "table"
    task = "classify"

    def sniff(self, path: Path) -> bool:
        """A table whose head names the columns, or whose first row names an image that exists."""
        try:
            table = table_at(path)
            first = next(table_rows(table), (1, []))[1]
        except (DataError, UsageError, OSError):
            return False
        columns = None if isinstance(first, csv.Error) else _columns(first)
        if columns is None or isinstance(first, csv.Error) or boxes_in(first):
            return False
        return columns.header or (table.parent / first[columns.path].replace("\\", "/")).is_file()

    def read(self, path: Path) -> Dataset:
        """One record a row; images beside the listed ones that no row names are refused as well."""
        table = table_at(path)
        reading, unused = _read_rows(table)
        rows = reading.settle()
        classes = ordered_classes(row.label for row in rows)
        index = {name: at for at, name in enumerate(classes)}
        splits: dict[str, list[Record]] = {}
        for row in rows:
            splits.setdefault(row.split, []).append(Record(row.path, index[ordered_classes([row.label])[0]]))
        used = {table.name: len(rows)} | {row.path.as_posix(): 1 for row in rows}
        notes = (Note(table.name, f"columns that are not used: {', '.join(unused)}"),) if unused else ()
        refused = (*reading.refused, *_unlisted(table, reading))
        frozen = {name: tuple(records) for name, records in splits.items()}
        return Dataset(self.task, classes, frozen, table.parent, Ledger(used, refused, notes), self.name)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`folder/labels.csv` and the images in `folder/images/split`."""
        claim_folder(folder)
        rows = [("path", "label", "split")]
        for split, records in dataset.splits.items():
            images = folder / "images" / split
            images.mkdir(parents=True)
            for record in records:
                path = copy_image(dataset, record, images)
                rows.append((path.relative_to(folder).as_posix(), dataset.classes[record.label], split))
        with (
            atomic_path(folder / "labels.csv") as draft,
            draft.open("w", newline="", encoding="utf-8") as handle,
        ):
            csv.writer(handle).writerows(rows)


def _read_rows(table: Path) -> tuple[_Reading, tuple[str, ...]]:
    """Every row of the table, and the names of the columns that mean nothing here."""
    reading = _Reading(table)
    columns: _Columns | None = None
    for line, fields in table_rows(table):
        if isinstance(fields, csv.Error):
            reading.refuse(line, f"it cannot be read: {fields}", "Look for quotes that are open or misplaced.")
        elif columns is None:
            columns = _columns(fields)
            if columns is None:
                raise DataError(f"{table}:{line}: {fields} is no head with path and label, and no such row.")
            if not columns.header:
                reading.take(line, fields, columns)
        else:
            reading.take(line, fields, columns)
    return reading, columns.unused if columns else ()


def _columns(first: list[str]) -> _Columns | None:
    """What the first row says of the columns; None where it cannot be one of such a table."""
    heads = heads_of(first)
    path, label, split = (place_of(names, heads) for names in (PATH_HEADS, LABEL_HEADS, SPLIT_HEADS))
    if path is not None and label is not None:
        unused = tuple(first[at] for at in range(len(first)) if at not in (path, label, split))
        return _Columns(path, label, split, len(first), True, unused)
    if len(first) in (2, 3):
        return _Columns(0, 1, 2 if len(first) == 3 else None, len(first), False)
    return None


def _unlisted(table: Path, reading: _Reading) -> list[Refusal]:
    """Images that lie beside listed ones and are named by no row."""
    named = reading.rows.keys() | reading.contradicted
    folders = sorted({path.parent for path in named})
    refused = []
    for folder in folders:
        for name in sorted(entry.name for entry in os.scandir(table.parent / folder) if entry.is_file()):
            path = folder / name
            if is_image(path) and path not in named:
                refused.append(
                    Refusal(path.as_posix(), f"no row of {table.name} names it", "Add a row or remove the image.")
                )
    return refused


FORMATS = {"table": TableFormat()}
