"""YOLO's boxes: what a line says in the photo's own pixels, and what cannot be used."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from pellucid.data.boxes import Boxes
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.yolo_boxes import YoloBoxesFormat
from pellucid.errors import DataError, UsageError
from pellucid.image import write_image

YAML = "path: .\ntrain: images/train\nnames: {0: car, 7: tree}\n"
LINE = "7 0.5 0.5 0.5 0.2"


def written(root: Path, text: str | bytes = LINE, yaml: str = YAML, name: str = "a") -> Path:
    """A photo of 20 x 10 and its label file."""
    write_image(root / "images" / "train" / f"{name}.png", np.zeros((10, 20, 3), np.uint8))
    labels = root / "labels" / "train" / f"{name}.txt"
    labels.parent.mkdir(parents=True, exist_ok=True)
    labels.write_bytes(text.encode() if isinstance(text, str) else text)
    (root / "data.yaml").write_text(yaml)
    return root


def refusals(dataset: Dataset) -> list[str]:
    return sorted(map(str, dataset.ledger.refused))


def test_shares_become_pixels_and_ids_may_have_gaps(tmp_path):
    dataset = open_dataset(written(tmp_path, f"{LINE}\n\n0 0.05 0.1 0.1 0.2\r\n0.0 1 1e0 0.1 0.2\n"), val=0, test=0)
    assert dataset.format == "yolo-boxes"
    assert dataset.classes == ("car", "tree")
    (record,) = dataset.splits["train"]
    assert record.label.xyxy == ((5, 4, 15, 6), (0, 0, 2, 2), (19, 9, 20, 10))
    assert record.label.labels == (1, 0, 0)
    assert dataset.ledger.used == {"data.yaml": 2, "labels/train/a.txt": 3, "images/train/a.png": 1}


def test_names_in_a_list_count_from_zero_and_none_is_void(tmp_path):
    dataset = open_dataset(written(tmp_path, "1 0.5 0.5 1 1", "train: images/train\nnames: [ignore, background]\n"))
    assert dataset.classes == ("ignore", "background")
    assert dataset.splits["train"][0].label.labels == (1,)


def test_the_photo_is_turned_before_shares_are_taken_of_it(tmp_path):
    written(tmp_path)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", (20, 10)).save(tmp_path / "images" / "train" / "a.jpg", exif=exif)
    (tmp_path / "images" / "train" / "a.png").unlink()
    dataset = open_dataset(tmp_path, val=0, test=0)
    (record,) = dataset.splits["train"]
    assert dataset.image(record).pixels.shape == (20, 10, 3)
    assert record.label.xyxy == ((2.5, 8, 7.5, 12),)


def test_photos_without_boxes_are_kept_and_that_is_said(tmp_path):
    written(tmp_path, "\n")
    written(tmp_path, name="b")
    (tmp_path / "labels" / "train" / "b.txt").unlink()
    (tmp_path / "labels" / "train" / "classes.txt").write_text("car\n")
    dataset = YoloBoxesFormat().read(tmp_path)
    assert [record.label for record in dataset.splits["train"]] == [Boxes.of([])] * 2
    assert [note.text for note in dataset.ledger.notes] == [
        "no box: all of it is background",
        "no label file: all of it is background",
    ]
    assert [refusal.is_stray for refusal in dataset.ledger.refused] == [True]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0 0.5 0.5 0 0.2", "it has no area: 0 x 2 pixels"),
        ("0 0.5 0.5 -0.2 0.2", "its width is negative"),
        ("0 0.5 0.5 0.2 -0.2", "its height is negative"),
        ("0 1.5 0.5 0.2 0.2", "it lies outside the image of 20x10: 28, 4, 32, 6"),
        ("0 10 5 4 2", "it lies outside the image"),
        ("0 0.5 0.5 nan 0.2", "its width is 'nan', no finite number"),
        ("0 inf 0.5 0.2 0.2", "its centre x is 'inf', no finite number"),
        ("0 0.5 1e999 0.2 0.2", "its centre y is '1e999', no finite number"),
        ("0 0.5 1e308 0.2 0.2", "no finite number"),
        ("0 0.5 1e-99999999999999999999 0.2 0.2", "no finite number"),
        ("1 0.5 0.5 0.2 0.2", "there is no class 1"),
        ("-1 0.5 0.5 0.2 0.2", "there is no class -1"),
        ("0.5 0.5 0.5 0.2 0.2", "there is no class 0.5"),
        ("car 0.5 0.5 0.2 0.2", "its class is 'car', no finite number"),
        ("0 0.5 0.5 0.2", "it has 4 numbers, and a box has 5"),
        ("0 0.5 0.5 0.2 0.2 sure", "its score is 'sure', no finite number"),
        ("0 0.1 0.1 0.9 0.1 0.5 0.9", "it has 7 numbers, and a box has 5"),
        ("0,0.5,0.5,0.2,0.2", "it has 1 numbers"),
        ("\udce9 0.5 0.5 0.2 0.2", "no finite number"),
    ],
)
def test_a_line_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, line, said):
    text = f"{LINE}\n\n{line}\n".encode("utf-8", "surrogateescape")
    dataset = open_dataset(written(tmp_path, text), val=0, test=0)
    assert dataset.splits["train"][0].label.xyxy == ((5, 4, 15, 6),)
    (refusal,) = dataset.ledger.refused
    assert (refusal.file, refusal.line) == ("labels/train/a.txt", 3)
    assert refusal.value == line.replace("\udce9", "\ufffd")
    assert said in refusal.reason
    assert refusal.cure.startswith("Write ")


def test_labels_without_photo_and_photos_without_size_are_refused(tmp_path):
    for name in "abc":
        written(tmp_path, name=name)
    (tmp_path / "images" / "train" / "b.png").unlink()
    (tmp_path / "images" / "train" / "c.png").write_bytes(b"x")
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert [record.path.stem for record in dataset.splits["train"]] == ["a"]
    assert [text.partition(": ")[0] for text in refusals(dataset)] == [
        "images/train/c.png",
        "labels/train/b.txt:1",
        "labels/train/c.txt:1",
    ]
    assert "its image images/train/c.png cannot be used" in refusals(dataset)[2]


def test_boxes_and_polygons_are_told_apart_and_both_ask_which(tmp_path):
    written(tmp_path)
    written(tmp_path, "0 0.1 0.1 0.9 0.1 0.5 0.9", name="b")
    with pytest.raises(UsageError, match=r"as yolo-boxes, that is boxes of objects, or as yolo-masks.*--format yolo-b"):
        open_dataset(tmp_path)
    (tmp_path / "data.yaml").write_text(YAML + "task: detect\n")
    assert open_dataset(tmp_path, val=0, test=0).format == "yolo-boxes"
    (tmp_path / "data.yaml").write_text(YAML + "task: segment\n")
    assert open_dataset(tmp_path, val=0, test=0).format == "yolo-masks"


def test_a_damaged_yaml_file_is_named(tmp_path):
    written(tmp_path, yaml="names: [\n")
    with pytest.raises(DataError, match=r"data.yaml cannot be read as YAML"):
        open_dataset(tmp_path / "data.yaml")


@pytest.mark.parametrize("line", ["7 0.479492 0.688771 0.955609 0.5955", "0 0.5 0.5 1 1", "0 0.0000005 0.5 0.000001 1"])
def test_six_digits_are_written_as_they_were(tmp_path, line):
    YoloBoxesFormat().write(open_dataset(written(tmp_path / "a", line), val=0, test=0), tmp_path / "b")
    words = (tmp_path / "b" / "labels" / "train" / "a.txt").read_text().split()
    assert words[1:] == line.split()[1:]
    assert words[0] == ("1" if line[0] == "7" else "0")


@given(text=st.text(alphabet=st.sampled_from("0123456789.-e nan\n\t,_\x85"), max_size=60), raw=st.binary(max_size=8))
def test_any_label_file_is_read_or_refused_line_by_line(tmp_path_factory, text, raw):
    root = written(tmp_path_factory.mktemp("any"), LINE.encode() + b"\n" + text.encode() + raw)
    dataset = YoloBoxesFormat().read(root)
    (record,) = dataset.splits["train"]
    whole = (root / "labels" / "train" / "a.txt").read_text("utf-8-sig", "replace").splitlines()
    assert len([line for line in whole if line.strip()]) == len(record.label) + len(dataset.ledger.refused)
    dataset.ledger.lines().encode()


def test_coco128(shared, tmp_path):
    home = tmp_path / "object_detection"
    shutil.copytree(shared / "coco128" / "object_detection", home)
    home.chmod(0o755)
    (tmp_path / "images").symlink_to(shared / "coco128" / "images")
    (home / "images").symlink_to("../images")
    dataset = open_dataset(home, val=0, test=0)
    assert dataset.format == "yolo-boxes"
    assert len(dataset.classes) == 80
    records = dataset.splits["train"]
    assert len(records) == 128
    assert sum(len(record.label) for record in records) == 929
    assert sorted(record.path.stem for record in records if not len(record.label)) == ["000000000250", "000000000508"]
    orphans = [refusal for refusal in dataset.ledger.refused if "there is no image of its name" in refusal.reason]
    assert [Path(refusal.file).stem for refusal in orphans] == ["000000000656", "000000000659"]
    assert sum(len((home / "labels/train2017" / Path(at.file).name).read_text().split("\n")) for at in orphans) >= 12
    assert len(dataset.ledger.refused) == 2
    assert any("its split 'val' is not here" in note.text for note in dataset.ledger.notes)
