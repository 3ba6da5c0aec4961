"""An image beside a mask of the same name: grey or palette indices, or colours with a class table."""

from collections.abc import Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pellucid.cores import usable_cores
from pellucid.data.class_table import (
    BACKGROUND,
    ClassTable,
    class_table_text,
    read_class_table,
    table_of_names,
)
from pellucid.data.coco import coco_files
from pellucid.data.copying import copies
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder, split_named
from pellucid.data.intake import Intake
from pellucid.data.masks import IGNORE, FileMask, codes_of
from pellucid.data.walk import folders_in, holds_images, is_image
from pellucid.data.yaml_file import folder_file
from pellucid.errors import DataError, ImageError
from pellucid.files import write_atomic
from pellucid.image import read_header, read_values, write_image
from pellucid.types import Record

__all__ = ["FORMATS", "MasksFormat", "mask_places"]

IMAGE_FOLDERS = {"images", "image"}
MASK_FOLDERS = {"masks", "mask", "labels", "annotations", "segmentation"}
# Of a folder beside that of its split.
MASK_ENDINGS = ("annot", "_masks", "_mask", "masks", "mask", "_labels", "labels")
STEM_ENDINGS = ("_mask", "_label", "_L")
TABLES = ("classes.txt", "label_colors.txt", "classes.csv", "class_dict.csv")
COLORED = {"RGB", "RGBA"}
SHOWN = 12


