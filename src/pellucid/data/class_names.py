"""Classes that labels name in full: those of a list beside the data, or else all names that occur."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pellucid.data.class_table import read_class_table
from pellucid.data.dataset import ordered_classes
from pellucid.data.intake import Intake

__all__ = ["CLASSES", "ClassNames"]

CLASSES = "classes.txt"


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Class names in the order of their indices; `listed` says that a file gives them, so that others are none."""

    classes: tuple[str, ...]
    listed: bool

    @classmethod
    def of(cls, intake: Intake, found: Iterable[str]) -> "ClassNames":
        """Those of `classes.txt` in the root, which is used then, or those found that can be names."""
        path = Path(CLASSES)
        if path in intake.waiting:
            classes, _ = read_class_table(intake.root / path).all_classes()
            intake.use(path, len(classes))
            return cls(tuple(dict.fromkeys(map(_plain, classes))), True)
        return cls(ordered_classes(name for name in found if name and name.isprintable()), False)

    def label(self, name: str) -> int | str:
        """The index of a class, or why there is none."""
        if not name:
            return "it names no class"
        if not name.isprintable():
            return f"the name {name!r:.60} holds signs that cannot be shown"
        plain = _plain(name)
        return self.classes.index(plain) if plain in self.classes else f"there is no class {name!r:.60} in {CLASSES}"


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
