"""YOLO's polygons: where the YAML file leads, what a line says, and what cannot be used."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.check import check
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.yolo_masks import YoloMasksFormat
from pellucid.data.masks import IGNORE
from pellucid.errors import DataError, PellucidError, UsageError
from pellucid.image import write_image

YAML = "path: .\ntrain: images/train\nnames: {0: car, 7: tree}\n"
SQUARE = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
CAR = [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
NOTHING = [[0] * 4] * 4


def written(
    root: Path, text: str | bytes = SQUARE, yaml: str = YAML, *, images: str = "images/train", name: str = "a"
) -> Path:
    """A dataset of one image and its label file."""
    write_image(root / images / f"{name}.png", np.zeros((4, 4, 3), np.uint8))
    labels = root / images.replace("images", "labels") / f"{name}.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_bytes(text.encode() if isinstance(text, str) else text)
    (root / "data.yaml").write_text(yaml)
    return root


def read_masks(dataset: Dataset) -> dict[str, list[list[int]]]:
    return {
        f"{split}:{record.path.stem}": record.label.read(dataset.root, (4, 4)).tolist()
        for split, records in dataset.splits.items()
        for record in records
    }


def refusals(dataset: Dataset) -> list[str]:
    return sorted(map(str, dataset.ledger.refused))


@pytest.mark.parametrize(
    ("yaml", "images"),
    [
        (YAML, "images/train"),
        ("train: images/train\nnames: [car, tree]\n", "images/train"),
        ("train: [images/train]\nval:\nnames: [car]\n", "images/train"),
        ("path: absent\ntrain: images/train\nnames: [car]\n", "images/train"),
        ("train: ../train/images\nnames: [car]\n", "train/images"),
        ("train: photos\nnames: [car]\n", "photos"),
    ],
)
def test_the_yaml_file_leads_to_images_and_labels(tmp_path, yaml, images):
    written(tmp_path / "set", yaml=yaml, images=images)
    for place in (tmp_path / "set", tmp_path / "set" / "data.yaml"):
        dataset = open_dataset(place, val=0, test=0)
        assert dataset.format == "yolo-masks"
        assert dataset.classes[:2] == ("background", "car")
        assert read_masks(dataset) == {"train:a": CAR}
        assert dataset.ledger.used[f"{images}/a.png"] == 1
        assert not dataset.ledger.refused


def test_a_path_of_its_own_may_lead_away_from_the_yaml_file(tmp_path):
    written(tmp_path / "far")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "private.txt").write_text("x")
    (tmp_path / "here" / "set.yaml").write_text(f"path: {tmp_path}/far\ntrain: images/train\nnames: [car]\n")
    dataset = open_dataset(tmp_path / "here", val=0, test=0)
    assert read_masks(dataset) == {"train:a": CAR}
    assert refusals(dataset)[0].startswith("far/data.yaml: its suffix '.yaml' is no image's")
    assert "private" not in "".join(refusals(dataset))


def test_a_linked_folder_of_images_is_followed_where_the_file_names_it(tmp_path):
    written(tmp_path / "set")
    (tmp_path / "set" / "images").rename(tmp_path / "photos")
    (tmp_path / "set" / "images").symlink_to("../photos")
    dataset = open_dataset(tmp_path / "set", val=0, test=0)
    assert read_masks(dataset) == {"train:a": CAR}
    assert not dataset.ledger.refused


def test_a_background_that_has_a_name_is_what_no_polygon_covers(tmp_path):
    yaml = "train: images/train\nnames: [car, Background, ignore]\n"
    text = SQUARE + "2 0 0 1 0 1 1 0 1\n1 0 0 0.25 0 0.25 0.25 0 0.25\n"
    dataset = open_dataset(written(tmp_path, text, yaml), val=0, test=0)
    assert dataset.classes == ("Background", "car")
    assert read_masks(dataset)["train:a"] == [[0, *[IGNORE] * 3], *[[IGNORE, 1, 1, IGNORE]] * 2, [IGNORE] * 4]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.1 0.1 0.9 0.1", "it is a box without an outline"),
        ("0 0.1 0.1", "its outline has 1 points, and a polygon has three"),
        ("0", "its outline has 0 points"),
        ("0 0.1 0.1 0.9 0.1 0.9", "its outline has an odd number of coordinates, 5"),
        ("3 0 0 1 0 1 1", "there is no class 3"),
        ("0.5 0 0 1 0 1 1", "there is no class 0.5"),
        ("nan 0 0 1 0 1 1", "there is no class nan"),
        ("1e999 0 0 1 0 1 1", "there is no class 1e999"),
        ("car 0 0 1 0 1 1", "it is no list of numbers"),
        ("0 0 0 1 0 1 nan", "its point (1.0, nan) lies outside the image of 1x1"),
        ("0 0 0 inf 0 1 1", "its point (inf, 0.0) lies outside the image of 1x1"),
        ("0 10 10 90 10 90 90", "its point (10.0, 10.0) lies outside the image of 1x1"),
        ("0 0 0 1 0 1 -1e300", "its point (1.0, -1e+300) lies outside"),
        ("0 0 0 1 0 1 caf\udce9", "it is no list of numbers"),
    ],
)
def test_a_line_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, line, said):
    text = f"{SQUARE}\n{line}\n".encode("utf-8", "surrogateescape")
    dataset = open_dataset(written(tmp_path, text), val=0, test=0)
    assert read_masks(dataset) == {"train:a": CAR}
    (refusal,) = dataset.ledger.refused
    assert (refusal.file, refusal.line) == ("labels/train/a.txt", 3)
    assert refusal.value == line.replace("\udce9", "\ufffd")
    assert said in refusal.reason
    assert refusal.cure.startswith("Write a class and three points at least")
    assert not refusal.is_stray


def test_pairs_that_are_torn_are_refused_on_the_label_side_and_background_on_the_other(tmp_path):
    written(tmp_path)
    written(tmp_path, name="b")
    written(tmp_path, name="c")
    (tmp_path / "labels" / "train" / "b.txt").unlink()
    (tmp_path / "images" / "train" / "c.png").unlink()
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert read_masks(dataset) == {"train:a": CAR, "train:b": NOTHING}
    assert [note.text for note in dataset.ledger.notes] == ["no label file: all of it is background"]
    said = "there is no image of its name in images/train. Put its image there, or remove it."
    assert refusals(dataset) == [f"labels/train/c.txt:1: {said}"]
    assert not check(dataset).ok
    (tmp_path / "data.yaml").write_text(YAML + "skip_if_label_file_missing: true\n")
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert read_masks(dataset) == {"train:a": CAR}
    assert refusals(dataset)[0].startswith("images/train/b.png: it has no label file, and data.yaml says skip_if_label")


def test_a_split_that_is_not_here_is_noted_and_none_at_all_is_an_error(tmp_path):
    written(tmp_path, yaml=YAML + "val: images/val\n")
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert [note.text for note in dataset.ledger.notes] == [
        f"its split 'val' is not here: there is no folder {tmp_path}/images/val"
    ]
    (tmp_path / "images").rename(tmp_path / "pictures")
    with pytest.raises(
        DataError, match=r"data.yaml names folders that are not here: .*images/train, .*images/val. Mend"
    ):
        open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("train: images/train\nnames: 3\n", "must list its classes as `0: sky`, a line each; it holds 3"),
        ("train: images/train\nnames: {a: b}\n", "data.yaml: 'a': 'b' is no class"),
        ("train: images/train\nnames: [no]\n", "data.yaml: 0: False is no class. Write a number and a name in quotes"),
        ("train: [1]\nnames: [car]\n", "data.yaml must name a folder of images where it says 1"),
        ("train: data.yaml\nnames: [car]\n", "must name a folder of images where it names the file .*data.yaml"),
        ("train: [[a]]\nnames: [car]\n", "data.yaml must name a folder"),
        ("names: [\n", "data.yaml cannot be read as YAML"),
        ('train: "a\\0b\\uD800"\nnames: [car]\n', "names folders that are not here"),
        ("names: [a]\n", "must hold one YAML file with `names` and `train`; it holds none"),
    ],
)
def test_a_yaml_file_that_cannot_be_used_says_why(tmp_path, yaml, said):
    with pytest.raises(PellucidError, match=said):
        YoloMasksFormat().read(written(tmp_path, yaml=yaml))


def test_the_one_who_gives_a_damaged_file_is_told_and_two_files_ask_which(tmp_path):
    written(tmp_path, yaml="names: [\n")
    with pytest.raises(DataError, match=r"data.yaml cannot be read as YAML"):
        open_dataset(tmp_path / "data.yaml")
    written(tmp_path)
    (tmp_path / "more.yaml").write_text(YAML)
    with pytest.raises(UsageError, match=r"it holds data.yaml, more.yaml. Give its path"):
        open_dataset(tmp_path)
    assert read_masks(open_dataset(tmp_path / "more.yaml", val=0, test=0)) == {"train:a": CAR}


def test_boxes_are_not_taken_for_polygons(tmp_path):
    assert not YoloMasksFormat().sniff(written(tmp_path, "0 0.5 0.5 0.5 0.5\n"))
    written(tmp_path, name="b")
    assert YoloMasksFormat().sniff(tmp_path)
    written(tmp_path, "a b c d e f g h\n", name="b")
    assert not YoloMasksFormat().sniff(tmp_path)


def test_links_out_and_pipes_are_not_read(tmp_path):
    (tmp_path / "secret.txt").write_text(SQUARE)
    written(tmp_path / "set")
    for name in ("b", "c"):
        written(tmp_path / "set", name=name)
        (tmp_path / "set" / "labels" / "train" / f"{name}.txt").unlink()
    (tmp_path / "set" / "labels" / "train" / "b.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(tmp_path / "set" / "labels" / "train" / "c.txt")
    os.mkfifo(tmp_path / "set" / "c.json")
    os.mkfifo(tmp_path / "set" / "d.yaml")
    dataset = open_dataset(tmp_path / "set", val=0, test=0)
    assert read_masks(dataset) == {"train:a": CAR, "train:b": NOTHING, "train:c": NOTHING}
    assert [text.partition(". ")[0] for text in refusals(dataset)] == [
        "c.json: it is not a file",
        "d.yaml: it is not a file",
        "labels/train/b.txt: a link that leads out of the dataset's folder",
        "labels/train/c.txt: it is not a file",
    ]


def test_polygons_are_kept_as_they_are_where_they_give_the_same_mask(tmp_path):
    before = open_dataset(written(tmp_path / "a", "7 0.1 0.1 0.9 0.2 0.3 0.93\n"), val=0, test=0)
    YoloMasksFormat().write(before, tmp_path / "b")
    assert (tmp_path / "b" / "labels" / "train" / "a.txt").read_text() == "1 0.1 0.1 0.9 0.2 0.3 0.93\n"
    assert read_masks(open_dataset(tmp_path / "b", val=0, test=0)) == read_masks(before)


@given(text=st.text(alphabet=st.sampled_from("0123456789.-e nan\n\t,_\x85"), max_size=60), raw=st.binary(max_size=8))
def test_any_label_file_is_read_or_refused_line_by_line(tmp_path_factory, text, raw):
    root = written(tmp_path_factory.mktemp("any"), text.encode() + raw)
    dataset = YoloMasksFormat().read(root)
    (record,) = dataset.splits["train"]
    assert record.label.read(root, (4, 4)).shape == (4, 4)
    lines = [
        line
        for line in (root / "labels" / "train" / "a.txt").read_text("utf-8-sig", "replace").splitlines()
        if line.strip()
    ]
    assert len(lines) == len(record.label.shapes) + len(dataset.ledger.refused)


@pytest.fixture
def coco128(shared, tmp_path) -> Path:
    """The polygons with a link to the photos beside them, as upstream has it."""
    shutil.copytree(shared / "coco128" / "instance_segmentation", tmp_path / "instance_segmentation")
    (tmp_path / "images").symlink_to(shared / "coco128" / "images")
    (tmp_path / "instance_segmentation").chmod(0o755)
    (tmp_path / "instance_segmentation" / "images").symlink_to("../images")
    return tmp_path / "instance_segmentation"


def test_coco128(coco128, shared):
    dataset = open_dataset(coco128, val=0, test=0)
    assert dataset.format == "yolo-masks"
    records = dataset.splits["train"]
    assert len(records) == 100
    assert sum(len(record.label.shapes) for record in records) == 746
    points = [len(ring) // 2 for record in records for shape in record.label.shapes for ring in shape.rings]
    assert (min(points), max(points)) == (5, 542)
    assert len(dataset.classes) == 81  # the background and 80 of the ids 1 to 90
    reasons = [refusal.reason for refusal in dataset.ledger.refused]
    assert len(reasons) == 28
    assert set(reasons) == {"it has no label file, and config.yaml says skip_if_label_file_missing"}
    assert any("its split 'val' is not here" in note.text for note in dataset.ledger.notes)

    panoptic = open_dataset(shared / "coco128" / "panoptic_segmentation", val=0, test=0)
    others = {record.path.name: record for record in panoptic.splits["train"]}
    agreed = counted = 0
    for record in records:
        size = dataset.image(record).pixels.shape[:2]
        mine = np.array([*dataset.classes, *[""] * 175])[record.label.read(dataset.root, size)]
        theirs = np.array([*panoptic.classes, *[""] * 123])[others[record.path.name].label.read(panoptic.root, size)]
        thing = mine != "background"
        agreed, counted = agreed + int((mine == theirs)[thing].sum()), counted + int(thing.sum())
    assert agreed / counted > 0.9
