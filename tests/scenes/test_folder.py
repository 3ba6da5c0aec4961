"""Scenes as files, read again by the formats `masks` and `csv-boxes`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.scenes import CLASSES, scene, write_boxed_scenes, write_scenes

WRITERS = pytest.mark.parametrize("write", [write_scenes, write_boxed_scenes])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_read_again(tmp_path):
    write_scenes(tmp_path / "a", {"train": 3, "val": 1, "test": 2}, (24, 40), seed=8)
    dataset = open_dataset(tmp_path / "a")
    assert (dataset.format, dataset.classes) == ("masks", CLASSES)
    assert not dataset.ledger.refused
    assert {split: len(dataset.split(split)) for split in ("train", "val", "test")} == {"train": 3, "val": 1, "test": 2}
    for place, split in enumerate(("train", "val", "test")):
        for number, record in enumerate(dataset.split(split)):
            expected = scene(8, (24, 40), 3 * number + place)
            assert np.array_equal(np.asarray(Image.open(tmp_path / "a" / record.path)), expected.pixels)
            mask = tmp_path / "a" / split / "masks" / record.path.name
            assert np.array_equal(np.asarray(Image.open(mask)), expected.labels)


def test_boxes_are_read_again_as_they_were_drawn(tmp_path):
    write_boxed_scenes(tmp_path, {"train": 3, "val": 1, "test": 2}, (24, 40), seed=8)
    dataset = open_dataset(tmp_path)
    assert (dataset.format, dataset.task, dataset.classes) == ("csv-boxes", "detect", CLASSES[1:])
    assert not dataset.ledger.refused
    assert {split: len(dataset.split(split)) for split in ("train", "val", "test")} == {"train": 3, "val": 1, "test": 2}
    for place, split in enumerate(("train", "val", "test")):
        for number, record in enumerate(dataset.split(split)):
            expected = scene(8, (24, 40), 3 * number + place)
            assert record.path == Path("images", split, f"{number:04d}.png")
            assert np.array_equal(np.asarray(Image.open(tmp_path / record.path)), expected.pixels)
            assert record.label.xyxy == tuple(one.box for one in expected.instances)
            names = [dataset.classes[label] for label in record.label.labels]
            assert names == [CLASSES[one.label] for one in expected.instances]
            assert record.label.areas == tuple(one.area for one in expected.instances)
            assert not any(record.label.ignored)


def test_no_box_changes_with_the_number_of_other_scenes(tmp_path):
    write_boxed_scenes(tmp_path / "few", {"train": 2, "test": 1}, (16, 16))
    write_boxed_scenes(tmp_path / "many", {"train": 5, "val": 4, "test": 3}, (16, 16))
    few, many = (set((tmp_path / folder / "boxes.csv").read_text().split()) for folder in ("few", "many"))
    assert few < many


def test_masks_and_boxes_are_of_the_same_scenes(tmp_path):
    write_scenes(tmp_path / "masks", {"val": 2}, (16, 24), seed=3)
    write_boxed_scenes(tmp_path / "boxes", {"val": 2}, (16, 24), seed=3)
    masks, boxes = files(tmp_path / "masks"), files(tmp_path / "boxes")
    assert {Path(name).name: data for name, data in masks.items() if "images" in name} == {
        Path(name).name: data for name, data in boxes.items() if "images" in name
    }


@WRITERS
def test_no_scene_changes_with_the_number_of_others(write, tmp_path):
    write(tmp_path / "few", {"train": 2, "test": 1}, (16, 16))
    write(tmp_path / "many", {"train": 5, "val": 4, "test": 3}, (16, 16))
    few, many = (
        {name: data for name, data in files(tmp_path / folder).items() if name.endswith(".png")}
        for folder in ("few", "many")
    )
    assert few.items() <= many.items()
    images = [data for name, data in many.items() if "images" in name]
    assert len(set(images)) == len(images) == 12


@WRITERS
def test_the_same_again_is_fine_and_gives_the_same_files(write, tmp_path):
    write(tmp_path, {"train": 2}, (16, 20))
    before = files(tmp_path)
    write(tmp_path, {"train": 2}, (16, 20))
    assert files(tmp_path) == before
    write(tmp_path, {"train": 3}, (16, 20))
    after = files(tmp_path)
    assert all(after[name].startswith(data) for name, data in before.items())  # the table grows at its end
    assert len(after) > len(before)


@WRITERS
@pytest.mark.parametrize(
    "name", ["train/images/0002.png", "images/train/0002.png", "train/images/0001.jpg", "val/masks/0000.png"]
)
def test_a_folder_that_holds_other_images_is_refused(write, name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=f"{Path(name).name} is not among the scenes to write: choose a new folder"):
        write(tmp_path, {"train": 2}, (16, 16))
    assert set(files(tmp_path)) == {name}  # nothing was written


@WRITERS
@pytest.mark.parametrize(
    ("counts", "message"),
    [({"training": 1}, "no split 'training': give counts for train, val, test"), ({"val": -1}, "cannot be -1 scenes")],
)
def test_wrong_counts_are_refused(write, counts, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        write(tmp_path / "new", counts, (16, 16))
    assert not (tmp_path / "new").exists()
