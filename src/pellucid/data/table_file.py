"""Tables of labels: CSV and TSV files, read row by row, and the images that their rows name."""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pellucid.errors import DataError, UsageError

__all__ = [
    "BOX_HEADS",
    "LABEL_HEADS",
    "PATH_HEADS",
    "SPLIT_HEADS",
    "boxes_in",
    "heads_of",
    "image_path",
    "place_of",
    "table_at",
    "table_rows",
]

SUFFIXES = (".csv", ".tsv")
PATH_HEADS = ("path", "file", "filename", "file_name", "filepath", "image", "image_path")
LABEL_HEADS = ("label", "class", "category", "target")
SPLIT_HEADS = ("split", "subset")
BOX_HEADS = (("left", "top", "right", "bottom"), ("xmin", "ymin", "xmax", "ymax"))


def table_at(path: Path) -> Path:
    """The table at a path: the file itself, or the only one in a folder."""
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"{path} is not named .csv or .tsv.")
        return path
    tables = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in SUFFIXES and entry.is_file())
    if len(tables) != 1:
        names = ", ".join(table.name for table in tables) or "none"
        raise UsageError(f"{path} must hold exactly one .csv or .tsv table; it holds {names}. Give the table's path.")
    return tables[0]


def table_rows(table: Path) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """(first line, fields) of every row that is not blank, or what is wrong with it.

    Bytes that are not UTF-8 come as surrogates.
    """
    raw = table.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{table} is UTF-16. Save it as UTF-8 (in Excel: CSV UTF-8).")
    text = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    first = text.split("\n", 1)[0]
    separator = max("\t;,", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, error
        else:
            if any(value.strip() for value in fields):
                yield line, fields


def heads_of(first: Sequence[str]) -> list[str]:
    """The fields of a row as heads are compared."""
    return [value.strip().lower() for value in first]


def place_of(names: Sequence[str], heads: Sequence[str]) -> int | None:
    """Where the first of some names stands among the heads of a table."""
    return next((heads.index(name) for name in names if name in heads), None)


def boxes_in(first: Sequence[str]) -> tuple[str, ...]:
    """The heads of the four columns of a box, where the first row of a table has them."""
    heads = heads_of(first)
    return next((sides for sides in BOX_HEADS if set(sides) <= set(heads)), ())


def image_path(root: Path, text: str) -> Path | tuple[str, str]:
    """The path of an image below the table's folder, or (reason, cure) where it is none."""
    path = Path(os.path.normpath(text)) if text else Path()
    if "\\" in text and not (root / path).exists():
        path = Path(os.path.normpath(text.replace("\\", "/")))
    if not text or "\0" in text:
        return "the path is empty or holds a NUL", "Write the image's path."
    if path.is_absolute() or not (root / path).resolve().is_relative_to(root.resolve()):
        return "the path leads out of the table's folder", "Move the image below it."
    if not (root / path).is_file():
        return "there is no such file", f"Paths are relative to {root}."
    return path
