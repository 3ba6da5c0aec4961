"""COCO's JSON files: images, categories and annotations, checked entry by entry."""

import json
import mmap
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from pellucid.data.class_table import ClassTable, table_of_names
from pellucid.data.dataset import split_named
from pellucid.data.intake import Intake
from pellucid.data.walk import folders_in
from pellucid.errors import DataError
from pellucid.files import write_atomic

__all__ = [
    "Coco",
    "CocoImage",
    "CocoText",
    "annotation_place",
    "are_whole",
    "box_and_area",
    "coco_files",
    "coco_root",
    "instance_files",
    "read_coco",
    "says_task",
]

KEYS = (b'"images"', b'"annotations"', b'"categories"')
TASK = "task"
EXACT_NUMBER = re.compile(r'"\\u0000([-.0-9]+)"')  # digits behind a NUL, which no name has: more than floats hold
MOST = 2**31  # of an id, or of pixels on a side


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image that a file describes and that is here: its path relative to the root, and its (height, width)."""

    path: Path
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Coco:
    """One JSON file: images and names of categories by their ids, and the annotations as they stand there.

    `absent` are the ids of images that are described and cannot be used.
    """

    path: Path
    split: str
    images: dict[int, CocoImage]
    absent: set[int]
    names: dict[int, str]
    annotations: list[Any]

    def lacks(self, key: int) -> str | None:
        """Why an annotation of the image of that id cannot be used."""
        if key in self.images:
            return None
        return f"its image {key} cannot be used" if key in self.absent else f"there is no image {key}"

    def table(self, others: Sequence["Coco"], intake: Intake) -> ClassTable:
        """The categories of this file, which must be those of the others as well."""
        for other in others:
            if other.names != self.names:
                raise DataError(f"{self.path} and {other.path} name different categories. Give both the same.")
        for name, count in Counter(self.names.values()).items():
            if count > 1:
                intake.note(self.path, f"{count} categories are called {name!r}: they are one class")
        return table_of_names(self.names, self.path)


def are_whole(*values: Any) -> bool:
    """Whether values are whole numbers of a size that ids and images have; JSON's `true` is none."""
    return all(type(value) is int and 0 <= value < MOST for value in values)


def coco_files(path: Path, pattern: bytes = b"") -> list[Path]:
    """JSON files of COCO's kind that hold a pattern: the path, or those in a folder, its `annotations`, its splits."""
    folders = [folder for folder in folders_in(path) if folder.name == "annotations" or split_named(folder.name)]
    files = [path] if path.is_file() else sorted(file for place in (path, *folders) for file in place.glob("*.json"))
    return [file for file in files if file.suffix.lower() == ".json" and file.is_file() and _holds(file, pattern)]


def _holds(path: Path, pattern: bytes) -> bool:
    try:
        with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return all(content.find(key) >= 0 for key in KEYS) and re.search(pattern, content) is not None
    except (OSError, ValueError):  # ValueError: the file is empty
        return False


def says_task(file: Path) -> str | None:
    """The task that a file of ours names in its `info`, which stands at its beginning."""
    with file.open("rb") as handle:
        found = re.match(rb'\s*\{\s*"info"\s*:\s*\{\s*"task"\s*:\s*"(\w+)"', handle.read(200))
    return found[1].decode() if found else None


def annotation_place(coco: "Coco", annotation: Any, at: int) -> str:
    """How the ledger calls an annotation: by its id, or by its place where it has none."""
    key = annotation.get("id", f"at {at}") if isinstance(annotation, dict) else f"at {at}"
    return f"{coco.path}#{key!s:.20}"


def instance_files(path: Path, pattern: bytes) -> list[Path]:
    """The files to read; beside `instances_…` others (key points, captions) say the same again or nothing."""
    panoptic = coco_files(path, b'"segments_info"')
    files = [file for file in coco_files(path, pattern) if file not in panoptic]
    return [file for file in files if file.name.startswith("instances")] or files


def coco_root(path: Path) -> Path:
    """The folder of a dataset that is given by itself or by its JSON file."""
    if path.is_dir():
        return path
    return path.parent.parent if path.parent.name == "annotations" else path.parent


