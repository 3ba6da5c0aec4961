"""The ledger of a dataset in the making: every file that was found waits until it is used or refused."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pellucid.data.dataset import AbstractFormat, Dataset
from pellucid.data.ledger import Ledger, Note, Refusal
from pellucid.data.walk import Walk, is_image, stray_reason
from pellucid.errors import DataError
from pellucid.types import Record

__all__ = ["Intake"]


class Intake:
    """Files below some folders, by their paths relative to `root`: `waiting` until they are spoken of."""

    def __init__(self, root: Path, folders: Iterable[Path]) -> None:
        walk = Walk(root)
        self.root = root
        self.waiting = {path.relative_to(root): None for folder in _outermost(folders) for path in walk.files(folder)}
        self.used: dict[str, int] = {}
        self.refused = walk.refused
        self.notes: list[Note] = []

    def below(self, folder: Path) -> list[Path]:
        """The waiting files in a folder and deeper."""
        return [path for path in self.waiting if folder in path.parents]

    def demand(self, path: Path) -> None:
        """Raise DataError where a file without which nothing can be read is not among those that may be used."""
        if path not in self.waiting:
            reasons = [refusal.reason for refusal in self.refused if path.is_relative_to(refusal.file)]
            raise DataError(
                f"{self.root / path} cannot be used: {next(iter(reasons), 'there is no such file')}. Put it there."
            )

    def use(self, path: Path, count: int = 1) -> None:
        """Take a file for that number of images or labels."""
        self.waiting.pop(path, None)
        self.used[path.as_posix()] = count

    def refuse(self, path: Path, reason: str, cure: str) -> None:
        """Put a file aside."""
        self.waiting.pop(path, None)
        self.refused.append(Refusal(path.as_posix(), reason, cure))

    def refuse_label(self, place: str, reason: str, cure: str, *, line: int | None = None, value: str = "") -> None:
        """Put one label of a file aside; `place` names it, as `labels.json#7` does."""
        self.refused.append(Refusal(_shown(place), _shown(reason), cure, line, _shown(value)[:200] or None))

    def note(self, path: Path, text: str) -> None:
        """Say something of a file that is used."""
        self.notes.append(Note(path.as_posix(), _shown(text)))

    def dataset(
        self, format: AbstractFormat, classes: tuple[str, ...], splits: Mapping[str, Iterable[Record]]
    ) -> Dataset:
        """The dataset of these records; files that are still waiting are refused."""
        for path in list(self.waiting):
            reason = "no label names this image" if is_image(path) else stray_reason(path)
            self.refuse(path, reason, "Nothing needs to be done if it is no part of the data.")
        ledger = Ledger(self.used, tuple(self.refused), tuple(self.notes))
        frozen = {split: tuple(records) for split, records in splits.items()}
        return Dataset(format.task, classes, frozen, self.root, ledger, format.name)


def _shown(text: str) -> str:
    """Text from a file as it can be printed and kept: JSON and YAML may hold signs that no encoding has."""
    return text.encode("utf-8", "backslashreplace").decode()


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Folders without those that lie in another of them."""
    unique = dict.fromkeys(folders)
    return [folder for folder in unique if not unique.keys() & set(folder.parents)]
