"""Datasets of scenes as files: to segment, and to detect."""

import csv
import io
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.files import write_atomic
from pellucid.image import write_image
from pellucid.scenes.composing import CLASSES, MOST, scene

__all__ = ["SPLITS", "write_boxed_scenes", "write_scenes"]

SPLITS = ("train", "val", "test")
HEAD = ("path", "label", "left", "top", "right", "bottom", "split", "area")


@dataclass(frozen=True, slots=True)
class Place:
    """The index of a scene in its seed, its split, and its number there."""

    index: int
    split: str
    number: int


def write_scenes(folder: Path, counts: Mapping[str, int], size: tuple[int, int], seed: int = 0) -> None:
    """`split/images/0000.png`, `split/masks/0000.png` (grey, class indices) and `classes.txt`, one name a line.

    The splits take the scenes of the seed in turn, so that none of them changes with the others' counts. The same
    arguments give the same files again; a folder that holds other images or masks is refused.
    """
    places = list(_places(counts))
    files = [tuple(_path(folder / place.split / kind, place) for kind in ("images", "masks")) for place in places]
    _refuse_others(folder, {path for pair in files for path in pair})
    _write_classes(folder, CLASSES)
    for place, (image, mask) in zip(places, files, strict=True):
        drawn = scene(seed, size, place.index)
        write_image(image, drawn.pixels)
        write_image(mask, drawn.labels)


def write_boxed_scenes(
    folder: Path, counts: Mapping[str, int], size: tuple[int, int], seed: int = 0, *, most: int = MOST
) -> None:
    """The same scenes as `images/split/0000.png`, `boxes.csv` (a row a figure) and `classes.txt` without background.

    Boxes and areas are of the pixels that can be seen. `most` is the number of figures that a scene has at most.
    """
    places = list(_places(counts))
    files = [_path(folder / "images" / place.split, place) for place in places]
    _refuse_others(folder, set(files))
    table = io.StringIO(newline="")
    writer = csv.writer(table)
    writer.writerow(HEAD)
    for place, image in zip(places, files, strict=True):
        drawn = scene(seed, size, place.index, most=most)
        write_image(image, drawn.pixels)
        name = image.relative_to(folder).as_posix()
        writer.writerows([name, CLASSES[one.label], *one.box, place.split, one.area] for one in drawn.instances)
    _write_classes(folder, CLASSES[1:])
    write_atomic(folder / "boxes.csv", table.getvalue())


def _places(counts: Mapping[str, int]) -> Iterator[Place]:
    """The scenes of each split, which take those of the seed in turn."""
    for split, count in counts.items():
        if split not in SPLITS:
            raise UsageError(f"Scenes have no split {split!r}: give counts for {', '.join(SPLITS)}.")
        if count < 0:
            raise UsageError(f"There cannot be {count} scenes of split {split!r}: give 0 or more.")
    for turn, split in enumerate(SPLITS):
        for number in range(counts.get(split, 0)):
            yield Place(number * len(SPLITS) + turn, split, number)


def _path(folder: Path, place: Place) -> Path:
    return folder / f"{place.number:04d}.png"


def _refuse_others(folder: Path, files: Container[Path]) -> None:
    """What an earlier call left would be taken for part of the dataset, or refused when that is read."""
    for split in SPLITS:
        for path in sorted([*folder.glob(f"{split}/*/*"), *folder.glob(f"images/{split}/*")]):
            if path not in files:
                raise UsageError(f"{path} is not among the scenes to write: choose a new folder, or remove this one.")


def _write_classes(folder: Path, names: tuple[str, ...]) -> None:
    write_atomic(folder / "classes.txt", "".join(f"{name}\n" for name in names))
