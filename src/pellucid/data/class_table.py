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

__all__ = [
    "BACKGROUND",
    "ClassTable",
    "class_lines_text",
    "class_table_text",
    "read_class_table",
    "refuse_names",
    "refuse_unwritable",
    "table_of_names",
]

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
    `counted` says that the ids are places in a list of names, since nothing else was written.
    """

    source: Path | str
    names: tuple[str, ...]
    ids: tuple[int, ...]
    colors: tuple[int, ...] = ()
    counted: bool = False

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
        """The classes to learn, in the order of their ids; with `background` it comes first, named or not."""
        rows = sorted(zip(self.ids, self.names, strict=True))
        names = [name for _, name in rows if name.casefold() not in IGNORED]
        if not names:
            raise DataError(f"{self.source} names no class to learn. Write a name a line, or ids and names.")
        if background:
            grounds = [name for name in names if name.casefold() == BACKGROUND]
            names = [*(grounds or [BACKGROUND]), *names]
        classes = tuple(dict.fromkeys(names))
        if len(classes) > MOST_CLASSES:
            raise DataError(
                f"{self.source}: {len(classes)} classes to learn, and there may be {MOST_CLASSES}. Unite some."
            )
        return classes

    def all_classes(self) -> tuple[tuple[str, ...], dict[int, int]]:
        """Every name in the order of the ids, whatever it is, and the class index of each id."""
        rows = sorted(zip(self.ids, self.names, strict=True))
        if not rows:
            raise DataError(f"{self.source} names no class. Write a name a line, or ids and names.")
        classes = tuple(dict.fromkeys(name for _, name in rows))
        return classes, {key: classes.index(name) for key, name in rows}

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


def refuse_names(classes: tuple[str, ...]) -> None:
    """Raise UsageError where a reader would take the name of a class for another, or for none to learn."""
    for name in classes:
        if name.casefold() in IGNORED:
            raise UsageError(f"The class {name!r} would be read as none to learn. Rename it first.")
    refuse_unwritable(classes)


def refuse_unwritable(classes: tuple[str, ...]) -> None:
    """Raise UsageError where the name of a class would not be read as it was written."""
    for name in classes:
        if not name.isprintable() or not name.strip() or name != name.strip():
            raise UsageError(f"The class {name!r} cannot be written as it is. Rename it first.")


def class_table_text(classes: tuple[str, ...]) -> str:
    """The file from which `read_class_table` reads these classes again."""
    refuse_names(classes)
    return class_lines_text(classes)


def class_lines_text(classes: tuple[str, ...]) -> str:
    """The same, whatever the classes are called."""
    refuse_unwritable(classes)
    for name in classes:
        if _rows([f"0 {name}"], "")[0] != {"id": "0", "name": name}:
            raise UsageError(f"The class {name!r} cannot be written as a line of its own. Rename it first.")
    return "".join(f"{at} {name}\n" for at, name in enumerate(classes))


def _parsed(text: str, source: Path | str) -> ClassTable:
    lines = [line.strip() for line in text.rstrip().splitlines()]
    head = 1 if lines and CSV_HEAD.fullmatch(lines[0]) else 0
    rows = _rows(lines[head:], source, head + 1)
    ids = tuple(int(row.get("id", at)) for at, row in enumerate(rows))
    colors = tuple(_color(row, source) for row in rows if "red" in row)
    counted = bool(rows) and not {"id", "red"} & rows[0].keys()
    return ClassTable(source, tuple(row["name"].strip() for row in rows), ids, colors, counted)


def _rows(lines: list[str], source: Path | str, first: int = 1) -> list[dict[str, str]]:
    found: list[re.Match[str] | None] = []
    for form in FORMS:
        found = [form.fullmatch(line) for line in lines]
        if any(found):
            break
    for number, (line, match) in enumerate(zip(lines, found, strict=True), first):
        if match is None:
            raise DataError(
                f"{source}:{number}: {line!r} is not written like its other lines. Write all of them in one form."
            )
    return [match.groupdict() for match in found if match]


def _color(row: Mapping[str, str], source: Path | str) -> int:
    red, green, blue = (int(row[name]) for name in ("red", "green", "blue"))
    if max(red, green, blue) > 255:
        raise DataError(f"{source}: {red} {green} {blue} is no colour of {row['name']!r}. Colours run from 0 to 255.")
    return red + 256 * green + 65536 * blue


def table_of_names(names: Any, source: Path | str) -> ClassTable:
    """The table that a list of names, or a mapping of ids to names, gives."""
    if not isinstance(names, list | dict):
        raise DataError(f"{source} must list its classes as `0: sky`, a line each; it holds {reprlib.repr(names)}.")
    rows = names if isinstance(names, dict) else dict(enumerate(names))
    for key, name in rows.items():
        if not (str(key).isdecimal() and len(str(key)) < 10 and isinstance(name, str) and name.strip()):
            raise DataError(
                f"{source}: {reprlib.repr(key)}: {reprlib.repr(name)} is no class. Write a number and a name in quotes."
            )
    stripped = tuple(name.strip() for name in rows.values())
    return ClassTable(source, stripped, tuple(map(int, rows)), counted=rows is not names)
