"""A folder for every image, with the image and one mask for every object: the 2018 Data Science Bowl's form."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from pellucid.data.class_table import BACKGROUND, class_table_text, read_class_table
from pellucid.data.copying import copies, mask_of
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, split_named
from pellucid.data.intake import Intake
from pellucid.data.masks import IGNORE, ObjectsMask
from pellucid.data.polygons import outlines, polygon_pixels
from pellucid.data.walk import folders_in, is_image
from pellucid.errors import DataError, UsageError
from pellucid.files import write_atomic
from pellucid.image import write_image
from pellucid.types import Record

__all__ = ["FORMATS", "InstanceMasksFormat"]

CLASSES = (BACKGROUND, "object")
TABLE = Path("classes.txt")


class InstanceMasksFormat(AbstractFormat):
    """`id/images/id.png` and `id/masks/*.png`, `train`, `val` and `test` around them or not; `classes.txt` may be."""

    name = "instance-masks"
    task = "segment"

    def sniff(self, path: Path) -> bool:
        """A folder, not called like a split, with one image in `images`, and `masks`; or such in those of splits."""
        folders = folders_in(path)
        inner = [deeper for folder in folders if split_named(folder.name) for deeper in folders_in(folder)]
        single = [folder for folder in folders if not split_named(folder.name)]
        return any(_holds_one(folder) for folder in (*single, *inner))

    def read(self, path: Path) -> Dataset:
        """One record an image; its objects are one class, however many masks they have."""
        if not self.sniff(path):
            raise DataError(
                f"{path} has no folders with images and masks in them, such as a/images/a.png and a/masks/1.png."
            )
        intake = Intake(path, [path])
        found: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: {"images": [], "masks": []})
        for file in filter(is_image, intake.waiting):
            if file.parent.name in ("images", "masks"):
                found[file.parent.parent][file.parent.name].append(file)
        splits: dict[str, list[Record]] = {}
        for folder, files in found.items():
            split = _split(folder)
            if split and (record := _record(intake, folder, files["images"], files["masks"])):
                splits.setdefault(split, []).append(record)
        return intake.dataset(self, _classes(intake), splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """A mask for every region whose pixels are connected by their sides; there must be one class to draw."""
        if len(dataset.classes) != 2 or dataset.classes[0] != BACKGROUND:
            raise UsageError(
                f"{self.name} holds the background and one class, not {', '.join(dataset.classes)}. "
                "Choose a format that holds more."
            )
        table = class_table_text(dataset.classes)
        for record in (record for records in dataset.splits.values() for record in records):
            if IGNORE in mask_of(dataset, record):
                raise UsageError(
                    f"{record.name} has pixels to ignore, and {self.name} knows none. Choose a format that does."
                )
        claim_folder(folder)
        for _, _, path, mask in copies(dataset, lambda split: folder / split):
            home = path.with_suffix("")
            for name in ("images", "masks"):
                (home / name).mkdir(parents=True)
            path.rename(home / "images" / path.name)
            for number, points in enumerate(outlines(mask == 1), 1):
                pixels = polygon_pixels(points, (0, 0, mask.shape[0], mask.shape[1]))
                write_image(home / "masks" / f"{number:04d}.png", pixels * np.uint8(255))
        write_atomic(folder / TABLE, table)


def _classes(intake: Intake) -> tuple[str, ...]:
    """The background and the one class, by the class table where there is one."""
    if TABLE not in intake.waiting:
        return CLASSES
    classes = read_class_table(intake.root / TABLE).classes(background=True)
    if len(classes) != 2:
        raise DataError(f"{intake.root / TABLE} names {', '.join(classes)}; masks of objects are of one class.")
    intake.use(TABLE, len(classes))
    return classes


def _holds_one(folder: Path) -> bool:
    images = folder / "images"
    return (folder / "masks").is_dir() and images.is_dir() and len(list(filter(is_image, images.iterdir()))) == 1


def _split(folder: Path) -> str | None:
    """The split of an image's folder; None where it is none."""
    match folder.parts:
        case [name] if not split_named(name):
            return "train"
        case [split, _]:
            return split_named(split)
    return None


def _record(intake: Intake, folder: Path, images: list[Path], masks: list[Path]) -> Record | None:
    """The image of a folder with its masks; without just one image, or a folder of masks, all of it is refused."""
    reason = f"{folder} has {len(images)} images for its masks" if len(images) != 1 else ""
    if not reason and not (intake.root / folder / "masks").is_dir():
        reason = "there is no folder of masks beside that of the image"
    if reason:
        for path in (*images, *masks):
            intake.refuse(path, reason, "Put one image, and one mask an object, into the folder.")
        return None
    if not masks:
        intake.note(images[0], "no mask: all of it is background")
    for path in (*images, *masks):
        intake.use(path)
    return Record(images[0], ObjectsMask(tuple(masks)))


FORMATS = {"instance-masks": InstanceMasksFormat()}
