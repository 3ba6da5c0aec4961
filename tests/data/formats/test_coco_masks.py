"""COCO's instances: what its JSON files say, in every way of saying it, and what of it cannot be used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.coco_masks import CocoMasksFormat
from pellucid.data.masks import IGNORE
from pellucid.errors import DataError, ImageError, PellucidError
from pellucid.image import write_image

IMAGE = {"id": 7, "file_name": "a.png", "height": 4, "width": 5}
CATEGORIES = [{"id": 90, "name": "tree"}, {"id": 3, "name": "car"}]
SQUARE = {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}
CAR = [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]


def written(root: Path, *, name: str = "annotations/instances_train.json", **changes: Any) -> Path:
    """A dataset of one image; `changes` are other lists for the JSON file."""
    write_image(root / "images" / "a.png", np.zeros((4, 5, 3), np.uint8))
    content = {"images": [IMAGE], "categories": CATEGORIES, "annotations": [SQUARE]} | changes
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    return root


def mask(dataset: Dataset, split: str = "train") -> list[list[int]]:
    (record,) = dataset.splits[split]
    return record.label.read(dataset.root, (4, 5)).tolist()


def refusals(dataset: Dataset) -> list[str]:
    return list(map(str, dataset.ledger.refused))


@pytest.mark.parametrize(
    "segmentation",
    [
        [[1, 1, 3, 1, 3, 3, 1, 3]],
        [[1, 1, 2, 1, 2, 3, 1, 3], [2, 1, 3, 1, 3, 3, 2, 3]],
        [[1, 1, 3, 1, 3, 3, 1, 3], [1, 1, 2, 1, 2, 3, 1, 3]],
        {"size": [4, 5], "counts": [5, 2, 2, 2, 9]},
        {"size": [4, 5], "counts": "52207"},
    ],
    ids=["polygon", "two rings", "rings over each other", "run lengths", "compressed"],
)
def test_one_region_in_many_dresses(tmp_path, segmentation):
    dataset = open_dataset(written(tmp_path, annotations=[SQUARE | {"segmentation": segmentation}]), val=0, test=0)
    assert dataset.format == "coco-masks"
    assert dataset.classes == ("background", "car", "tree")
    assert mask(dataset) == CAR
    assert dataset.ledger.used == {"images/a.png": 1, "annotations/instances_train.json": 1}
    assert not dataset.ledger.refused


def test_the_smaller_lies_in_front_and_crowds_are_ignored_behind_all(tmp_path):
    whole = SQUARE | {"id": 2, "category_id": 90, "segmentation": [[0, 0, 5, 0, 5, 3, 0, 3]]}
    crowd = SQUARE | {"id": 3, "iscrowd": 1, "segmentation": {"size": [4, 5], "counts": [0, 20]}}
    for annotations in ([SQUARE, whole, crowd], [crowd, whole, SQUARE]):
        found = mask(CocoMasksFormat().read(written(tmp_path, annotations=annotations)))
        assert found == [[2, 2, 2, 2, 2], [2, 1, 1, 2, 2], [2, 1, 1, 2, 2], [IGNORE] * 5]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("annotations/instances_val2017.json", "val"),
        ("valid/_annotations.coco.json", "val"),
        ("instances_default.json", "train"),
        ("annotations/test.json", "test"),
    ],
)
def test_splits_are_in_the_names(tmp_path, name, split):
    dataset = open_dataset(written(tmp_path, name=name), val=0, test=0)
    assert mask(dataset, split) == CAR


def test_the_file_itself_may_be_given(tmp_path):
    file = written(tmp_path) / "annotations" / "instances_train.json"
    assert open_dataset(file, val=0, test=0) == open_dataset(tmp_path, val=0, test=0)


def test_images_of_one_name_are_told_apart_by_split(tmp_path):
    for split, value in (("train", 10), ("val", 20)):
        written(tmp_path, name=f"annotations/instances_{split}2017.json")
        write_image(tmp_path / "images" / f"{split}2017" / "a.png", np.full((4, 5, 3), value, np.uint8))
    (tmp_path / "images" / "a.png").unlink()
    dataset = open_dataset(tmp_path, val=0, test=0)
    seen = {split: int(dataset.image(records[0]).pixels[0, 0, 0]) for split, records in dataset.splits.items()}
    assert seen == {"train": 10, "val": 20}


def test_an_image_without_annotation_is_background_and_that_is_said(tmp_path):
    dataset = open_dataset(written(tmp_path, annotations=[]), val=0, test=0)
    assert mask(dataset) == [[0] * 5] * 4
    assert [note.text for note in dataset.ledger.notes] == ["no annotation: all of it is background"]


def test_categories_of_one_name_are_one_class_and_that_is_said(tmp_path):
    dataset = CocoMasksFormat().read(written(tmp_path, categories=[*CATEGORIES, {"id": 5, "name": "car"}]))
    assert dataset.classes == ("background", "car", "tree")
    assert [note.text for note in dataset.ledger.notes] == ["2 categories are called 'car': they are one class"]


NAN = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segmentation": [[1, 1, 3, 1]]}, "its outline has 2 points, and a polygon has three"),
        ({"segmentation": [[1, 1, 3, 1, 3]]}, "its outline has an odd number of coordinates, 5"),
        ({"segmentation": [[1, 1, 3, 1, 3, NAN]]}, "its point (3, nan) lies outside the image of 5x4"),
        ({"segmentation": [[1, 1, 3, 1, 3, 9]]}, "its point (3, 9) lies outside the image of 5x4"),
        ({"segmentation": [[1, 1, 3, 1, 3, 10**300]]}, "lies outside the image of 5x4"),
        ({"segmentation": [[1, 1, 3, 1, 3, "3"]]}, "its outline is no list of numbers"),
        ({"segmentation": [1, 1, 3, 1, 3, 3]}, "its outline is no list of numbers"),
        ({"segmentation": []}, "it has no outline"),
        ({"segmentation": None}, "it has no outline"),
        ({"segmentation": "abc"}, "it has no outline"),
        ({"segmentation": {"size": [4, 5]}}, "it has no outline"),
        ({"segmentation": {"size": [4.0, 5], "counts": [20]}}, "it has no outline"),
        (
            {"segmentation": {"size": [5, 4], "counts": [20]}},
            "its run lengths are for 4x5 pixels, and its image has 5x4",
        ),
        (
            {"segmentation": {"size": [4, 5], "counts": [19]}},
            "its run lengths add up to 19 pixels, and its image has 20",
        ),
        ({"segmentation": {"size": [4, 5], "counts": [10**100]}}, "its run lengths add up to 1000"),
        ({"segmentation": {"size": [4, 5], "counts": [21, -1]}}, "neither a list of numbers nor compressed text"),
        ({"segmentation": {"size": [4, 5], "counts": "O"}}, "it has a negative run length"),
        ({"category_id": 4}, "there is no category 4"),
        ({"category_id": "3"}, "it needs a whole image_id and category_id, and a segmentation"),
        ({"category_id": True}, "it needs a whole image_id"),
        ({"image_id": 7.0}, "it needs a whole image_id"),
        ({"image_id": 10**30}, "it needs a whole image_id"),
        ({"image_id": 8}, "there is no image 8"),
        ({"image_id": 9}, "its image 9 cannot be used"),
    ],
)
def test_an_annotation_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, change, said):
    absent = IMAGE | {"id": 9, "file_name": "absent.png"}
    bad = SQUARE | {"id": 44} | change
    dataset = CocoMasksFormat().read(written(tmp_path, images=[IMAGE, absent], annotations=[SQUARE, bad]))
    assert mask(dataset) == CAR
    first, second = refusals(dataset)
    assert first.startswith("annotations/instances_train.json#image 9: there is no file 'absent.png' [{")
    assert second.startswith("annotations/instances_train.json#44: ")
    assert said in second
    assert second.endswith(". Mend or remove the annotation.")
    assert len(second) < 300


@pytest.mark.parametrize("entry", [None, 3, [], "x", {}, {"id": {}}, {"id": 1e400}])
def test_an_annotation_of_another_kind_is_refused_by_its_place(tmp_path, entry):
    dataset = CocoMasksFormat().read(written(tmp_path, annotations=[SQUARE, entry]))
    (text,) = refusals(dataset)
    assert text.startswith("annotations/instances_train.json#")
    assert "it needs a whole image_id and category_id, and a segmentation" in text


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (IMAGE, "another image has this id"),
        (IMAGE | {"id": 8}, "it is described twice"),
        (IMAGE | {"file_name": "b.png"}, "another image has this id"),
        (IMAGE | {"id": 8, "file_name": "../images/none.png"}, "there is no file '../images/none.png'"),
        (IMAGE | {"id": 8, "file_name": "/etc/passwd"}, "there is no file '/etc/passwd'"),
        (IMAGE | {"id": 8, "file_name": "a\0b\ud800"}, r"there is no file 'a\x00b\ud800'"),
        (IMAGE | {"id": 8, "file_name": ""}, "there is no file ''"),
        (IMAGE | {"id": 8, "height": 4.0}, "its entry needs a whole id, height and width, and a file_name"),
        (IMAGE | {"id": 8, "width": 10**400}, "its entry needs a whole id"),
        (IMAGE | {"id": 8, "width": -5}, "its entry needs a whole id"),
        (IMAGE | {"id": "8"}, "its entry needs a whole id"),
        (None, "its entry needs a whole id"),
        ([[[[]]]], "its entry needs a whole id"),
    ],
)
def test_an_image_that_cannot_be_used_says_why(tmp_path, entry, said):
    write_image(tmp_path / "images" / "b.png", np.zeros((4, 5, 3), np.uint8))
    dataset = CocoMasksFormat().read(written(tmp_path, images=[IMAGE, entry]))
    assert mask(dataset) == CAR
    text = next(text for text in refusals(dataset) if "#image" in text)
    assert said in text
    assert "images/b.png: no label names this image" in "\n".join(refusals(dataset))
    json.dumps(refusals(dataset)).encode()
    dataset.ledger.lines().encode()


def test_an_image_of_two_files_is_used_once(tmp_path):
    written(tmp_path, name="annotations/instances_val.json")
    dataset = CocoMasksFormat().read(written(tmp_path))
    assert {split: len(records) for split, records in dataset.splits.items()} == {"train": 1, "val": 0}
    assert "annotations/instances_val.json#image 7: it is described twice" in refusals(dataset)[0]


def test_a_photo_of_another_size_than_the_file_says_is_refused(tmp_path):
    dataset = CocoMasksFormat().read(written(tmp_path, images=[IMAGE | {"width": 6}]))
    with pytest.raises(ImageError, match=r"6x4 pixels as annotations/instances_train.json says, 5x4 in its image"):
        mask(dataset)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": {}}, "must hold lists of images, categories, annotations, as COCO's files do; images is none"),
        ({"annotations": {"segmentation": []}}, "annotations is none"),
        ({"categories": [{"id": 1}]}, "the category {'id': 1} must have a name and a whole id of its own"),
        ({"categories": [{"id": -1, "name": "a"}]}, "must have a name and a whole id"),
        ({"categories": [{"id": True, "name": "a"}]}, "must have a name and a whole id"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "the category {'id': 1, 'name': 'b'} must"),
        ({"categories": [{"id": 1, "name": " "}]}, "1: ' ' is no class"),
        ({"categories": [{"id": 1, "name": "\ud800"}]}, r"the name '\ud800' holds signs that cannot be shown"),
        ({"categories": []}, "names no class to learn"),
    ],
)
def test_a_file_that_cannot_be_used_at_all_says_why(tmp_path, changes, said):
    with pytest.raises(DataError) as error:
        CocoMasksFormat().read(written(tmp_path, **{"annotations": [SQUARE]} | changes))
    assert said in str(error.value)
    assert "annotations/instances_train.json" in str(error.value)


@pytest.mark.parametrize("end", ['"', "[" * 100_000, "\ud800", "1" * 5000])
def test_a_damaged_file_is_named(tmp_path, end):
    path = written(tmp_path) / "annotations" / "instances_train.json"
    path.write_bytes(path.read_bytes()[:-1] + b', "x": ' + end.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=r"instances_train.json is damaged: .* Replace it with an intact copy"):
        open_dataset(tmp_path)


def test_files_with_other_categories_cannot_be_read_together(tmp_path):
    written(tmp_path, name="annotations/instances_val.json", categories=CATEGORIES[:1])
    with pytest.raises(DataError, match=r"instances_train.json and .*instances_val.json name different categories"):
        CocoMasksFormat().read(written(tmp_path))


def test_a_link_out_of_the_folder_is_not_read(tmp_path):
    written(tmp_path / "other")
    written(tmp_path / "set")
    path = tmp_path / "set" / "annotations" / "instances_train.json"
    path.unlink()
    path.symlink_to(tmp_path / "other" / "annotations" / "instances_train.json")
    with pytest.raises(DataError, match=r"cannot be used: a link that leads out of the dataset's folder"):
        open_dataset(tmp_path / "set")


def test_a_folder_without_such_a_file_says_what_is_wanted(tmp_path):
    with pytest.raises(DataError, match=r"has no JSON file with images, categories and annotations that have a segm"):
        CocoMasksFormat().read(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "size", "counts"]), inner),
    max_leaves=5,
)


@given(image=VALUES, key=st.sampled_from(list(IMAGE)), label=VALUES, word=st.sampled_from(list(SQUARE)), value=VALUES)
def test_any_values_are_read_or_refused(tmp_path_factory, image, key, label, word, value):
    root = tmp_path_factory.mktemp("any")
    images, annotations = [IMAGE, image, IMAGE | {"id": 8, key: image}], [SQUARE, label, SQUARE | {word: value}]
    written(root, images=images, annotations=annotations)
    try:
        dataset = CocoMasksFormat().read(root)
    except PellucidError:
        return
    dataset.ledger.lines().encode()
    for record in dataset.splits["train"]:
        assert record.label.read(root, (4, 5)).shape == (4, 5)
