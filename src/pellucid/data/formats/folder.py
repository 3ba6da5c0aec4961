"""A folder per class, with or without train, val and test around them; deeper folders belong to their class."""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pellucid.data.coco import coco_files
from pellucid.data.copying import copy_image
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, ordered_classes, split_named
from pellucid.data.formats.masks import mask_places
from pellucid.data.ledger import Ledger
from pellucid.data.walk import Walk, folders_in, is_hidden, is_image, stray_reason
from pellucid.errors import UsageError
from pellucid.types import Record

__all__ = ["FORMATS", "FolderFormat"]

# Halves of annotated sets for other jobs; they are not classes when nothing else is there.
NO_CLASSES = {
    *("images", "image", "labels", "annotations", "masks", "mask", "segmentation"),
    *("jpegimages", "imagesets"),
}


class FolderFormat(AbstractFormat):
    """Images in one folder per class, the commonest form of a labelled set."""

    name = "folder"
    task = "classify"

    def sniff(self, path: Path) -> bool:
        """Two class folders at least, with images or nothing in them."""
        if not path.is_dir():
            return False
        tops = folders_in(path)
        class_folders = [deeper for top in tops for deeper in folders_in(top)] if _has_splits(tops) else tops
        names = {folder.name.lower() for folder in class_folders}
        split_in_two = any((folder / "images").is_dir() and (folder / "masks").is_dir() for folder in class_folders)
        if len(names) < 2 or names <= NO_CLASSES or split_in_two or mask_places(path) or coco_files(path):
            return False
        contents = {_content(folder) for folder in class_folders}
        return "images" in contents and "other" not in contents

    def read(self, path: Path) -> Dataset:
        """One record an image; an empty class folder is a class without images."""
        walk = Walk(path)
        found: dict[str, list[tuple[str, Path]]] = {}
        names: set[str] = set()
        for split, folder in self._split_folders(walk, path):
            class_folders, stray = walk.entries(folder)
            _refuse_outside(walk, stray)
            for class_folder in class_folders:
                name = unicodedata.normalize("NFC", class_folder.name)
                names.add(name)
                found.setdefault(split, []).extend((name, image) for image in _images(walk, class_folder))
        classes = ordered_classes(names)
        index = {name: at for at, name in enumerate(classes)}
        splits = {
            split: tuple(Record(image.relative_to(path), index[name]) for name, image in images)
            for split, images in found.items()
        }
        used = {record.path.as_posix(): 1 for records in splits.values() for record in records}
        return Dataset(self.task, classes, splits, path, Ledger(used, tuple(walk.refused)), self.name)

    def _split_folders(self, walk: Walk, path: Path) -> list[tuple[str, Path]]:
        """(split, folder of class folders), the folder itself being `train` where there are no splits."""
        if not _has_splits(folders_in(path)):
            return [("train", path)]
        folders, files = walk.entries(path)
        _refuse_outside(walk, files)
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


def _images(walk: Walk, folder: Path) -> Iterator[Path]:
    """Every file below a class's folder that has the name of an image."""
    for path in walk.files(folder):
        if is_image(path):
            yield path
        else:
            walk.refuse(path, stray_reason(path), "Remove it, or convert it to PNG if it is an image.")


def _refuse_outside(walk: Walk, files: list[Path]) -> None:
    """Files that lie beside the class folders."""
    for path in files:
        if is_image(path):
            walk.refuse(path, "an image outside the class folders", "Move it into the folder of its class.")
        else:
            walk.refuse(path, stray_reason(path), "Nothing needs to be done: it is no image.")


def _folder_names(classes: tuple[str, ...]) -> list[str]:
    """A folder name for every class: `T-shirt/top` becomes `T-shirt-top`."""
    names = [name.replace("/", "-").replace("\\", "-") for name in classes]
    twice = [name for name, count in Counter(names).items() if count > 1]
    unfit = [name for name in names if not name.strip() or is_hidden(name)]
    if twice or unfit:
        raise UsageError(f"The class {(twice or unfit)[0]!r} cannot be the name of a folder. Rename it first.")
    return names


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
