"""COCO's boxes: the same JSON files as its instances, of which the boxes of objects are read."""

import reprlib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pellucid.data.box_intake import EXACT, ImageBoxes, exact_number, exact_text, photo_sizes
from pellucid.data.boxes import Box, Xyxy
from pellucid.data.class_table import refuse_unwritable
from pellucid.data.coco import (
    MOST,
    Coco,
    CocoText,
    annotation_place,
    are_whole,
    coco_root,
    instance_files,
    read_coco,
    says_task,
)
from pellucid.data.copying import placed
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.intake import Intake
from pellucid.data.walk import is_image
from pellucid.errors import DataError
from pellucid.image import read_header
from pellucid.types import Record

__all__ = ["FORMATS", "CocoBoxesFormat"]

BOXED = rb'"bbox"|"info"\s*:\s*\{\s*"task"\s*:\s*"detect"'
BACKGROUND_NOTE = "no annotation: all of it is background"


class CocoBoxesFormat(AbstractFormat):
    """`annotations/instances_train.json` and so on, or `train/_annotations.coco.json`; the images in any folder.

    `bbox` is left, top, width and height in pixels; right and bottom are their sums as decimal fractions. Width and
    height are written with as many digits as it takes to find right and bottom again, so that all corners are read as
    they were, to the last bit; `area` and `iscrowd` (ignored) are kept. A `score` is written where a model gave one.
    """

    name = "coco-boxes"
    task = "detect"

    def sniff(self, path: Path) -> bool:
        """A JSON file with images and boxes in them, unless it says that it was written for their masks."""
        return any(says_task(file) in (None, self.task) for file in instance_files(path, BOXED))

    def read(self, path: Path) -> Dataset:
        """One record an image; its classes are the categories in the order of their ids."""
        root, files = coco_root(path), instance_files(path, BOXED)
        if not files:
            raise DataError(f"{path} has no JSON file with images, categories and annotations that have a bbox.")
        intake = Intake(root, [root])
        images = [image for image in intake.waiting if is_image(image)]
        taken: set[Path] = set()
        cocos = [
            read_coco(intake, file.relative_to(root), images, taken, number=_number if says_task(file) else float)
            for file in files
        ]
        classes, labels = cocos[0].table(cocos[1:], intake).all_classes()
        splits: dict[str, list[Record]] = {coco.split: [] for coco in cocos}
        for coco in cocos:
            splits[coco.split] += _records(intake, coco, labels)
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`images/split`, and in `annotations` one file a split; categories count from 1."""
        refuse_unwritable(dataset.classes)
        claim_folder(folder)
        categories = [{"id": number, "name": name} for number, name in enumerate(dataset.classes, 1)]
        texts = {split: CocoText(categories) for split in dataset.splits}
        for split, record, path in placed(dataset, lambda split: folder / "images" / split):
            text = texts[split]
            image = text.add_image(path.name, read_header(path)[:2])
            for box in record.label:
                entry = {"id": len(text.annotations) + 1, "image_id": image, "category_id": box.label + 1}
                said = {"bbox": _bbox(box.xyxy), "area": box.area, "iscrowd": int(box.ignored)}
                score = {} if box.score is None else {"score": box.score}
                text.annotations.append(entry | said | score)
        for split, text in texts.items():
            text.write(folder / "annotations" / f"instances_{split}.json", self.task)


def _records(intake: Intake, coco: Coco, labels: Mapping[int, int]) -> list[Record]:
    boxes = _images(intake, coco)
    for at, annotation in enumerate(coco.annotations):
        found = _box(annotation, coco, labels)
        key = annotation.get("image_id") if isinstance(annotation, dict) else None
        place = annotation_place(coco, annotation, at)
        value = _shown(annotation.get("bbox") if isinstance(annotation, dict) else annotation)
        if are_whole(key) and key in boxes:
            boxes[key].take(found, place, value=value)
        else:
            intake.refuse_label(place, str(found), "Mend or remove the annotation.", value=value)
    intake.use(coco.path, sum(len(taken.boxes) for taken in boxes.values()))
    return [record for taken in boxes.values() if (record := taken.record(BACKGROUND_NOTE))]


def _images(intake: Intake, coco: Coco) -> dict[int, ImageBoxes]:
    """A place for the boxes of every image that has the size which the file says; others are refused."""
    sizes = photo_sizes(intake, [image.path for image in coco.images.values()])
    found = {}
    for key, image in list(coco.images.items()):
        size = sizes.get(image.path)
        if size == image.size:
            found[key] = ImageBoxes(intake, image.path, size)
            continue
        if size is not None:
            said = f"{image.size[1]}x{image.size[0]} pixels as {coco.path} says, {size[1]}x{size[0]} in its file"
            intake.refuse(image.path, said, "Make both of the same size.")
        coco.absent.add(key)
        del coco.images[key]
    return found


def _box(annotation: Any, coco: Coco, labels: Mapping[int, int]) -> Box | str:
    """The box of an annotation, or what is wrong with it."""
    match annotation:
        case {"image_id": key, "category_id": category, "bbox": [_, _, _, _] as bbox} if are_whole(key, category):
            if trouble := coco.lacks(key):
                return trouble
            if category not in labels:
                return f"there is no category {category}"
            crowd, area = annotation.get("iscrowd", 0), annotation.get("area")
            if type(crowd) not in (int, bool) or crowd not in (0, 1):
                return f"its iscrowd is {reprlib.repr(crowd)}, and may be 0 or 1"
            if area is not None and not (_is_number(area) and area >= 0):
                return f"its area is {reprlib.repr(area)}, no number of pixels"
            xyxy = _xyxy(bbox)
            if isinstance(xyxy, str):
                return xyxy
            return Box(xyxy, labels[category], crowd == 1, None if area is None else float(area))
    return "it needs a whole image_id and category_id, and a bbox of four numbers"


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number of a size that pixels have."""
    return type(value) in (int, float, Decimal) and abs(value) < MOST**2  # false for NaN


def _xyxy(bbox: list[Any]) -> Xyxy | str:
    for side, value in zip(("left", "top", "width", "height"), bbox, strict=True):
        if not _is_number(value):
            return f"its {side} is {reprlib.repr(value)}, no finite number"
    left, top, width, height = bbox
    if width < 0 or height < 0:
        return f"its {'width' if width < 0 else 'height'} is negative"
    return float(left), float(top), _end(left, width), _end(top, height)


def _number(text: str) -> Decimal | float:
    """A number of a file of ours, whose digits all count; elsewhere floats do, which take a tenth of the memory."""
    exact = exact_number(text)
    return float(text) if exact is None else exact


def _shown(value: Any) -> str:
    """A value of the file in short, numbers as they stand there."""
    return reprlib.repr(
        [float(at) if isinstance(at, Decimal) else at for at in value] if type(value) is list else value
    )


def _end(start: Any, length: Any) -> float:
    return float(EXACT.add(Decimal(str(start)), Decimal(str(length))))


def _bbox(xyxy: Xyxy) -> list[float | str]:
    left, top, right, bottom = xyxy
    return [left, top, _length(left, right), _length(top, bottom)]


def _length(start: float, end: float) -> float | str:
    """The decimal difference, as a text that becomes a number in the file where a float does not hold it."""
    exact = EXACT.subtract(Decimal(repr(end)), Decimal(repr(start)))
    return float(exact) if Decimal(repr(float(exact))) == exact else f"\0{exact_text(exact)}"


FORMATS = {"coco-boxes": CocoBoxesFormat()}
