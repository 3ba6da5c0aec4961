"""COCO's boxes: what a bbox says, which file is about boxes, and what cannot be used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.boxes import Boxes
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.coco_boxes import CocoBoxesFormat
from pellucid.errors import DataError, PellucidError, UsageError
from pellucid.image import write_image

IMAGE = {"id": 7, "file_name": "a.png", "height": 10, "width": 20}
CATEGORIES = [{"id": 90, "name": "tree"}, {"id": 3, "name": "car"}]
BOX = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 6, 7]}
OUTLINE = {"segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}


def written(root: Path, *, name: str = "annotations/instances_train.json", **changes: Any) -> Path:
    """A dataset of one image of 20 x 10; `changes` are other lists for the JSON file."""
    write_image(root / "images" / "a.png", np.zeros((10, 20, 3), np.uint8))
    content = {"images": [IMAGE], "categories": CATEGORIES, "annotations": [BOX]} | changes
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    return root


def read(root: Path) -> Boxes:
    (record,) = CocoBoxesFormat().read(root).splits["train"]
    return record.label


def refusals(dataset: Dataset) -> list[str]:
    return list(map(str, dataset.ledger.refused))


def test_boxes_areas_crowds_and_sparse_ids(tmp_path):
    crowd = BOX | {"id": 2, "category_id": 90, "bbox": [0.1, 0, 0.2, 10.0], "iscrowd": 1, "area": 1.5}
    dataset = open_dataset(written(tmp_path, annotations=[BOX | {"area": 30}, crowd, BOX]), val=0, test=0)
    assert dataset.format == "coco-boxes"
    assert dataset.classes == ("car", "tree")  # no background
    (record,) = dataset.splits["train"]
    assert record.label == Boxes(
        ((1, 2, 7, 9), (0.1, 0, 0.3, 10), (1, 2, 7, 9)), (0, 1, 0), (False, True, False), (30, 1.5, 42)
    )
    assert dataset.ledger.used == {"images/a.png": 1, "annotations/instances_train.json": 3}
    assert not dataset.ledger.refused


def test_a_photo_without_annotation_is_background_and_that_is_said(tmp_path):
    dataset = CocoBoxesFormat().read(written(tmp_path, info={"task": "detect"}, annotations=[]))
    assert dataset.splits["train"][0].label == Boxes.of([])
    assert [note.text for note in dataset.ledger.notes] == ["no annotation: all of it is background"]


@pytest.mark.parametrize(
    ("annotation", "formats"),
    [
        (BOX, "coco-boxes"),
        (BOX | {"segmentation": []}, "coco-boxes"),
        (BOX | {"segmentation": None}, "coco-boxes"),
        ({key: BOX[key] for key in ("id", "image_id", "category_id")} | OUTLINE, "coco-masks"),
        (BOX | OUTLINE, None),
        (BOX | {"segmentation": {"size": [10, 20], "counts": [0, 200]}}, None),
    ],
)
def test_outlines_and_boxes_are_told_apart_and_both_ask_which(tmp_path, annotation, formats):
    written(tmp_path, annotations=[annotation])
    if formats is None:
        with pytest.raises(UsageError) as error:
            open_dataset(tmp_path)
        assert str(error.value) == (
            f"{tmp_path} could be read as coco-boxes, that is boxes of objects, or as coco-masks, that is the class of "
            "every pixel. Say which with --format coco-boxes or --format coco-masks (in Python: format='coco-boxes')."
        )
        assert open_dataset(tmp_path, "coco-boxes", val=0, test=0).classes == ("car", "tree")
        assert open_dataset(tmp_path, "coco-masks", val=0, test=0).classes == ("background", "car", "tree")
    else:
        assert open_dataset(tmp_path, val=0, test=0).format == formats


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bbox": [1, 2, 0, 7]}, "it has no area: 0 x 7 pixels [[1, 2, 0, 7]]"),
        ({"bbox": [1, 2, -3, 7]}, "its width is negative [[1, 2, -3, 7]]"),
        ({"bbox": [1, 2, 3, -7]}, "its height is negative"),
        ({"bbox": [1, 2, 30, 7]}, "it lies outside the image of 20x10: 1, 2, 31, 9"),
        ({"bbox": [20, 2, 0.5, 7]}, "it lies outside the image"),
        ({"bbox": [NAN, 2, 3, 7]}, "its left is nan, no finite number"),
        ({"bbox": [1, INF, 3, 7]}, "its top is inf, no finite number"),
        ({"bbox": [1, 2, 10**400, 7]}, "its width is 1000"),
        ({"bbox": [1, 2, "3", 7]}, "its width is '3', no finite number"),
        ({"bbox": [1, 2, True, 7]}, "its width is True, no finite number"),
        ({"bbox": [1, 2, 3]}, "it needs a whole image_id and category_id, and a bbox of four numbers"),
        ({"bbox": None}, "a bbox of four numbers [None]"),
        ({"bbox": "1234"}, "a bbox of four numbers"),
        ({"category_id": 4}, "there is no category 4"),
        ({"category_id": "3"}, "it needs a whole image_id and category_id"),
        ({"image_id": 8}, "there is no image 8"),
        ({"image_id": 9}, "its image 9 cannot be used"),
        ({"iscrowd": 2}, "its iscrowd is 2, and may be 0 or 1"),
        ({"iscrowd": []}, "its iscrowd is [], and may be 0 or 1"),
        ({"area": -1}, "its area is -1, no number of pixels"),
        ({"area": NAN}, "its area is nan, no number of pixels"),
        ({"area": "1"}, "its area is '1', no number of pixels"),
    ],
)
@pytest.mark.parametrize("info", [{}, {"info": {"task": "detect"}}])
def test_an_annotation_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, change, said, info):
    absent = IMAGE | {"id": 9, "file_name": "absent.png"}
    root = written(tmp_path, images=[IMAGE, absent], annotations=[BOX, BOX | {"id": 44} | change])
    if info:
        path = root / "annotations" / "instances_train.json"
        path.write_text(json.dumps(info | json.loads(path.read_text())))
    dataset = CocoBoxesFormat().read(root)
    assert dataset.splits["train"][0].label.xyxy == ((1, 2, 7, 9),)
    first, second = refusals(dataset)
    assert first.startswith("annotations/instances_train.json#image 9: there is no file 'absent.png' [{")
    assert second.startswith("annotations/instances_train.json#44: ")
    assert said in second
    assert " Mend or remove the " in second
    assert len(second) < 300


def test_a_photo_of_another_size_than_the_file_says_is_refused_with_its_boxes(tmp_path):
    dataset = CocoBoxesFormat().read(written(tmp_path, images=[IMAGE | {"width": 10, "height": 20}]))
    assert not dataset.splits["train"]
    first, second = refusals(dataset)
    assert first.startswith("images/a.png: 10x20 pixels as annotations/instances_train.json says, 20x10 in its file")
    assert "instances_train.json#1: its image 7 cannot be used [[1, 2, 6, 7]]" in second


def test_a_photo_all_of_whose_boxes_are_refused_is_no_background(tmp_path):
    dataset = CocoBoxesFormat().read(written(tmp_path, annotations=[BOX | {"bbox": [0, 0, 0, 0]}]))
    assert not dataset.splits["train"]
    assert "images/a.png: all its boxes were refused" in refusals(dataset)[1]


def test_widths_beyond_the_digits_of_floats_are_written_and_read_in_full(tmp_path):
    left, right = 0.09496435085386785, 0.9393679699181043
    before = CocoBoxesFormat().read(written(tmp_path / "a"))
    record = before.splits["train"][0]
    label = Boxes.of([((left, 1.0, right, 3.5), 0)])
    object.__setattr__(record, "label", label)
    CocoBoxesFormat().write(before, tmp_path / "b")
    text = (tmp_path / "b" / "annotations" / "instances_train.json").read_text()
    assert f"[{left}, 1.0, 0.84440361906423645, 2.5]" in text
    assert json.loads(text)["annotations"][0]["bbox"][2] == pytest.approx(right - left)
    assert read(tmp_path / "b") == label


@pytest.mark.parametrize("entry", [None, 3, [], "x", {}, {"id": {}}])
def test_an_annotation_of_another_kind_is_refused_by_its_place(tmp_path, entry):
    dataset = CocoBoxesFormat().read(written(tmp_path, annotations=[BOX, entry]))
    (text,) = refusals(dataset)
    assert text.startswith("annotations/instances_train.json#")
    assert "it needs a whole image_id and category_id, and a bbox of four numbers" in text


def test_what_is_no_such_folder_says_what_is_wanted(tmp_path):
    with pytest.raises(DataError, match=r"has no JSON file with images, categories and annotations that have a bbox"):
        CocoBoxesFormat().read(tmp_path)
    with pytest.raises(DataError, match=r"names no class"):
        CocoBoxesFormat().read(written(tmp_path, categories=[]))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "bbox"]), inner),
    max_leaves=5,
)


@given(image=VALUES, label=VALUES, word=st.sampled_from([*BOX, "area", "iscrowd"]), value=VALUES, info=st.booleans())
def test_any_values_are_read_or_refused(tmp_path_factory, image, label, word, value, info):
    root = tmp_path_factory.mktemp("any")
    mark = {"info": {"task": "detect"}} if info else {}
    content = {"images": [IMAGE, image], "categories": CATEGORIES, "annotations": [BOX, label, BOX | {word: value}]}
    written(root)
    (root / "annotations" / "instances_train.json").write_text(json.dumps(mark | content))
    try:
        dataset = CocoBoxesFormat().read(root)
    except PellucidError:
        return
    dataset.ledger.lines().encode()
    assert dataset.splits["train"][0].label.xyxy[0] == (1, 2, 7, 9)
