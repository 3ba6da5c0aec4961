"""Boxes in one table: a row an object, with the columns path, label, left, top, right, bottom and, if wanted, split."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.data.box_intake import ImageBoxes, exact_numbers, nearest, photo_sizes
from pellucid.data.boxes import Box, box_area
from pellucid.data.class_names import CLASSES, ClassNames
from pellucid.data.class_table import class_lines_text
from pellucid.data.copying import placed
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, split_named
from pellucid.data.intake import Intake
from pellucid.data.table_file import (
    BOX_HEADS,
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
from pellucid.errors import DataError, UsageError
from pellucid.files import atomic_path, write_atomic
from pellucid.types import Record

__all__ = ["FORMATS", "CsvBoxesFormat"]

IGNORED_HEADS = ("ignored",)
AREA_HEADS = ("area",)
CURE = "Write left, top, right and bottom in pixels, or leave all four empty where there is nothing."


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the columns stand in a row of `width` fields."""

    path: int
    label: int
    sides: dict[str, int]
    split: int | None
    ignored: int | None
    area: int | None
    width: int

    def unused(self, first: Sequence[str]) -> list[str]:
        """The names of the columns that mean nothing here."""
        known = {self.path, self.label, *self.sides.values(), self.split, self.ignored, self.area}
        return [name for at, name in enumerate(first) if at not in known]


@dataclass(frozen=True, slots=True)
class _Row:
    """One row that names an image, with the line of the table it begins in."""

    line: int
    fields: list[str]
    columns: _Columns

    def said(self, at: int | None) -> str:
        """The text of a column; nothing where there is no such column."""
        return "" if at is None else self.fields[at].strip()

    @property
    def text(self) -> str:
        """The row as it stands there, nearly."""
        return ",".join(self.fields)

    @property
    def label(self) -> str:
        """The name of its class."""
        return self.said(self.columns.label)

    @property
    def is_blank(self) -> bool:
        """Whether it says that its image holds nothing: all fields of the box are empty."""
        return not any(self.said(at) for at in self.columns.sides.values())

    def box(self, names: ClassNames) -> Box | str:
        """Its box, or what is wrong with it."""
        label, ignored, area = names.label(self.label), self.said(self.columns.ignored), self.said(self.columns.area)
        if isinstance(label, str):
            return label
        if ignored not in ("", "0", "1"):
            return f"its ignored is {ignored!r:.20}, and may be 0 or 1"
        sides = exact_numbers({side: self.said(at) for side, at in self.columns.sides.items()})
        areas = exact_numbers({"area": area} if area else {})
        if isinstance(sides, str) or isinstance(areas, str):
            return sides if isinstance(sides, str) else str(areas)
        if areas and areas[0] < 0:
            return f"its area is {area:.20}, less than nothing"
        left, top, right, bottom = sides
        return Box(nearest(left, top, right, bottom), label, ignored == "1", float(areas[0]) if areas else None)


@dataclass
class _Reading:
    """What one pass over a table has found so far: the rows of each image, and the split it is in."""

    table: str
    intake: Intake
    offered: set[Path]
    rows: dict[Path, list[_Row]] = field(default_factory=dict)
    splits: dict[Path, str] = field(default_factory=dict)

    def refuse(self, row: _Row, reason: str, cure: str, value: str | None = None) -> None:
        self.intake.refuse_label(self.table, reason, cure, line=row.line, value=row.text if value is None else value)

    def take(self, row: _Row) -> None:
        """Keep one row or say why not."""
        try:
            row.text.encode()
        except UnicodeEncodeError:
            return self.refuse(row, "it is not UTF-8", "Save the table as UTF-8.")
        if len(row.fields) != row.columns.width:
            reason = f"{len(row.fields)} fields where {row.columns.width} are expected"
            return self.refuse(row, reason, "Put quotes around fields that hold the separator.")
        split = "train" if row.columns.split is None else split_named(row.said(row.columns.split))
        if split is None:
            return self.refuse(row, "this is no split", "Write train, val or test.", row.said(row.columns.split))
        text = row.said(row.columns.path)
        path = image_path(self.intake.root, text)
        if not isinstance(path, Path):
            return self.refuse(row, *path, text)
        if path not in self.offered:
            return self.refuse(row, "the file cannot be used, as it says further on", "Mend the file.", text)
        if self.splits.setdefault(path, split) != split:
            reason = f"its image is in {self.splits[path]} by line {self.rows[path][0].line}"
            return self.refuse(row, reason, "Put all its boxes into one split.", split)
        self.rows.setdefault(path, []).append(row)
        return None