class MasksFormat(AbstractFormat):
    """`images` and `masks`, in folders of splits or with such in them, or `train` and `trainannot`; `classes.txt`."""

    name = "masks"
    task = "segment"

    def sniff(self, path: Path) -> bool:
        """A folder of masks that belongs to a folder of images, or a YAML file that names such folders."""
        try:
            return bool(mask_places(path) or folder_file(path, {"images", "masks"})) and not coco_files(path)
        except DataError:
            return False

    def read(self, path: Path) -> Dataset:
        """One record an image with a mask. Without a class table, all masks are read for their values."""
        intake, places, table = _offered(path)
        if table and table.counted:
            said = ", ".join(f"{at} {name}" for at, name in zip(table.ids, table.names, strict=True))
            intake.note(Path(table.source).relative_to(intake.root), f"it gives no ids; counted from 0: {said}")
        pairs = {split: _by_stem(intake, *folders) for split, folders in places.items()}
        masks = [intake.root / mask for found in pairs.values() for _, mask in found]
        with ThreadPoolExecutor(usable_cores()) as pool:
            colored = dict(zip(masks, pool.map(_is_colored, masks), strict=True))
            if masks and all(colored.values()) and not (table and table.colors):
                raise DataError(_ask_for_colors(intake.root, table, set[int]().union(*pool.map(_values, masks))))
            if table is None:
                grey = [mask for mask in masks if not colored[mask]]
                table = _named_by_values(intake, set[int]().union(*pool.map(_values, grey)))
        classes = table.classes()
        ids, colors = {255: IGNORE} | table.by_id(classes), table.by_color(classes)
        splits: dict[str, list[Record]] = {split: [] for split in places}
        for split, found in pairs.items():
            for image, mask in found:
                intake.use(image)
                intake.use(mask)
                known = colors if colored[intake.root / mask] else ids
                splits[split].append(Record(image, FileMask(mask, tuple(known), tuple(known.values()))))
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`split/images`, `split/masks` with grey PNGs of class indices, 255 where ignored, and `classes.txt`."""
        table = class_table_text(dataset.classes)
        claim_folder(folder)
        for split, _, path, mask in copies(dataset, lambda split: folder / split / "images"):
            write_image(folder / split / "masks" / f"{path.stem}.png", mask)
        write_atomic(folder / "classes.txt", table)


def mask_places(root: Path) -> dict[str, tuple[Path, Path]]:
    """The (folder of images, folder of masks) of every split, relative to the root."""
    found: dict[tuple[str, str], Path] = {}
    for folder in [deeper for top in folders_in(root) for deeper in (top, *folders_in(top))]:
        role = _role(folder.relative_to(root))
        if role and (role[0] == "images" or holds_images(folder)):
            found[role] = folder.relative_to(root)  # the deeper one last: train/images rather than train
    splits = {split for _, split in found if {("images", split), ("masks", split)} <= found.keys()}
    named = splits - {""} or splits
    return {split or "train": (found["images", split], found["masks", split]) for split in sorted(named)}


def _role(folder: Path) -> tuple[str, str] | None:
    """(`images` or `masks`, split) of a folder by its name; the split is empty where none is named."""
    words = [name.lower() for name in folder.parts]
    splits = [split for split in map(split_named, words) if split]
    match [word for word in words if not split_named(word)], splits:
        case [], [split]:
            return "images", split
        case [word], ([] | [_]) if word in IMAGE_FOLDERS | MASK_FOLDERS:
            return "images" if word in IMAGE_FOLDERS else "masks", "".join(splits)
        case [word], []:
            stems = [split_named(word.removesuffix(ending)) for ending in MASK_ENDINGS if word.endswith(ending)]
            return next((("masks", split) for split in stems if split), None)
    return None


def _offered(path: Path) -> tuple[Intake, dict[str, tuple[Path, Path]], ClassTable | None]:
    """The files, the folders of every split, and the class table where there is one."""
    if places := mask_places(path):
        intake = Intake(path, [path])
        listed = next((Path(name) for name in TABLES if Path(name) in intake.waiting), None)
        table = read_class_table(path / listed) if listed else None
        if listed and table:
            intake.use(listed, len(table.names))
        return intake, places, table
    file = folder_file(path, {"images", "masks"})
    if file is None:
        raise DataError(f"{path} has no folder of masks beside one of images, such as images/ and masks/.")
    intake, splits = file.intake()
    places = {split: (folders["images"], folders["masks"]) for split, folders in splits.items()}
    return intake, places, table_of_names(file.content.get("classes"), file.path)


def _by_stem(intake: Intake, images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """(image, mask) of the same name below two folders; what stays alone, or comes twice, is refused."""
    files = [path for path in intake.below(images) if is_image(path) and masks not in path.parents]
    by_stem = _unique(intake, [(path.relative_to(images).with_suffix(""), path) for path in files])
    files = [path for path in intake.below(masks) if is_image(path)]
    named = _unique(intake, [(_stem(path.relative_to(masks), by_stem), path) for path in files])
    for path in [path for stem, path in by_stem.items() if stem not in named]:
        intake.refuse(path, f"there is no mask of its name in {masks}", "Put its mask there.")
    for path in [path for stem, path in named.items() if stem not in by_stem]:
        intake.refuse(path, f"a mask without an image of its name in {images}", "Put its image there.")
    return [(path, named[stem]) for stem, path in by_stem.items() if stem in named]


def _stem(mask: Path, stems: Container[Path]) -> Path:
    """The name of the image that a mask belongs to: `a_mask.png` to `a` unless there is an image `a_mask`."""
    stem = mask.with_suffix("")
    shorter = [stem.with_name(stem.name.removesuffix(ending)) for ending in STEM_ENDINGS if stem.name != ending]
    return next((name for name in (stem, *shorter) if name in stems), stem)


def _unique(intake: Intake, named: Iterable[tuple[Path, Path]]) -> dict[Path, Path]:
    found: dict[Path, Path] = {}
    for stem, path in named:
        if found.setdefault(stem, path) != path:
            intake.refuse(path, f"it has the same name as {found[stem]}", "Rename one of the two, and its mask.")
    return found


def _is_colored(mask: Path) -> bool:
    """Whether a mask holds colours by its header; what cannot be read is refused when it is needed."""
    try:
        return read_header(mask)[2] in COLORED
    except ImageError:
        return False


def _values(mask: Path) -> set[int]:
    """The different values in a mask; none where it cannot be read."""
    try:
        codes = codes_of(read_values(mask))
    except ImageError:
        return set()
    few = codes.dtype.itemsize <= 2
    return set((np.flatnonzero(np.bincount(codes.ravel())) if few else np.unique(codes)).tolist())


def _ask_for_colors(root: Path, table: ClassTable | None, colors: set[int]) -> str:
    shown = sorted(colors)[:SHOWN]
    lines = [f"  {color & 255} {color >> 8 & 255} {color >> 16} class{at}" for at, color in enumerate(shown)]
    lines += [f"  and {len(colors) - SHOWN} more"] if len(colors) > SHOWN else []
    said = f"{table.source} gives no colours" if table else "nothing says what they mean"
    return (
        f"The masks in {root} are coloured, in {len(colors)} colours, and {said}. Write a file classes.txt there, "
        "a line for each: red, green, blue, and its class (`void` where there is none to learn):\n" + "\n".join(lines)
    )


def _named_by_values(intake: Intake, values: set[int]) -> ClassTable:
    """Classes by the values that the masks hold: background and foreground, or numbers."""
    names = {value: {0: BACKGROUND, 255: "ignore"}.get(value, str(value)) for value in sorted(values)}
    if values <= {0, 1} or values <= {0, 255}:
        names = {0: BACKGROUND, max(values, default=1) or 1: "foreground"}
    said = ", ".join(f"{value} {name}" for value, name in names.items())
    intake.note(Path("classes.txt"), f"there is none; by the values in the masks: {said}")
    return ClassTable(intake.root, tuple(names.values()), tuple(names))


FORMATS = {"masks": MasksFormat()}
