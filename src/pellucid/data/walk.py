"""What lies in a dataset's folder: hidden things, broken links and names that are none are refused on the way."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.data.ledger import Refusal
from pellucid.image import SUFFIXES

__all__ = ["Walk", "folders_in", "holds_images", "is_hidden", "is_image", "stray_reason"]

JUNK_FOLDERS = ("__MACOSX", "__pycache__", "@eaDir")


@dataclass
class Walk:
    """A way through the folders below a root, and what could not be walked or read on it."""

    root: Path
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, path: Path, reason: str, cure: str) -> None:
        """Put a file or folder aside."""
        name = path.relative_to(self.root).as_posix().encode("utf-8", "backslashreplace").decode()
        self.refused.append(Refusal(name, reason, cure))

    def entries(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The (folders, files) in a folder that may be used, by name; links are followed inside the root."""
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self.refuse(folder, f"the folder cannot be read: {error.strerror}", "Make it readable.")
            return [], []
        folders: list[Path] = []
        files: list[Path] = []
        for entry in entries:
            path = folder / entry.name
            if trouble := self._trouble(entry, path):
                self.refuse(path, *trouble)
            else:
                (folders if entry.is_dir() else files).append(path)
        return folders, files

    def _trouble(self, entry: os.DirEntry[str], path: Path) -> tuple[str, str] | None:
        """(reason, cure) where an entry of a folder can be neither read nor walked into."""
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            return "its name is not valid UTF-8", "Rename it."
        if entry.is_symlink() and (trouble := self._link_trouble(path)):
            return trouble, "Put the files themselves there."
        if entry.is_dir():
            if not is_hidden(entry.name):
                return None
            count = sum(len(names) for _, _, names in os.walk(path))
            return f"a hidden folder with {count} files", "Remove it, or rename it if it is a class."
        return None if entry.is_file() else ("it is not a file", "Remove it.")

    def _link_trouble(self, path: Path) -> str | None:
        try:
            target = path.resolve(strict=True)
        except OSError:  # also a link to itself
            return "a link to nothing"
        except RuntimeError:  # the same before Python 3.13
            return "a link to itself"
        if not target.is_relative_to(self.root.resolve()):
            return "a link that leads out of the dataset's folder"
        if path.parent.resolve().is_relative_to(target):
            return "a link that leads back to a folder around it"
        return None

    def files(self, folder: Path) -> Iterator[Path]:
        """Every file below a folder that may be used."""
        folders, files = self.entries(folder)
        yield from files
        for deeper in folders:
            yield from self.files(deeper)


def is_hidden(name: str) -> bool:
    """Whether a folder is one that systems and tools leave behind; nobody means it as a class."""
    return name.startswith(".") or name in JUNK_FOLDERS


def is_image(path: Path) -> bool:
    """Whether the name of a file is that of an image which is not hidden."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def stray_reason(path: Path) -> str:
    """Why a file that is not taken for an image is not."""
    if path.name.startswith("."):
        return "a hidden file"
    return f"its suffix {path.suffix!r} is no image's" if path.suffix else "a file without a suffix, no image"


def folders_in(path: Path) -> list[Path]:
    """Folders in a folder that are not hidden, by name; none where it cannot be read."""
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir() and not is_hidden(entry.name))
    except OSError:
        return []


def holds_images(path: Path) -> bool:
    """Whether a file with the name of an image lies anywhere below a folder."""
    return any(is_image(Path(name)) for _, _, names in os.walk(path) for name in names)