def read_coco(
    intake: Intake,
    path: Path,
    candidates: Iterable[Path],
    taken: set[Path],
    *,
    split: str | None = None,
    number: Callable[[str], Any] = float,
) -> Coco:
    """What a JSON file (relative to the root) says; the files of its images are looked for among the candidates.

    Those that are `taken` by an entry before are refused, new ones are added there. `number` reads what is not whole.
    """
    intake.demand(path)
    content = _content(intake.root / path, number)
    coco = Coco(path, split or _split(path), {}, set(), _names(content["categories"], path), content["annotations"])
    by_name: dict[str, list[Path]] = {}
    for candidate in candidates:
        by_name.setdefault(candidate.name, []).append(candidate)
    for entry in content["images"]:
        key: Any = entry.get("id") if isinstance(entry, dict) else None
        found = _image(entry, coco, by_name)
        if isinstance(found, CocoImage) and found.path not in taken:
            coco.images[entry["id"]] = found
            taken.add(found.path)
            continue
        if are_whole(key) and key not in coco.images:
            coco.absent.add(key)
        trouble = found if isinstance(found, str) else "it is described twice"
        cure = "Put it there, or mend its entry."
        intake.refuse_label(f"{path}#image {key!s:.20}", trouble, cure, value=reprlib.repr(entry))
    return coco


def _image(entry: Any, coco: Coco, by_name: Mapping[str, list[Path]]) -> CocoImage | str:
    """The image of an entry, or what is wrong with it."""
    match entry:
        case {"id": key, "file_name": str(name), "height": height, "width": width} if are_whole(key, height, width):
            if key in coco.images:
                return "another image has this id"
            parts = Path(name).parts
            fitting = [path for path in by_name.get(Path(name).name, []) if path.parts[-len(parts) :] == parts]
            if not fitting:
                return f"there is no file {name!r:.80}"
            return CocoImage(min(fitting, key=lambda path: _distance(path, coco)), (height, width))
    return "its entry needs a whole id, height and width, and a file_name"


def _distance(image: Path, coco: Coco) -> tuple[bool, bool, bool]:
    """Which of several files of one name is meant: the one beside the JSON file, or in a folder called like it."""
    folder = image.parent.name
    splits = {split_named(part.rstrip("0123456789")) for part in image.parts}
    return image.parent != coco.path.parent, not folder or folder not in coco.path.stem, coco.split not in splits


def _split(path: Path) -> str:
    """`train` for `instances_train2017.json`, `val` for `valid/_annotations.coco.json`."""
    words = [path.parent.name, *re.split(r"[^a-z]+", path.stem.lower())]
    return next((split for split in map(split_named, words) if split), "train")


def _content(path: Path, number: Callable[[str], Any]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes(), parse_float=number)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged: {error}. Replace it with an intact copy.") from error
    keys = ("images", "categories", "annotations")
    for key in keys:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{path} must hold lists of {', '.join(keys)}, as COCO's files do; {key} is none.")
    return content


def _names(categories: list[Any], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for category in categories:
        match category:
            case {"id": key, "name": str(name)} if are_whole(key) and names.get(key, name) == name:
                names[key] = name
            case _:
                raise DataError(
                    f"{path}: the category {reprlib.repr(category)} must have a name and a whole id of its own."
                )
    return names


@dataclass(frozen=True, slots=True)
class CocoText:
    """A JSON file in the making. Ids count from 1."""

    categories: Sequence[Mapping[str, Any]]
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def add_image(self, name: str, size: tuple[int, ...]) -> int:
        """Enter an image by its file's name and (height, width); gives its id."""
        key = len(self.images) + 1
        self.images.append({"id": key, "file_name": name, "height": size[0], "width": size[1]})
        return key

    def write(self, path: Path, task: str) -> None:
        """The file, whole or not at all; its `info` says what it was written for, since it may hold more than that."""
        content = {
            "info": {TASK: task},
            "images": self.images,
            "categories": self.categories,
            "annotations": self.annotations,
        }
        write_atomic(path, EXACT_NUMBER.sub(r"\1", json.dumps(content)))


def box_and_area(pixels: Bool[ndarray, "h w"]) -> dict[str, Any]:
    """What COCO keeps beside an outline: `bbox` (x, y, width, height) and `area` in pixels."""
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    width, height = int(columns[-1]) - left + 1, int(rows[-1]) - top + 1
    return {"bbox": [left, top, width, height], "area": int(pixels.sum())}
