"""COCO's panoptic form: a PNG of segment ids for every image, and a JSON file that says what the segments are."""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data.class_table import refuse_names
from pellucid.data.coco import Coco, CocoText, are_whole, box_and_area, coco_files, coco_root, read_coco
from pellucid.data.copying import copies
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.intake import Intake
from pellucid.data.masks import IGNORE, FileMask
from pellucid.data.walk import is_image
from pellucid.data.yaml_file import folder_file
from pellucid.errors import DataError
from pellucid.image import write_image
from pellucid.types import Record

__all__ = ["FORMATS", "PanopticFormat"]

CURE = "Mend or remove the annotation."
KINDS = {"images", "masks", "annotations"}
SEGMENTED = b'"segments_info"'


@dataclass(frozen=True, slots=True)
class _Source:
    """A JSON file with the images it may describe and the folders in which its masks may lie."""

    file: Path
    images: list[Path]
    masks: tuple[Path, ...]
    split: str | None = None


class PanopticFormat(AbstractFormat):
    """`annotations/panoptic_train.json`, id masks in the folder of that name, and the images in any other folder."""

    name = "panoptic"
    task = "segment"

    def sniff(self, path: Path) -> bool:
        """A JSON file with images and the segments in them, or a YAML file that names such files."""
        try:
            return bool(coco_files(path, SEGMENTED) or folder_file(path, KINDS))
        except DataError:
            return False

    def read(self, path: Path) -> Dataset:
        """One record an image; its classes are the categories in the order of their ids."""
        intake, sources = _offered(path)
        taken: set[Path] = set()
        cocos = [read_coco(intake, source.file, source.images, taken, split=source.split) for source in sources]
        table = cocos[0].table(cocos[1:], intake)
        classes = table.classes()
        labels = table.by_id(classes)
        splits: dict[str, list[Record]] = {coco.split: [] for coco in cocos}
        for coco, source in zip(cocos, sources, strict=True):
            splits[coco.split] += _records(intake, coco, source.masks, labels)
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`images/split`, and in `annotations` a JSON file and a folder of masks a split: one segment a class."""
        refuse_names(dataset.classes)
        claim_folder(folder)
        categories = [{"id": at, "name": name, "isthing": 0} for at, name in enumerate(dataset.classes, 1)]
        texts = {split: CocoText(categories) for split in dataset.splits}
        for split, _, path, mask in copies(dataset, lambda split: folder / "images" / split):
            image, name = texts[split].add_image(path.name, mask.shape), f"{path.stem}.png"
            segments = [
                {"id": at + 1, "category_id": at + 1, "iscrowd": 0, **box_and_area(mask == at)}
                for at in np.unique(mask[mask != IGNORE]).tolist()
            ]
            texts[split].annotations.append({"image_id": image, "file_name": name, "segments_info": segments})
            ids = np.pad(mask[..., None] + np.uint8(1), ((0, 0), (0, 0), (0, 2)))  # 255, ignored, becomes 0
            write_image(folder / "annotations" / f"panoptic_{split}" / name, ids)
        for split, text in texts.items():
            text.write(folder / "annotations" / f"panoptic_{split}.json", self.task)


def _offered(path: Path) -> tuple[Intake, list[_Source]]:
    """The files, and where those of every split lie."""
    listed = folder_file(path, KINDS)
    if listed is not None:
        intake, splits = listed.intake()
        return intake, [
            _Source(places["annotations"], intake.below(places["images"]), (places["masks"],), split)
            for split, places in splits.items()
        ]
    root, files = coco_root(path), coco_files(path, SEGMENTED)
    if not files:
        raise DataError(f"{path} has no JSON file with images, categories and annotations that have segments_info.")
    intake = Intake(root, [root])
    sources = []
    for file in (file.relative_to(root) for file in files):
        masks = (file.with_suffix(""), Path(file.stem))
        images = [image for image in intake.waiting if is_image(image) and not set(masks) & set(image.parents)]
        sources.append(_Source(file, images, masks))
    return intake, sources


def _records(intake: Intake, coco: Coco, folders: Iterable[Path], labels: Mapping[int, int]) -> list[Record]:
    records = []
    for annotation in coco.annotations:
        found = _mask(intake, coco, annotation, folders, labels)
        if isinstance(found, Record):
            intake.use(found.path)
            intake.use(found.label.path)
            records.append(found)
        else:
            key = annotation.get("image_id") if isinstance(annotation, dict) else None
            intake.refuse_label(f"{coco.path}#image {key!s:.20}", found, CURE)
    intake.use(coco.path, len(records))
    for image in coco.images.values():
        if image.path in intake.waiting:
            intake.refuse(
                image.path, f"no annotation in {coco.path} says what is in it", "Add one, or remove the image."
            )
    return records


def _mask(
    intake: Intake, coco: Coco, annotation: Any, folders: Iterable[Path], labels: Mapping[int, int]
) -> Record | str:
    """The image of an annotation with its mask, or what is wrong."""
    match annotation:
        case {"image_id": key, "file_name": str(name), "segments_info": [*segments]} if are_whole(key):
            if trouble := coco.lacks(key):
                return trouble
            if coco.images[key].path not in intake.waiting:
                return "its image has another annotation already"
            path = next((folder / name for folder in folders if folder / name in intake.waiting), None)
            if path is None:
                return f"there is no mask {name!r:.80}"
            classes = {0: IGNORE}
            for segment in segments:
                found = _class(intake, f"{coco.path}#image {key}", segment, labels)
                twice = [at for at, label in found.items() if classes.get(at, label) != label]
                if twice:
                    return f"it has two segments {twice[0]} of different classes"
                classes |= found
            return Record(coco.images[key].path, FileMask(path, tuple(classes), tuple(classes.values())))
    return "it needs a whole image_id, a file_name, and segments_info"


def _class(intake: Intake, place: str, segment: Any, labels: Mapping[int, int]) -> dict[int, int]:
    """The class of a segment by its id; that of a crowd, or of no category, is ignored."""
    match segment:
        case {"id": key, "category_id": category} if are_whole(key, category) and key > 0:
            if segment.get("iscrowd") == 1:
                return {key: IGNORE}
            if category not in labels:
                intake.refuse_label(place, f"its segment {key} is of category {category}, which is none", CURE)
            return {key: labels.get(category, IGNORE)}
    intake.refuse_label(place, "it has a segment without a whole id and category_id", CURE, value=reprlib.repr(segment))
    return {}


FORMATS = {"panoptic": PanopticFormat()}
