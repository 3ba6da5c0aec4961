"""One mask for every object, united to one class."""

from pathlib import Path

import numpy as np
import pytest

from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.instance_masks import InstanceMasksFormat
from pellucid.errors import DataError, ImageError
from pellucid.image import read_values, write_image

OBJECTS = np.array([[[0, 1, 1], [0, 1, 0]], [[0, 0, 0], [0, 0, 255]], [[0, 0, 0], [0, 1, 1]]], np.uint8)
UNITED = [[0, 1, 1], [0, 1, 1]]


def written(root: Path, place: str = "a", objects: np.ndarray = OBJECTS) -> Path:
    """One image, and a mask an object."""
    write_image(root / place / "images" / f"{Path(place).name}.png", np.zeros((2, 3, 3), np.uint8))
    (root / place / "masks").mkdir()
    for number, pixels in enumerate(objects):
        write_image(root / place / "masks" / f"{number}.png", pixels)
    return root


def refusals(dataset: Dataset) -> list[str]:
    return sorted(map(str, dataset.ledger.refused))


def read_masks(dataset: Dataset) -> dict[str, list[list[int]]]:
    return {
        f"{split}:{record.path.stem}": record.label.read(dataset.root, (2, 3)).tolist()
        for split, records in dataset.splits.items()
        for record in records
    }


def test_objects_are_united_in_splits_or_without(tmp_path):
    written(tmp_path / "one", "a")
    written(tmp_path / "one", "b", OBJECTS[:0])
    dataset = open_dataset(tmp_path / "one", val=0, test=0)
    assert (dataset.format, dataset.classes) == ("instance-masks", ("background", "object"))
    assert read_masks(dataset) == {"train:a": UNITED, "train:b": [[0] * 3] * 2}
    assert [str(note.text) for note in dataset.ledger.notes] == ["no mask: all of it is background"]
    assert dataset.ledger.used["a/masks/1.png"] == 1
    assert not dataset.ledger.refused
    written(tmp_path / "two", "Training/a")
    written(tmp_path / "two", "val/a", OBJECTS[:1])
    dataset = open_dataset(tmp_path / "two", val=0, test=0)
    assert read_masks(dataset) == {"train:a": UNITED, "val:a": [[0, 1, 1], [0, 1, 0]]}


def test_coloured_objects_count_by_any_channel(tmp_path):
    blue = np.zeros((1, 2, 3, 3), np.uint8)
    blue[0, 1, 2, 2] = 1
    assert read_masks(open_dataset(written(tmp_path, objects=blue), val=0, test=0)) == {
        "train:a": [[0, 0, 0], [0, 0, 1]]
    }


def test_a_table_may_name_the_class(tmp_path):
    written(tmp_path)
    (tmp_path / "classes.txt").write_text("0 background\n1 nucleus\n")
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert dataset.classes == ("background", "nucleus")
    assert dataset.ledger.used["classes.txt"] == 2
    (tmp_path / "classes.txt").write_text("nucleus\n")
    assert open_dataset(tmp_path, val=0, test=0).classes == ("background", "nucleus")
    (tmp_path / "classes.txt").write_text("nucleus\nwall\n")
    with pytest.raises(
        DataError, match=r"classes.txt names background, nucleus, wall; masks of objects are of one class"
    ):
        open_dataset(tmp_path)


def test_folders_that_are_not_whole_are_refused(tmp_path):
    for place in ("a", "b", "c", "train-of-thought", "deep/er/d"):
        written(tmp_path, place)
    write_image(tmp_path / "b" / "images" / "b2.png", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "c" / "images" / "c.png").unlink()
    (tmp_path / "e" / "images").mkdir(parents=True)
    write_image(tmp_path / "e" / "images" / "e.png", np.zeros((2, 3, 3), np.uint8))
    (tmp_path / "a" / "notes.txt").write_text("x")
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert read_masks(dataset) == {"train:a": UNITED, "train:train-of-thought": UNITED}
    reasons = {refusal.file: refusal.reason for refusal in dataset.ledger.refused}
    assert reasons["b/images/b2.png"] == reasons["b/masks/0.png"] == "b has 2 images for its masks"
    assert reasons["c/masks/0.png"] == "c has 0 images for its masks"
    assert reasons["e/images/e.png"] == "there is no folder of masks beside that of the image"
    assert reasons["deep/er/d/images/d.png"] == "no label names this image"
    assert reasons["a/notes.txt"] == "its suffix '.txt' is no image's"


def test_a_mask_of_another_size_names_the_file(tmp_path):
    written(tmp_path)
    write_image(tmp_path / "a" / "masks" / "1.png", np.zeros((3, 3), np.uint8))
    with pytest.raises(ImageError, match=r"3x3 pixels in its mask a/masks/1.png, 3x2 in its image"):
        read_masks(open_dataset(tmp_path, val=0, test=0))


def test_what_is_written_has_a_mask_for_every_region(tmp_path):
    """Regions hang together by their sides; the two of this mask touch at a corner only."""
    dataset = open_dataset(written(tmp_path / "a", objects=np.array([[[1, 1, 0], [0, 0, 1]]], np.uint8)), val=0, test=0)
    InstanceMasksFormat().write(dataset, tmp_path / "b")
    masks = [read_values(path).tolist() for path in sorted((tmp_path / "b" / "train" / "a" / "masks").iterdir())]
    assert sorted(masks) == [[[0, 0, 0], [0, 0, 255]], [[255, 255, 0], [0, 0, 0]]]


def test_many_images_in_one_folder_are_not_this_format(tmp_path):
    written(tmp_path, "set")
    write_image(tmp_path / "set" / "images" / "b.png", np.zeros((2, 3, 3), np.uint8))
    assert not InstanceMasksFormat().sniff(tmp_path)
    with pytest.raises(
        DataError, match=r"has no folders with images and masks in them, such as a/images/a.png and a/mas"
    ):
        open_dataset(tmp_path, "instance-masks")
