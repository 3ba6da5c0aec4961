"""COCO's panoptic form: ids in colours, what they are of, and what cannot be used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.panoptic import PanopticFormat
from pellucid.data.masks import IGNORE
from pellucid.errors import DataError, ImageError, PellucidError
from pellucid.image import write_image

LARGE = 7 + 256 * 8 + 65536 * 200
IDS = np.array([[0, 300, 300], [300, LARGE, 2]])
IMAGE = {"id": 7, "file_name": "a.jpg", "height": 2, "width": 3}
CATEGORIES = [{"id": 200, "name": "wall", "isthing": 0}, {"id": 1, "name": "person", "isthing": 1}]
SEGMENTS = [{"id": 300, "category_id": 200}, {"id": LARGE, "category_id": 1}, {"id": 2, "category_id": 1, "iscrowd": 1}]
ANNOTATION = {"image_id": 7, "file_name": "a.png", "segments_info": SEGMENTS}
FILE = "annotations/panoptic_train.json"


def written(root: Path, *, ids: np.ndarray = IDS, **changes: Any) -> Path:
    """A dataset of one image; `changes` are other lists for the JSON file."""
    write_image(root / "images" / "a.jpg", np.zeros((2, 3, 3), np.uint8))
    colors = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=2).astype(np.uint8)
    write_image(root / "annotations" / "panoptic_train" / "a.png", colors)
    content = {"images": [IMAGE], "categories": CATEGORIES, "annotations": [ANNOTATION]} | changes
    (root / FILE).write_text(json.dumps(content))
    return root


def mask(dataset: Dataset) -> list[list[int]]:
    (record,) = dataset.splits["train"]
    return record.label.read(dataset.root, (2, 3)).tolist()


def refusals(dataset: Dataset) -> list[str]:
    return list(map(str, dataset.ledger.refused))


def test_ids_are_colours_and_what_is_no_segment_or_a_crowd_is_ignored(tmp_path):
    dataset = open_dataset(written(tmp_path), val=0, test=0)
    assert dataset.format == "panoptic"
    assert dataset.classes == ("person", "wall")
    assert mask(dataset) == [[IGNORE, 1, 1], [1, 0, IGNORE]]
    assert dataset.ledger.used == {"images/a.jpg": 1, "annotations/panoptic_train/a.png": 1, FILE: 1}
    assert not dataset.ledger.refused


def test_what_is_written_has_one_segment_a_class(tmp_path):
    before = open_dataset(written(tmp_path / "a"), val=0, test=0)
    PanopticFormat().write(before, tmp_path / "b")
    content = json.loads((tmp_path / "b" / FILE).read_text())
    (annotation,) = content["annotations"]
    with Pillow.open(tmp_path / "b" / "annotations" / "panoptic_train" / annotation["file_name"]) as picture:
        colors = np.asarray(picture).astype(int)
    ids = colors @ [1, 256, 65536]
    names = {category["id"]: category["name"] for category in content["categories"]}
    found = {names[segment["category_id"]]: ids == segment["id"] for segment in annotation["segments_info"]}
    assert {name: pixels.tolist() for name, pixels in found.items()} == {
        "person": [[False, False, False], [False, True, False]],
        "wall": [[False, True, True], [True, False, False]],
    }
    boxes = {
        names[segment["category_id"]]: (segment["bbox"], segment["area"]) for segment in annotation["segments_info"]
    }
    assert boxes == {"person": ([1, 1, 1, 1], 1), "wall": ([0, 0, 3, 2], 3)}
    assert (ids == 0).sum() == 2


def test_an_id_that_is_no_segment_names_file_and_value(tmp_path):
    ids = IDS.copy()
    ids[0, 2] = 5 + 256 * 6
    dataset = PanopticFormat().read(written(tmp_path, ids=ids))
    with pytest.raises(
        ImageError, match=r"panoptic_train/a.png holds the value 1541 \(red, green, blue \[5, 6, 0\]\) in row 0"
    ):
        mask(dataset)


def test_official_files_of_both_kinds_ask_which_is_meant(tmp_path):
    written(tmp_path)
    square = {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [[0, 0, 1, 0, 1, 1]]}
    content = {"images": [IMAGE], "categories": CATEGORIES, "annotations": [square]}
    (tmp_path / "annotations" / "instances_train.json").write_text(json.dumps(content))
    with pytest.raises(PellucidError, match=r"could be read as coco-masks or as panoptic.* --format coco-masks"):
        open_dataset(tmp_path)
    assert mask(open_dataset(tmp_path, "panoptic", val=0, test=0))[1] == [1, 0, IGNORE]
    assert mask(open_dataset(tmp_path, "coco-masks", val=0, test=0)) == [[1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image_id": 8}, "#image 8: there is no image 8"),
        ({"image_id": "7"}, "#image 7: it needs a whole image_id, a file_name, and segments_info"),
        ({"segments_info": None}, "it needs a whole image_id"),
        ({"file_name": "b.png"}, "there is no mask 'b.png'"),
        ({"file_name": "../../images/a.jpg"}, "there is no mask '../../images/a.jpg'"),
        ({"file_name": "/etc/passwd"}, "there is no mask '/etc/passwd'"),
        ({"file_name": "\ud800"}, r"there is no mask '\ud800'"),
        ({"segments_info": [*SEGMENTS, {"id": 2, "category_id": 200}]}, "it has two segments 2 of different classes"),
    ],
)
def test_an_annotation_that_cannot_be_used_says_why_and_so_does_its_image(tmp_path, change, said):
    dataset = PanopticFormat().read(written(tmp_path, annotations=[ANNOTATION | change]))
    assert dataset.splits == {"train": ()}
    texts = refusals(dataset)
    assert texts[0].startswith(FILE)
    assert said in texts[0]
    assert any(text.startswith("images/a.jpg: no annotation in annotations/panoptic_train.json says") for text in texts)
    dataset.ledger.lines().encode()


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        ({"id": 300, "category_id": 9}, "its segment 300 is of category 9, which is none"),
        ({"id": 0, "category_id": 1}, "it has a segment without a whole id and category_id [{"),
        ({"id": 300.0, "category_id": 1}, "it has a segment without a whole id"),
        ({"id": 10**30, "category_id": 1}, "it has a segment without a whole id"),
        ({"id": True, "category_id": 1}, "it has a segment without a whole id"),
        ([], "it has a segment without a whole id and category_id [[]]"),
    ],
)
def test_a_segment_that_cannot_be_used_is_refused_for_itself(tmp_path, segment, said):
    annotation = ANNOTATION | {"segments_info": [*SEGMENTS[1:], segment]}
    dataset = PanopticFormat().read(written(tmp_path, annotations=[annotation]))
    (text,) = refusals(dataset)
    assert text.startswith(f"{FILE}#image 7: ")
    assert said in text
    assert len(dataset.splits["train"]) == 1


def test_two_annotations_of_an_image_and_a_mask_of_another_size_are_refused(tmp_path):
    dataset = PanopticFormat().read(written(tmp_path, annotations=[ANNOTATION, ANNOTATION], ids=IDS[:, :2]))
    assert refusals(dataset)[0].startswith(f"{FILE}#image 7: its image has another annotation already")
    with pytest.raises(ImageError, match=r"2x2 pixels in its mask annotations/panoptic_train/a.png, 3x2 in its image"):
        mask(dataset)


def test_a_yaml_file_may_name_the_places(tmp_path):
    written(tmp_path)
    (tmp_path / "masks").mkdir()
    (tmp_path / "annotations" / "panoptic_train" / "a.png").rename(tmp_path / "masks" / "a.png")
    (tmp_path / FILE).rename(tmp_path / "list.json")
    file = tmp_path / "set.yaml"
    file.write_text(
        "val: {images: images, masks: masks, annotations: list.json}\ntest: {images: a, masks: b, annotations: c}"
    )
    dataset = open_dataset(file, val=0, test=0)
    assert {split: len(records) for split, records in dataset.splits.items()} == {"val": 1}
    assert dataset.ledger.notes[0].text.startswith("its split 'test' is not here: there is no ")
    file.write_text("val: {images: images, masks: masks, annotations: images}")
    with pytest.raises(DataError, match=r"images cannot be used: there is no such file"):
        open_dataset(file)


def test_a_folder_without_such_a_file_says_what_is_wanted(tmp_path):
    with pytest.raises(
        DataError, match=r"has no JSON file with images, categories and annotations that have segments_inf"
    ):
        PanopticFormat().read(tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "category_id"]), inner),
    max_leaves=5,
)


@given(word=st.sampled_from(list(ANNOTATION)), key=st.sampled_from(list(SEGMENTS[2])), value=VALUES)
def test_any_values_are_read_or_refused(tmp_path_factory, word, key, value):
    root = tmp_path_factory.mktemp("any")
    segments = {"segments_info": [*SEGMENTS, value, SEGMENTS[2] | {key: value}]}
    written(root, annotations=[ANNOTATION | {word: value}, ANNOTATION | segments, value])
    try:
        dataset = PanopticFormat().read(root)
    except PellucidError:
        return
    dataset.ledger.lines().encode()
    for record in dataset.splits["train"]:
        assert record.path == Path("images/a.jpg")


def test_coco128(shared):
    """The panoptic and the semantic masks of the same photos are the same, but for crowds, which are ignored here."""
    dataset = open_dataset(shared / "coco128" / "panoptic_segmentation", val=0, test=0)
    assert dataset.format == "panoptic"
    assert len(dataset.classes) == 133
    assert len(dataset.splits["train"]) == 100
    assert sum(refusal.file.endswith(".jpg") for refusal in dataset.ledger.refused) == 28
    content = json.loads(
        (shared / "coco128" / "panoptic_segmentation" / FILE.replace("train", "train2017")).read_text()
    )
    segments = [segment for annotation in content["annotations"] for segment in annotation["segments_info"]]
    assert (len(segments), sum(segment["iscrowd"] for segment in segments)) == (1111, 6)

    semantic = open_dataset(shared / "coco128" / "semantic_segmentation", val=0, test=0)
    assert [record.path for record in semantic.splits["train"]] == [record.path for record in dataset.splits["train"]]
    differing = []
    for one, other in zip(dataset.splits["train"], semantic.splits["train"], strict=True):
        size = dataset.image(one).pixels.shape[:2]
        panoptic_names = np.array([*dataset.classes, *[""] * 122, ""])[one.label.read(dataset.root, size)]
        semantic_names = np.array([*semantic.classes, *[""] * 126, ""])[other.label.read(semantic.root, size)]
        unlike = panoptic_names != semantic_names
        assert not panoptic_names[unlike].any(), one.path  # crowds only
        differing += [one.path.stem] * bool(unlike.any())
    crowds = [note["segments_info"] for note in content["annotations"] if Path(note["file_name"]).stem in differing]
    assert sum(segment["iscrowd"] for segments in crowds for segment in segments) == 6
    assert len(differing) == len(crowds) == 5
