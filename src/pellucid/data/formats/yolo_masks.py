"""YOLO's polygons: a text file for every image, a line an object, and a YAML file that names splits and classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from pellucid.data.class_table import BACKGROUND, refuse_names, table_of_names
from pellucid.data.copying import copies
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.intake import Intake
from pellucid.data.masks import IGNORE, AbstractMask, Shape, ShapesMask
from pellucid.data.polygons import outlines, ring_trouble
from pellucid.data.yolo import (
    Listing,
    first_lines,
    folders_here,
    label_lines,
    labelled,
    listing_at,
    listings,
    offered,
    refuse_orphans,
    says_task,
    write_listing,
)
from pellucid.errors import DataError
from pellucid.files import write_atomic
from pellucid.types import Record

__all__ = ["FORMATS", "YoloMasksFormat"]

SLACK = 0.01  # share of a side that labelling tools may draw beyond an image
CURE = "Write a class and three points at least, `3 0.1 0.1 0.9 0.1 0.5 0.8`, in shares of width and height."


class YoloMasksFormat(AbstractFormat):
    """`data.yaml` (path, train, val, test, names); polygons in `labels` for images in `images`, by the same paths."""

    name = "yolo-masks"
    task = "segment"

    def sniff(self, path: Path) -> bool:
        """A YAML file with names and splits that says `task: segment`, or whose label files begin with a polygon."""
        try:
            return any(_holds_polygons(listing) for listing in listings(path))
        except DataError:  # the one who gives the file itself is told what is wrong with it
            return path.is_file()

    def read(self, path: Path) -> Dataset:
        """One record an image; its classes are the background, then the names in the order of their ids."""
        listing = listing_at(path)
        table = table_of_names(listing.content["names"], listing.path)
        classes = table.classes(background=True)
        labels = {float(key): label for key, label in table.by_id(classes).items()}
        intake = offered(listing)
        intake.use(listing.path.relative_to(intake.root), len(table.names))
        splits: dict[str, list[Record]] = {}
        for split, folders in listing.splits.items():
            here = folders_here(intake, folders)
            splits[split] = [record for folder in here for record in _records(intake, folder, labels, listing)]
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`images/split`, `labels/split` and `data.yaml`; masks that hold no polygons are traced along their pixels."""
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
        write_listing(folder, self.task, list(dataset.splits), [*names, "ignore"] if ignored else names)


def _holds_polygons(listing: Listing) -> bool:
    """Whether a YAML file is about polygons, by what it says or by the first line of some label file."""
    if task := says_task(listing):
        return task == YoloMasksFormat.task
    return any(len(words) >= 7 and isinstance(_numbers(words), list) for words in first_lines(listing))


def _records(intake: Intake, folder: Path, labels: Mapping[float, int], listing: Listing) -> list[Record]:
    records = []
    for image, label in labelled(intake, folder, listing).items():
        shapes = () if label is None else _shapes(intake, label, labels)
        if not shapes:
            intake.note(image, f"no polygon in {label}" if label else "no label file: all of it is background")
        records.append(Record(image, ShapesMask(shapes, label)))
        intake.use(image)
    refuse_orphans(intake, folder)
    return records


def _shapes(intake: Intake, path: Path, labels: Mapping[float, int]) -> tuple[Shape, ...]:
    """The polygons of a label file; lines that are none are refused."""
    lines = label_lines(intake, path)
    found = {number: _shape(line.split(), labels) for number, line in lines.items()}
    for number, trouble in found.items():
        if isinstance(trouble, str):
            intake.refuse_label(path.as_posix(), trouble, CURE, line=number, value=lines[number][:60])
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
