"""Class tables: which value of a mask, or which id of an annotation, means which class."""

import re
import reprlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.data.masks import IGNORE, MOST_CLASSES
from pellucid.errors import DataError, UsageError

__all__ = ["BACKGROUND", "ClassTable", "class_table_text", "read_class_table", "table_of_names"]

BACKGROUND = "background"
IGNORED = {"void", "unlabelled", "unlabeled", "ignore", "ignored"}
CSV_HEAD = re.compile(r"name,\s*r,\s*g,\s*b", re.IGNORECASE)

# The forms of a line, told apart by the first that fits one of them; then all must have it.
RGB = r"(?P<red>\d{1,3})[\s,]+(?P<green>\d{1,3})[\s,]+(?P<blue>\d{1,3})"
FORMS = (
    re.compile(rf"{RGB}[\s,]+(?P<name>\D.*)"),
    re.compile(rf"(?P<name>\D.*?)[\s,]+{RGB}"),
    re.compile(r"(?P<id>\d{1,9})[\s,:]+(?P<name>.+)"),
    re.compile(r"(?P<name>.+)"),
)


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Names of classes with their ids and, where there are any, their colours (red + 256 green + 65536 blue).

    Ids of the same name are one class; those called void, unlabelled, unlabeled, ignore or ignored are none.
    """

    source: Path | str
    names: tuple[str, ...]
    ids: tuple[int, ...]
    colors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table that says two things of one id or colour."""
        for what, keys in (("id", self.ids), ("colour", self.colors)):
            twice = [key for key, count in Counter(keys).items() if count > 1]
            if twice:
                raise DataError(f"{self.source} gives the {what} {twice[0]} to two classes. Keep one of them.")
        for name in self.names:
            if not name.isprintable():
                raise DataError(f"{self.source}: the name {name!r} holds signs that cannot be shown. Write it anew.")

    def classes(self, *, background: bool = False) -> tuple[str, ...]:
        """The classes to learn, in the order of their ids; `background` puts one before them."""
        rows = sorted(zip(self.ids, self.names, strict=True))
        names = [name for _, name in rows if name.casefold() not in IGNORED]
        classes = tuple(dict.fromkeys([BACKGROUND, *names] if background else names))
        if not 1 <= len(classes) <= MOST_CLASSES:
            raise DataError(f"{self.source}: {len(classes)} classes to learn; there must be 1 to {MOST_CLASSES}.")
        return classes

    def by_id(self, classes: tuple[str, ...]) -> dict[int, int]:
        """The class index of each id, IGNORE for those that are not learnt."""
        return dict(zip(self.ids, self._labels(classes), strict=True))

    def by_color(self, classes: tuple[str, ...]) -> dict[int, int]:
        """The class index of each colour, IGNORE for those that are not learnt."""
        return dict(zip(self.colors, self._labels(classes), strict=True)) if self.colors else {}

    def _labels(self, classes: tuple[str, ...]) -> list[int]:
        return [classes.index(name) if name in classes else IGNORE for name in self.names]


def read_class_table(path: Path) -> ClassTable:
    """The table in a text file: `name`, `id name`, `name r g b` or `r g b name` a line; ids count from 0."""
    try:
        return _parsed(path.read_text("utf-8-sig"), path)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8. Save it as UTF-8.") from error


def class_table_text(classes: tuple[str, ...]) -> str:
    """The file from which `read_class_table` reads these classes again."""
    text = "".join(f"{at} {name}\n" for at, name in enumerate(classes))
    again = _parsed(text, "classes.txt").classes()
    for name in classes:
        if name not in again:
            raise UsageError(f"The class {name!r} cannot be written as a line of its own. Rename it first.")
    return text


def _parsed(text: str, source: Path | str) -> ClassTable:
    lines = [line.strip() for line in text.rstrip().splitlines()]
    rows = _rows(lines[1:] if lines and CSV_HEAD.fullmatch(lines[0]) else lines, source)
    ids = tuple(int(row.get("id", at)) for at, row in enumerate(rows))
    colors = tuple(_color(row, source) for row in rows if "red" in row)
    return ClassTable(source, tuple(row["name"].strip() for row in rows), ids, colors)


def _rows(lines: list[str], source: Path | str) -> list[dict[str, str]]:
    for form in FORMS:
        found = [form.fullmatch(line) for line in lines]
        if any(found):
            break
    for line, match in zip(lines, found, strict=True):
        if match is None:
            raise DataError(f"{source}: {line!r} is not written like its other lines. Write all of them in one form.")
    return [match.groupdict() for match in found if match]


def _color(row: Mapping[str, str], source: Path | str) -> int:
    red, green, blue = (int(row[name]) for name in ("red", "green", "blue"))
    if max(red, green, blue) > 255:
        raise DataError(f"{source}: {red} {green} {blue} is no colour of {row['name']!r}. Colours run from 0 to 255.")
    return red + 256 * green + 65536 * blue


def table_of_names(names: Any, source: Path | str) -> ClassTable:
    """The table that a list of names, or a mapping of ids to names, gives."""
    rows = names if isinstance(names, dict) else dict(enumerate(names if isinstance(names, list) else []))
    for key, name in rows.items():
        if not (str(key).isdecimal() and len(str(key)) < 10 and isinstance(name, str) and name.strip()):
            raise DataError(
                f"{source}: {reprlib.repr(key)}: {reprlib.repr(name)} is no class. Write a number and a name in quotes."
            )
    return ClassTable(source, tuple(name.strip() for name in rows.values()), tuple(map(int, rows)))