class CsvBoxesFormat(AbstractFormat):
    """A CSV or TSV table whose head names the columns; paths are relative to its folder, corners are half-open pixels.

    Two more columns may be there: `ignored` (0 or 1) and `area`. A row whose four corners are empty names an image of
    nothing but background. Numbers are written as they are, so that they are read again to the last bit. `classes.txt`
    beside the table gives classes their order, and refuses others; without it they are the names that occur.
    """

    name = "csv-boxes"
    task = "detect"

    def sniff(self, path: Path) -> bool:
        """A table whose head names an image, a label and the corners of a box."""
        try:
            _, first = next(table_rows(table_at(path)), (1, []))
        except (DataError, UsageError, OSError):
            return False
        return not isinstance(first, csv.Error) and _columns(first) is not None

    def read(self, path: Path) -> Dataset:
        """One record an image; images that no row names are refused as well."""
        table = table_at(path)
        intake = Intake(table.parent, [table.parent])
        intake.demand(Path(table.name))
        reading = _read_rows(table, intake)
        names = ClassNames.of(intake, [row.label for rows in reading.rows.values() for row in rows])
        sizes = photo_sizes(intake, reading.rows)
        splits: dict[str, list[Record]] = {}
        for image, rows in reading.rows.items():
            if image not in sizes:
                for row in rows:
                    reading.refuse(row, "its image cannot be used", "Mend the image.")
            elif record := _record(reading, ImageBoxes(intake, image, sizes[image]), rows, names):
                splits.setdefault(reading.splits[image], []).append(record)
        count = sum(len(record.label) for records in splits.values() for record in records)
        intake.use(Path(table.name), count)
        return intake.dataset(self, names.classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`boxes.csv`, `classes.txt`, and the images in `images/split`."""
        names = class_lines_text(dataset.classes)
        claim_folder(folder)
        boxes = [box for records in dataset.splits.values() for record in records for box in record.label]
        more = [
            head for head, wanted in (("ignored", any(box.ignored for box in boxes)), ("area", _own(boxes))) if wanted
        ]
        rows = [["path", "label", *BOX_HEADS[0], "split", *more]]
        for split, record, path in placed(dataset, lambda split: folder / "images" / split):
            name = path.relative_to(folder).as_posix()
            rows += [[name, *_fields(box, dataset.classes, split, more)] for box in record.label]
            if not len(record.label):
                rows.append([name, *[""] * 5, split, *[""] * len(more)])
        with atomic_path(folder / "boxes.csv") as draft, draft.open("w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows(rows)
        write_atomic(folder / CLASSES, names)


def _columns(first: list[str]) -> _Columns | None:
    """What the head of a table says of its columns; None where it is not that of a table of boxes."""
    heads, sides = heads_of(first), boxes_in(first)
    path, label = place_of(PATH_HEADS, heads), place_of(LABEL_HEADS, heads)
    if path is None or label is None or not sides:
        return None
    split, ignored, area = (place_of(names, heads) for names in (SPLIT_HEADS, IGNORED_HEADS, AREA_HEADS))
    places = {side: heads.index(head) for side, head in zip(BOX_HEADS[0], sides, strict=True)}
    return _Columns(path, label, places, split, ignored, area, len(first))


def _read_rows(table: Path, intake: Intake) -> _Reading:
    reading = _Reading(table.name, intake, set(intake.waiting))
    columns: _Columns | None = None
    for line, fields in table_rows(table):
        if isinstance(fields, csv.Error):
            cure = "Look for quotes that are open or misplaced."
            intake.refuse_label(table.name, f"it cannot be read: {fields}", cure, line=line)
        elif columns is None:
            columns = _columns(fields)
            if columns is None:
                raise DataError(f"{table}:{line}: {fields} is no head with path, label, left, top, right and bottom.")
            _note_head(intake, Path(table.name), fields, columns)
        else:
            reading.take(_Row(line, fields, columns))
    return reading


def _note_head(intake: Intake, table: Path, first: list[str], columns: _Columns) -> None:
    if unused := columns.unused(first):
        intake.note(table, f"columns that are not used: {', '.join(unused)}")
    if set(boxes_in(first)) != set(BOX_HEADS[0]):
        intake.note(table, f"{', '.join(boxes_in(first))} are read as pixels from 0, right and bottom not included")


def _record(reading: _Reading, taken: ImageBoxes, rows: list[_Row], names: ClassNames) -> Record | None:
    boxed = [row for row in rows if not row.is_blank]
    for row in [row for row in rows if row.is_blank]:
        if row.label:
            taken.take("it has a label and no box", reading.table, line=row.line, value=row.text, cure=CURE)
        elif boxed:
            reason = f"it says that there is nothing, and line {boxed[0].line} gives a box"
            reading.refuse(row, reason, "Remove one of the two lines.")
    for row in boxed:
        taken.take(row.box(names), reading.table, line=row.line, value=row.text, cure=CURE)
    return taken.record()


def _own(boxes: Iterable[Box]) -> bool:
    """Whether an area is another than its box has."""
    return any(box.area != box_area(box.xyxy) for box in boxes)


def _fields(box: Box, classes: tuple[str, ...], split: str, more: list[str]) -> list[str]:
    extra = {"ignored": str(int(box.ignored)), "area": repr(box.area)}
    return [classes[box.label], *map(repr, box.xyxy), split, *(extra[head] for head in more)]


FORMATS = {"csv-boxes": CsvBoxesFormat()}
