"""YOLO's polygons: a text file for every image, a line an object, and a YAML file that names splits and classes."""

import itertools
import os
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.class_table import BACKGROUND, refuse_names, table_of_names
from pellucid.data.copying import copies
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.intake import Intake
from pellucid.data.masks import IGNORE, AbstractMask, Shape, ShapesMask
from pellucid.data.polygons import outlines, ring_trouble
from pellucid.data.walk import is_image
from pellucid.data.yaml_file import intake_around, yaml_contents
from pellucid.errors import DataError, UsageError
from pellucid.files import write_atomic
from pellucid.types import Record

__all__ = ["FORMATS", "YoloMasksFormat"]

SPLITS = ("train", "val", "test")
SLACK = 0.01  # share of a side that labelling tools may draw beyond an image
FILES = 100  # of labels that are looked into before a dataset is taken for one of other labels
TASK = "task"
SKIP = "skip_if_label_file_missing"
CURE = "Write a class and three points at least, `3 0.1 0.1 0.9 0.1 0.5 0.8`, in shares of width and height."


@dataclass(frozen=True, slots=True)
class _Listing:
    """What the YAML file says. `base` is the folder that it names, which may be another computer's."""

    path: Path
    content: dict[Any, Any]
    base: Path

    @property
    def home(self) -> Path:
        """The folder below which images are looked for."""
        return self.base if self.base.is_dir() else self.path.parent

    @property
    def splits(self) -> dict[str, list[Path]]:
        """Folders of images, here or not, by split; exports of Roboflow say `../train/images` for `train/images`."""
        named = {split: self.content[split] for split in SPLITS if self.content.get(split)}
        texts = {split: value if isinstance(value, list) else [value] for split, value in named.items()}
        return {split: [self._folder(text) for text in listed] for split, listed in texts.items()}

    def _folder(self, text: Any) -> Path:
        if not isinstance(text, str):
            raise DataError(f"{self.path} must name a folder of images where it says {reprlib.repr(text)}.")
        folder = Path(os.path.normpath(self.home / text))
        if folder.is_file():
            raise DataError(f"{self.path} must name a folder of images where it names the file {folder}.")
        return folder if folder.is_dir() else Path(os.path.normpath(self.home / text.removeprefix("../")))

    def label_files(self) -> Iterator[Path]:
        """The label files of all splits that are here, as they come."""
        places = [place for folders in self.splits.values() for folder in folders for place in _places(folder)]
        return (file for place in places for file in sorted(place.rglob("*.txt")) if file.is_file())


