import os
from pathlib import Path

import pytest

from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.folder import FolderFormat
from pellucid.errors import UsageError
from tests.drawn import make_image_folder


def opened(root: Path) -> Dataset:
    return open_dataset(root, "folder", val=0, test=0)


def reasons(dataset: Dataset) -> dict[str, str]:
    return {refusal.file: refusal.reason for refusal in dataset.ledger.refused}


def test_splits_are_found_under_their_other_names(tmp_path):
    make_image_folder(tmp_path, ["a", "b"], splits={"Train": 3, "valid": 2, "TEST": 1})
    dataset = open_dataset(tmp_path)
    assert {name: len(records) for name, records in dataset.splits.items()} == {"train": 6, "val": 4, "test": 2}
    assert dataset.made == ()
    assert str(dataset.splits["val"][0].path) == "valid/a/000.png"


def test_a_class_may_be_called_test(tmp_path):
    make_image_folder(tmp_path, ["control", "test"], 2)
    assert opened(tmp_path).classes == ("control", "test")


def test_only_val_and_test_are_splits_too(tmp_path):
    make_image_folder(tmp_path, ["a", "b"], splits={"val": 2, "test": 2})
    assert list(opened(tmp_path).splits) == ["val", "test"]


def test_deeper_folders_belong_to_their_class(tmp_path):
    make_image_folder(tmp_path / "animals", ["cat", "dog"], 2)
    make_image_folder(tmp_path / "plants", ["rose"], 2)
    dataset = opened(tmp_path)
    assert dataset.classes == ("animals", "plants")
    assert [len([r for r in dataset.splits["train"] if r.label == label]) for label in (0, 1)] == [4, 2]


def test_suffixes_of_any_case_count_and_other_files_are_refused(tmp_path):
    make_image_folder(tmp_path, ["a", "b"], 1, suffix=".JPG")
    for name in ("README.txt", "LICENSE", "a/Thumbs.db", "a/.hidden.png", "b/deep.tar.gz"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    make_image_folder(tmp_path / "loose", ["."], 1)
    (tmp_path / "loose" / "000.png").rename(tmp_path / "loose.png")
    (tmp_path / "loose").rmdir()
    dataset = opened(tmp_path)
    assert dataset.ledger.used == {"a/000.JPG": 1, "b/000.JPG": 1}
    assert reasons(dataset) == {
        "README.txt": "its suffix '.txt' is no image's",
        "LICENSE": "a file without a suffix, no image",
        "a/Thumbs.db": "its suffix '.db' is no image's",
        "a/.hidden.png": "a hidden file",
        "b/deep.tar.gz": "its suffix '.gz' is no image's",
        ".git": "a hidden folder with 1 files",
        "loose.png": "an image outside the class folders",
    }
    assert all(refusal.cure for refusal in dataset.ledger.refused)


def test_an_empty_class_folder_is_a_class(tmp_path):
    make_image_folder(tmp_path, ["a", "c"], 2)
    (tmp_path / "b").mkdir()
    dataset = open_dataset(tmp_path, val=0, test=0)
    assert dataset.classes == ("a", "b", "c")
    assert {record.label for record in dataset.splits["train"]} == {0, 2}


def test_numbers_are_ordered_by_value(tmp_path):
    make_image_folder(tmp_path, ["0", "1", "2", "10", "9"], 1)
    assert opened(tmp_path).classes == ("0", "1", "2", "9", "10")


def test_links_inside_are_followed_and_others_refused(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    make_image_folder(root, ["a", "b"], 1)
    make_image_folder(outside, ["c"], 1)
    (root / "a" / "inside.png").symlink_to(root / "b" / "000.png")
    (root / "a" / "out.png").symlink_to(outside / "c" / "000.png")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "self.png").symlink_to(root / "a" / "self.png")
    (root / "b" / "gone.png").symlink_to(root / "nothing.png")
    (root / "c").symlink_to(outside / "c")
    dataset = opened(root)
    assert list(dataset.ledger.used) == ["a/000.png", "a/inside.png", "b/000.png"]
    said = reasons(dataset)
    assert said.pop("a/self.png") in ("a link to nothing", "a link to itself")
    assert said == {
        "a/out.png": "a link that leads out of the dataset's folder",
        "a/loop": "a link that leads back to a folder around it",
        "b/gone.png": "a link to nothing",
        "c": "a link that leads out of the dataset's folder",
    }


def test_what_is_no_file_and_what_is_no_name_is_refused(tmp_path):
    make_image_folder(tmp_path, ["a", "b"], 1)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "b" / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    assert reasons(opened(tmp_path)) == {
        "a/pipe.png": "it is not a file",
        "b/\\udcff.png": "its name is not valid UTF-8",
    }


def test_folders_beside_the_splits_are_refused(tmp_path):
    make_image_folder(tmp_path, ["a", "b"], splits={"train": 2})
    make_image_folder(tmp_path / "more", ["a"], 1)
    dataset = opened(tmp_path)
    assert reasons(dataset) == {"more": "a folder beside the splits"}
    assert dataset.classes == ("a", "b")


@pytest.mark.parametrize("names", [["images", "labels"], ["a"], []])
def test_what_is_not_one_folder_per_class_is_not_taken_for_it(tmp_path, names):
    for name in names:
        make_image_folder(tmp_path, [name], 1)
    assert not FolderFormat().sniff(tmp_path)


def test_other_sets_are_not_taken_for_class_folders(shared):
    for name in ("bccd", "camvid", "nuclei", "coco128", "photos", "weights"):
        assert not FolderFormat().sniff(shared / name), name


def test_classes_that_no_folder_can_be_called_are_not_written(tmp_path):
    root = make_image_folder(tmp_path / "a", ["x", "y"], 1)
    (root / "labels.csv").write_text("path,label\nx/000.png,a/b\ny/000.png,a-b\n")
    with pytest.raises(UsageError, match="class 'a-b' cannot be the name of a folder"):
        FolderFormat().write(open_dataset(root, "table", val=0, test=0), tmp_path / "b")


def test_ants_and_bees(shared):
    dataset = open_dataset(shared / "hymenoptera", val=0, test=0)
    assert dataset.classes == ("ants", "bees")
    assert {name: len(records) for name, records in dataset.splits.items()} == {"train": 80, "val": 50}
    assert dataset.ledger.offered == 130
