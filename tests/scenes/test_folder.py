"""Scenes as files, read again by the format `masks`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.scenes import CLASSES, scene, write_scenes


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


def test_no_scene_changes_with_the_number_of_others(tmp_path):
    write_scenes(tmp_path / "few", {"train": 2, "test": 1}, (16, 16))
    write_scenes(tmp_path / "many", {"train": 5, "val": 4, "test": 3}, (16, 16))
    few, many = files(tmp_path / "few"), files(tmp_path / "many")
    assert few.items() <= many.items()
    assert len(many) == 2 * 12 + 1
    assert len({data for name, data in many.items() if "images" in name}) == 12


def test_the_same_again_is_fine_and_gives_the_same_files(tmp_path):
    write_scenes(tmp_path, {"train": 2}, (16, 20))
    before = files(tmp_path)
    write_scenes(tmp_path, {"train": 2}, (16, 20))
    assert files(tmp_path) == before
    write_scenes(tmp_path, {"train": 3}, (16, 20))
    assert before.items() < files(tmp_path).items()


@pytest.mark.parametrize("name", ["train/images/0002.png", "train/images/0001.jpg", "val/masks/0000.png"])
def test_a_folder_that_holds_other_images_is_refused(name, tmp_path):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UsageError, match=f"{Path(name).name} is not among the scenes to write: choose a new folder"):
        write_scenes(tmp_path, {"train": 2}, (16, 16))
    assert set(files(tmp_path)) == {name}  # nothing was written


@pytest.mark.parametrize(
    ("counts", "message"),
    [({"training": 1}, "no split 'training': give counts for train, val, test"), ({"val": -1}, "cannot be -1 scenes")],
)
def test_wrong_counts_are_refused(counts, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        write_scenes(tmp_path / "new", counts, (16, 16))
    assert not (tmp_path / "new").exists()
