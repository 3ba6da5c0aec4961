"""A folder per class, with or without train, val and test around them; deeper folders belong to their class."""

import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, ordered_classes, split_named
from pellucid.data.ledger import Ledger, Refusal
from pellucid.errors import UsageError
from pellucid.image import SUFFIXES, write_image
from pellucid.types import Record

__all__ = ["FORMATS", "FolderFormat"]

# Halves of annotated sets for other jobs; they are not classes when nothing else is there.
NO_CLASSES = {"images", "labels", "annotations", "masks", "Annotations", "JPEGImages", "ImageSets"}
JUNK_FOLDERS = ("__MACOSX", "__pycache__", "@eaDir")


@dataclass
class _Walk:
    """What one walk over the folder has found so far."""

    root: Path
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, path: Path, reason: str, cure: str) -> None:
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

    def images(self, folder: Path) -> Iterator[Path]:
        """Every file below a class's folder that has the name of an image."""
        folders, files = self.entries(folder)
        for path in files:
            if is_image(path):
                yield path
            else:
                self.refuse(path, stray_reason(path), "Remove it, or convert it to PNG if it is an image.")
        for deeper in folders:
            yield from self.images(deeper)

    def refuse_outside(self, files: list[Path]) -> None:
        """Files that lie beside the class folders."""
        for path in files:
            if is_image(path):
                self.refuse(path, "an image outside the class folders", "Move it into the folder of its class.")
            else:
                self.refuse(path, stray_reason(path), "Nothing needs to be done: it is no image.")


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


class FolderFormat(AbstractFormat):
    """Images in one folder per class, the commonest form of a labelled set."""

    name = "folder"
    task = "classify"

    def sniff(self, path: Path) -> bool:
        """Two class folders at least, with images or nothing in them."""
        if not path.is_dir():
            return False
        tops = _folders(path)
        class_folders = [deeper for top in tops for deeper in _folders(top)] if _has_splits(tops) else tops
        names = {folder.name for folder in class_folders}
        if len(names) < 2 or names <= NO_CLASSES:
            return False
        contents = {_content(folder) for folder in class_folders}
        return "images" in contents and "other" not in contents

    def read(self, path: Path) -> Dataset:
        """One record an image; an empty class folder is a class without images."""
        walk = _Walk(path)
        found: dict[str, list[tuple[str, Path]]] = {}
        names: set[str] = set()
        for split, folder in self._split_folders(walk, path):
            class_folders, stray = walk.entries(folder)
            walk.refuse_outside(stray)
            for class_folder in class_folders:
                name = unicodedata.normalize("NFC", class_folder.name)
                names.add(name)
                found.setdefault(split, []).extend((name, image) for image in walk.images(class_folder))
        classes = ordered_classes(names)
        index = {name: at for at, name in enumerate(classes)}
        splits = {
            split: tuple(Record(image.relative_to(path), index[name]) for name, image in images)
            for split, images in found.items()
        }
        used = {record.path.as_posix(): 1 for records in splits.values() for record in records}
        return Dataset(self.task, classes, splits, path, Ledger(used, tuple(walk.refused)), self.name)

    def _split_folders(self, walk: _Walk, path: Path) -> list[tuple[str, Path]]:
        """(split, folder of class folders), the folder itself being `train` where there are no splits."""
        if not _has_splits(_folders(path)):
            return [("train", path)]
        folders, files = walk.entries(path)
        walk.refuse_outside(files)
        splits = []
        for folder in folders:
            split = split_named(folder.name)
            if split:
                splits.append((split, folder))
            else:
                walk.refuse(folder, "a folder beside the splits", "Move it into train, val or test.")
        return splits

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`folder/split/class/name`; files are copied as they are, packed images become PNG."""
        names = _folder_names(dataset.classes)
        claim_folder(folder)
        for split in dataset.splits:
            for name in names:
                (folder / split / name).mkdir(parents=True)
        for split, records in dataset.splits.items():
            for record in records:
                copy_image(dataset, record, folder / split / names[record.label])


def copy_image(dataset: Dataset, record: Record, folder: Path) -> Path:
    """Put one image into a folder under a name that is still free there; gives its new path."""
    packed = record.item is not None
    stem = f"{record.path.name.split('.')[0]}-{record.item:06d}" if packed else record.path.stem
    suffix = ".png" if packed else record.path.suffix
    target, number = folder / f"{stem}{suffix}", 1
    while target.exists():
        number += 1
        target = folder / f"{stem}-{number}{suffix}"
    if packed:
        write_image(target, dataset.image(record).pixels)
    else:
        shutil.copyfile(dataset.root / record.path, target)
    return target


def _folder_names(classes: tuple[str, ...]) -> list[str]:
    """A folder name for every class: `T-shirt/top` becomes `T-shirt-top`."""
    names = [name.replace("/", "-").replace("\\", "-") for name in classes]
    twice = [name for name, count in Counter(names).items() if count > 1]
    unfit = [name for name in names if not name.strip() or is_hidden(name)]
    if twice or unfit:
        raise UsageError(f"The class {(twice or unfit)[0]!r} cannot be the name of a folder. Rename it first.")
    return names


def _folders(path: Path) -> list[Path]:
    """Folders in a folder that are not hidden; none where it cannot be read."""
    try:
        return [Path(entry.path) for entry in os.scandir(path) if entry.is_dir() and not is_hidden(entry.name)]
    except OSError:
        return []


def _has_splits(folders: list[Path]) -> bool:
    """Whether these are splits rather than classes: one is `train`, or all have a split's name."""
    named = [split_named(folder.name) for folder in folders]
    return "train" in named or (bool(named) and all(named))


def _content(folder: Path) -> str:
    """`images` where a folder or one in it holds an image, `other` where it holds other files only, or `empty`."""
    content = "empty"
    for _, _, files in os.walk(folder):
        for name in files:
            if is_image(Path(name)):
                return "images"
            content = content if name.startswith(".") else "other"
    return content


FORMATS = {"folder": FolderFormat()}
