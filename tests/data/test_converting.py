"""From one format to another: what goes over, what is refused, and what is said of it."""

import json

import numpy as np
import pytest

from pellucid.data.converting import convert
from pellucid.data.dataset import open_dataset
from pellucid.errors import DataError, LookupFailed, UsageError
from pellucid.image import write_image
from tests.drawn import make_image_folder, make_mask_folder


def test_what_can_be_used_goes_over_and_the_rest_is_named(tmp_path):
    root = make_mask_folder(tmp_path / "a", {"train": 4, "val": 2})
    write_image(root / "train" / "masks" / "0.png", np.full((32, 32), 9, np.uint8))
    write_image(root / "train" / "masks" / "1.png", np.zeros((31, 32), np.uint8))
    (root / "train" / "images" / "2.png").write_bytes(b"\x89PNG")
    (root / "val" / "masks" / "1.png").unlink()
    (root / "README.md").write_text("x")
    done = convert(root, "panoptic", tmp_path / "b")
    assert done.counts == {"train": 1, "val": 1}
    assert done.classes == ("background", "disc", "bar")
    assert not done.whole
    lines = done.text().splitlines()
    assert lines[0] == f"{tmp_path}/b: panoptic, 3 classes, images: 1 train, 1 val"
    assert sorted(line.split(": ")[1] for line in lines[1:]) == [
        "README.md",
        "train/images/0.png",
        "train/images/1.png",
        "train/images/2.png",
        "val/images/1.png",
    ]
    assert "holds the value 9 in row 0, column 0" in done.text()
    values = json.loads(json.dumps(done.to_json()))
    assert values["ok"] is False
    assert len(values["refused"]) == 5
    assert {
        split: len(records) for split, records in open_dataset(tmp_path / "b", test=0).splits.items()
    } == done.counts


def test_strays_do_not_count(tmp_path):
    root = make_mask_folder(tmp_path / "a", {"train": 1})
    (root / "README.md").write_text("x")
    assert convert(root, "coco-masks", tmp_path / "b").whole


def test_classification_goes_over_as_well(tmp_path):
    make_image_folder(tmp_path / "a", ["cat", "dog"], 2)
    assert convert(tmp_path / "a", "table", tmp_path / "b").counts == {"train": 4}
    assert open_dataset(tmp_path / "b", val=0, test=0).classes == ("cat", "dog")


def test_a_format_of_ones_own_is_written(tmp_path):
    code = tmp_path / "mine.py"
    code.write_text(
        "from pellucid.data.formats.masks import MasksFormat\nclass Mine(MasksFormat):\n    name = 'mine'\n"
    )
    convert(make_mask_folder(tmp_path / "a", {"val": 1}), f"{code}:Mine", tmp_path / "b")
    assert list(open_dataset(tmp_path / "b", "masks", test=0).splits) == ["val"]


def test_what_a_format_does_not_hold_is_said_before_anything_is_written(tmp_path):
    make_image_folder(tmp_path / "photos", ["cat", "dog"], 2)
    make_mask_folder(tmp_path / "masks", {"train": 1})
    out = tmp_path / "out"
    with pytest.raises(
        UsageError, match=r"photos is for the task 'classify', and the format 'masks' holds data for 'segm"
    ):
        convert(tmp_path / "photos", "masks", out)
    with pytest.raises(LookupFailed, match=r"No format named 'panoptik'. Did you mean 'panoptic'"):
        convert(tmp_path / "masks", "panoptik", out)
    with pytest.raises(
        UsageError, match=r"holds the background and one class, not background, disc, bar. Choose a format"
    ):
        convert(tmp_path / "masks", "instance-masks", out)
    assert not out.exists()
    with pytest.raises(UsageError, match=r"photos exists and is not an empty folder. Choose another name"):
        convert(tmp_path / "masks", "masks", tmp_path / "photos")


def test_a_dataset_of_which_nothing_can_be_read_names_the_first_image(tmp_path):
    root = make_mask_folder(tmp_path / "a", {"train": 2})
    for number in range(2):
        (root / "train" / "masks" / f"{number}.png").write_bytes(b"")
    (root / "README.md").write_text("x")
    with pytest.raises(
        DataError, match=r"has no image that can be read. First: train/images/0.png: its mask .* has 0 bytes"
    ):
        convert(root, "panoptic", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_boxes_go_over_and_what_cannot_be_said_is_said(tmp_path):
    for name in "abc":
        write_image(tmp_path / "a" / f"{name}.png", np.zeros((8, 9, 3), np.uint8))
    (tmp_path / "a" / "c.png").write_bytes((tmp_path / "a" / "a.png").read_bytes()[:45])
    rows = ["path,label,left,top,right,bottom,ignored", "a.png,car,1,1,1,1,0", "a.png,car,1,2,3.1,4,0", "b.png,,,,,,"]
    table = tmp_path / "a" / "boxes.csv"
    table.write_text("\n".join([*rows, "c.png,car,1,2,3,4,0"]))
    done = convert(tmp_path / "a", "voc", tmp_path / "b")
    assert (done.counts, done.classes, done.whole) == ({"train": 2}, ("car",), False)
    assert sorted(refusal.file for refusal in done.refused) == ["boxes.csv", "c.png"]
    after = open_dataset(tmp_path / "b", val=0, test=0)
    assert [record.label.xyxy for record in after.splits["train"]] == [((1, 2, 3.1, 4),), ()]
    table.write_text("\n".join([*rows, "b.png,car,1,2,3,4,1"]).replace("b.png,,,,,,\n", ""))
    with pytest.raises(UsageError, match=r"b.png has an object to ignore, and yolo-boxes knows none. Choose voc, coco"):
        convert(tmp_path / "a", "yolo-boxes", tmp_path / "c")
    with pytest.raises(UsageError, match=r"is for the task 'detect', and the format 'masks' holds data for 'segment'"):
        convert(tmp_path / "a", "masks", tmp_path / "c")
    assert not (tmp_path / "c").exists()