class YoloMasksFormat(AbstractFormat):
    """`data.yaml` (path, train, val, test, names); polygons in `labels` for images in `images`, by the same paths."""

    name = "yolo-masks"
    task = "segment"

    def sniff(self, path: Path) -> bool:
        """A YAML file with names and splits that says `task: segment`, or whose label files begin with a polygon."""
        try:
            return any(_holds_polygons(listing) for listing in _listings(path))
        except DataError:  # the one who gives the file itself is told what is wrong with it
            return path.is_file()

    def read(self, path: Path) -> Dataset:
        """One record an image; its classes are the background, then the names in the order of their ids."""
        listing = _listing(path)
        table = table_of_names(listing.content["names"], listing.path)
        classes = table.classes(background=True)
        labels = {float(key): label for key, label in table.by_id(classes).items()}
        intake = _offered(listing)
        intake.use(listing.path.relative_to(intake.root), len(table.names))
        splits: dict[str, list[Record]] = {}
        for split, folders in listing.splits.items():
            here = [folder.relative_to(intake.root) for folder in folders if any(map(Path.is_dir, _places(folder)))]
            splits[split] = [record for folder in here for record in _records(intake, folder, labels, listing)]
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`images/split`, `labels/split` and `data.yaml`; masks that hold no polygons are traced along their pixels."""
        import yaml

        refuse_names(dataset.classes)
        claim_folder(folder)
        names = [name for name in dataset.classes if name != BACKGROUND]
        numbers = {dataset.classes.index(name): number for number, name in enumerate(names)} | {IGNORE: len(names)}
        ignored = False
        for split, record, path, mask in copies(dataset, lambda split: folder / "images" / split):
            shapes = _shapes_of(record.label, mask, numbers)
            lines = [f"{numbers[shape.label]} {' '.join(map(repr, shape.rings[0]))}\n" for shape in shapes]
            write_atomic(folder / "labels" / split / f"{path.stem}.txt", "".join(lines))
            ignored |= any(shape.label == IGNORE for shape in shapes)
        listed = dict(enumerate([*names, "ignore"] if ignored else names))
        places = {split: f"images/{split}" for split in dataset.splits}
        content = {TASK: self.task, "path": ".", **places, "names": listed}
        write_atomic(folder / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _listings(path: Path) -> list[_Listing]:
    """The YAML files at a path that name classes and folders of images."""
    found = []
    for file, content in yaml_contents(path.resolve()):
        if "names" in content and any(isinstance(content.get(split), str | list) for split in SPLITS):
            base = content.get("path")
            home = Path(os.path.normpath(file.parent / (base if isinstance(base, str) else "")))
            found.append(_Listing(file, content, home))
    return found


def _listing(path: Path) -> _Listing:
    found = _listings(path)
    if len(found) != 1:
        names = ", ".join(listing.path.name for listing in found) or "none"
        raise UsageError(f"{path} must hold one YAML file with `names` and `train`; it holds {names}. Give its path.")
    return found[0]


def _holds_polygons(listing: _Listing) -> bool:
    """Whether a YAML file is about polygons, by what it says or by the first line of some label file."""
    if listing.content.get(TASK) == YoloMasksFormat.task:
        return True
    files = itertools.islice(listing.label_files(), FILES)
    lines = (line for file in files for line in file.read_text("utf-8", "replace").strip().splitlines()[:1])
    return any(len(line.split()) >= 7 and isinstance(_numbers(line.split()), list) for line in lines)


def _offered(listing: _Listing) -> Intake:
    """All files in the home of the YAML file and where it leads; what it names and is not there is noted."""
    named = [(split, place) for split, folders in listing.splits.items() for place in folders]
    places = [place for _, folder in named for place in _places(folder)]
    if not any(folder.is_dir() for _, folder in named):
        gone = ", ".join(str(folder) for _, folder in named)
        raise DataError(f"{listing.path} names folders that are not here: {gone}. Mend its `path`, or put them there.")
    intake = intake_around(listing.path, listing.home, places)
    own = listing.path.relative_to(intake.root)
    if listing.home != listing.base:
        intake.note(own, f"its path {listing.base} is not here; folders are looked for beside it")
    for split, folder in named:
        if not folder.is_dir():
            intake.note(own, f"its split {split!r} is not here: there is no folder {folder}")
    return intake


def _places(path: Path) -> tuple[Path, Path]:
    """Where the labels for a path of images lie: `labels/train` for `images/train`, or beside them."""
    parts = list(path.parts)
    at = max((at for at, part in enumerate(parts) if part == "images"), default=None)
    return (path, path) if at is None else (Path(*parts[:at], "labels", *parts[at + 1 :]), path)


def _records(intake: Intake, folder: Path, labels: Mapping[float, int], listing: _Listing) -> list[Record]:
    records = []
    for image in filter(is_image, intake.below(folder)):
        label = next((place for at in _places(image) if (place := at.with_suffix(".txt")) in intake.waiting), None)
        if label is None and listing.content.get(SKIP):
            intake.refuse(
                image, f"it has no label file, and {listing.path.name} says {SKIP}", "Add one, even an empty one."
            )
            continue
        shapes = () if label is None else _shapes(intake, label, labels)
        if not shapes:
            intake.note(image, f"no polygon in {label}" if label else "no label file: all of it is background")
        records.append(Record(image, ShapesMask(shapes, label)))
        intake.use(image)
    for label in [path for place in _places(folder) for path in intake.below(place) if path.suffix == ".txt"]:
        intake.waiting.pop(label)
        said = f"there is no image of its name in {folder}"
        intake.refuse_label(label.as_posix(), said, "Put its image there, or remove it.", line=1)
    return records


def _shapes(intake: Intake, path: Path, labels: Mapping[float, int]) -> tuple[Shape, ...]:
    """The polygons of a label file; lines that are none are refused."""
    lines = (intake.root / path).read_text("utf-8-sig", "replace").splitlines()
    found = {number: _shape(line.split(), labels) for number, line in enumerate(lines, 1) if line.strip()}
    for number, trouble in found.items():
        if isinstance(trouble, str):
            intake.refuse_label(path.as_posix(), trouble, CURE, line=number, value=lines[number - 1][:60])
    shapes = tuple(shape for shape in found.values() if isinstance(shape, Shape))
    intake.use(path, len(shapes))
    return shapes


def _shape(words: Sequence[str], labels: Mapping[float, int]) -> Shape | str:
    """The polygon in a line, or what is wrong with it."""
    numbers = _numbers(words)
    if isinstance(numbers, str):
        return numbers
    key, *ring = numbers
    if key not in labels:
        return f"there is no class {words[0]:.20}"
    if len(ring) == 4:
        return "it is a box without an outline"
    return ring_trouble(ring, 1, 1, SLACK) or Shape(labels[key], (tuple(ring),))


def _numbers(words: Sequence[str]) -> list[float] | str:
    try:
        return [float(word) for word in words]
    except ValueError:
        return "it is no list of numbers"


def _shapes_of(label: AbstractMask, mask: UInt8[ndarray, "h w"], numbers: Mapping[int, int]) -> tuple[Shape, ...]:
    """Shapes in shares of width and height that give this mask: those of the record, or the outlines of its regions."""
    size = (mask.shape[0], mask.shape[1])
    unit = np.array([size[1], size[0]], float)
    if isinstance(label, ShapesMask) and all(shape.rings and shape.label in numbers for shape in label.shapes):
        scale = np.ones(2) if label.size is None else unit
        shapes = tuple(
            _share(shape.label, np.reshape(ring, (-1, 2)) / scale) for shape in label.shapes for ring in shape.rings
        )
        if np.array_equal(ShapesMask(shapes, None).read(Path(), size), mask):
            return shapes
    drawn = [at for at in np.unique(mask).tolist() if at in numbers]
    return tuple(_share(at, points / unit) for at in drawn for points in outlines(mask == at))


def _share(label: int, points: ndarray) -> Shape:
    return Shape(label, (tuple(points.ravel().tolist()),))


FORMATS = {"yolo-masks": YoloMasksFormat()}
