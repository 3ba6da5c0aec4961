"""COCO's instances: polygons and run lengths of every object in one JSON file a split."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from pellucid.data.class_table import BACKGROUND, refuse_names
from pellucid.data.coco import (
    Coco,
    CocoText,
    annotation_place,
    are_whole,
    box_and_area,
    coco_files,
    coco_root,
    instance_files,
    read_coco,
    says_task,
)
from pellucid.data.copying import copies
from pellucid.data.dataset import AbstractFormat, Dataset, claim_folder
from pellucid.data.intake import Intake
from pellucid.data.masks import IGNORE, Shape, ShapesMask
from pellucid.data.polygons import ring_trouble
from pellucid.data.runs import read_runs, run_lengths
from pellucid.data.walk import is_image
from pellucid.errors import DataError
from pellucid.types import Record

__all__ = ["FORMATS", "CocoMasksFormat"]

SLACK = 1.0  # pixels that labelling tools may draw beyond an image
CURE = "Mend or remove the annotation."
NOTHING = rb'"annotations"\s*:\s*\[\s*\]'
OUTLINED = rb'"segmentation"|' + NOTHING
DRAWN = rb'"segmentation"\s*:\s*(\{|"|\[\s*[^\s\]])|' + NOTHING  # exports of boxes write "segmentation": []


class CocoMasksFormat(AbstractFormat):
    """`annotations/instances_train.json` and so on, or `train/_annotations.coco.json`; the images in any folder."""

    name = "coco-masks"
    task = "segment"

    def sniff(self, path: Path) -> bool:
        """A JSON file with images and outlines of objects in them."""
        return any(map(_is_about_outlines, instance_files(path, OUTLINED)))

    def read(self, path: Path) -> Dataset:
        """One record an image; its classes are the background, then the categories in the order of their ids."""
        root, files = coco_root(path), instance_files(path, OUTLINED)
        if not files:
            raise DataError(
                f"{path} has no JSON file with images, categories and annotations that have a segmentation."
            )
        intake = Intake(root, [root])
        images = [image for image in intake.waiting if is_image(image)]
        taken: set[Path] = set()
        cocos = [read_coco(intake, file.relative_to(root), images, taken) for file in files]
        table = cocos[0].table(cocos[1:], intake)
        classes = table.classes(background=True)
        labels = table.by_id(classes)
        splits: dict[str, list[Record]] = {coco.split: [] for coco in cocos}
        for coco in cocos:
            splits[coco.split] += _records(intake, coco, labels)
        return intake.dataset(self, classes, splits)

    def write(self, dataset: Dataset, folder: Path) -> None:
        """`images/split`, and in `annotations` one file a split: run lengths of every class in an image."""
        refuse_names(dataset.classes)
        claim_folder(folder)
        foreground = [at for at, name in enumerate(dataset.classes) if name != BACKGROUND]
        numbers = {at: number for number, at in enumerate(foreground, 1)}
        categories = [{"id": number, "name": dataset.classes[at]} for at, number in numbers.items()]
        texts = {split: CocoText(categories) for split in dataset.splits}
        for split, _, path, mask in copies(dataset, lambda split: folder / "images" / split):
            image = texts[split].add_image(path.name, mask.shape)
            for at in np.unique(mask).tolist():
                if at == IGNORE or at in numbers:
                    number, region = len(texts[split].annotations) + 1, mask == at
                    texts[split].annotations.append(
                        {"id": number, "image_id": image, "category_id": numbers.get(at, 1)} | _outline(region, at)
                    )
        for split, text in texts.items():
            text.write(folder / "annotations" / f"instances_{split}.json", self.task)


def _outline(region: Bool[ndarray, "h w"], label: int) -> dict[str, Any]:
    """The region of a class in an image as run lengths; a region to ignore is a crowd."""
    runs = {"size": list(region.shape), "counts": run_lengths(region)}
    return {"iscrowd": int(label == IGNORE), "segmentation": runs, **box_and_area(region)}


def _is_about_outlines(file: Path) -> bool:
    """Whether a file says so, or holds an outline, or nothing at all."""
    return says_task(file) in (None, CocoMasksFormat.task) and bool(coco_files(file, DRAWN))


def _records(intake: Intake, coco: Coco, labels: Mapping[int, int]) -> list[Record]:
    shapes: dict[int, list[Shape]] = {}
    for at, annotation in enumerate(coco.annotations):
        found = _shape(annotation, coco, labels)
        if isinstance(found, Shape):
            shapes.setdefault(annotation["image_id"], []).append(found)
        else:
            intake.refuse_label(annotation_place(coco, annotation, at), found, CURE)
    intake.use(coco.path, sum(map(len, shapes.values())))
    records = []
    for key, image in coco.images.items():
        intake.use(image.path)
        if key not in shapes:
            intake.note(image.path, "no annotation: all of it is background")
        mask = ShapesMask(tuple(shapes.get(key, ())), coco.path, image.size)
        records.append(Record(image.path, mask))
    return records


def _shape(annotation: Any, coco: Coco, labels: Mapping[int, int]) -> Shape | str:
    """The region of an annotation, or what is wrong with it."""
    match annotation:
        case {"image_id": key, "category_id": category, "segmentation": outline} if are_whole(key, category):
            if trouble := coco.lacks(key):
                return trouble
            label = IGNORE if annotation.get("iscrowd") == 1 else labels.get(category)
            if label is None:
                return f"there is no category {category}"
            return _outlined(label, outline, coco.images[key].size)
    return "it needs a whole image_id and category_id, and a segmentation"


def _outlined(label: int, outline: Any, size: tuple[int, int]) -> Shape | str:
    height, width = size
    match outline:
        case [_, *_]:
            troubles = [trouble for ring in outline if (trouble := ring_trouble(ring, width, height, SLACK))]
            return troubles[0] if troubles else Shape(label, tuple(tuple(map(float, ring)) for ring in outline))
        case {"size": [rows, columns], "counts": counts} if are_whole(rows, columns):
            if (rows, columns) != size:
                return f"its run lengths are for {columns}x{rows} pixels, and its image has {width}x{height}"
            try:
                runs = read_runs(counts)
            except ValueError as error:
                return str(error)
            if sum(runs) != height * width:
                return f"its run lengths add up to {sum(runs)} pixels, and its image has {height * width}"
            return Shape(label, runs=runs)
    return "it has no outline"


FORMATS = {"coco-masks": CocoMasksFormat()}
