from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.catalog import catalogue
from pellucid.data.boxes import Boxes
from pellucid.data.dataset import (
    AbstractFormat,
    Dataset,
    claim_folder,
    open_dataset,
    ordered_classes,
    split_named,
    split_stratified,
)
from pellucid.data.ledger import Ledger
from pellucid.errors import DataError, LookupFailed, UsageError
from pellucid.types import Record
from tests.drawn import draw_images, make_image_folder


def unsplit(per_class: list[int], **splits: tuple[Record, ...]) -> Dataset:
    train = tuple(
        Record(Path(f"{label}/{number}.png"), label) for label, count in enumerate(per_class) for number in range(count)
    )
    classes = tuple(str(at) for at in range(len(per_class)))
    return Dataset("classify", classes, {"train": train, **splits}, Path(), Ledger(), "folder")


def fate(dataset: Dataset) -> dict[str, str]:
    return {record.name: split for split, records in dataset.splits.items() for record in records}


def test_open_reads_and_splits_a_folder(image_folder):
    dataset = open_dataset(image_folder)
    assert dataset.format == "folder"
    assert dataset.classes == ("bars", "columns", "disc")
    assert dataset.made == ("val", "test")
    assert sum(map(len, dataset.splits.values())) == 36
    assert dataset.ledger.offered == 36
    record = dataset.split("train")[0]
    assert np.array_equal(dataset.image(record).pixels, draw_images([0] * 12, 32, 0)[int(record.path.stem)])


def test_a_missing_split_says_what_there_is(image_folder):
    dataset = open_dataset(image_folder, val=0, test=0)
    with pytest.raises(UsageError, match=r"has no 'val' split. It has: train \(36\)"):
        dataset.split("val")


def test_a_wrong_path_names_the_nearest(tmp_path):
    make_image_folder(tmp_path / "flowers")
    with pytest.raises(UsageError, match=r"There is no '.*flwers'. Did you mean 'flowers'"):
        open_dataset(tmp_path / "flwers")
    with pytest.raises(UsageError, match=r"Did you mean 'fashion-mnist'"):
        open_dataset("fashion-mnst")
    with pytest.raises(UsageError, match=r"one of: mnist, fashion-mnist, cifar10"):
        open_dataset(tmp_path / "absent" / "zzz")


def test_a_folder_in_no_format_says_what_was_found(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "deep").mkdir()
    with pytest.raises(DataError, match=r"in none of the formats .*folder.*Found: 1 .txt, 1 folders|1 folders, 1 .txt"):
        open_dataset(tmp_path)


def test_a_folder_in_two_formats_asks_which(image_folder):
    (image_folder / "labels.csv").write_text("path,label\nbars/000.png,bar\n")
    with pytest.raises(UsageError, match=r"as folder or as table. Give the path of the table itself.*format='folder'"):
        open_dataset(image_folder)
    assert open_dataset(image_folder, "table").classes == ("bar",)
    assert len(open_dataset(image_folder, "folder").classes) == 3


def test_an_unknown_format_is_refused(image_folder):
    with pytest.raises(LookupFailed, match=r"No format named 'foldr'. Did you mean 'folder'"):
        open_dataset(image_folder, "foldr")


def test_a_format_of_ones_own_is_used(tmp_path, image_folder):
    code = tmp_path / "mine.py"
    code.write_text(
        "from pellucid.data.formats.folder import FolderFormat\nclass Mine(FolderFormat):\n    name = 'mine'\n"
    )
    dataset = open_dataset(image_folder, f"{code}:Mine")
    assert dataset.format == f"{code}:Mine"
    assert dataset.image(dataset.split("train")[0]).pixels.shape == (32, 32, 3)


def test_a_dataset_without_a_usable_image_says_why(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\nabsent.png,cat\n")
    with pytest.raises(DataError, match=r"no image that can be used.\n  labels.csv:2: there is no such file"):
        open_dataset(tmp_path)


def test_formats_are_abstract_until_they_read():
    with pytest.raises(TypeError, match=r"abstract"):
        AbstractFormat()
    assert {"cifar", "folder", "idx", "table"} <= set(catalogue("FORMATS"))
    assert all(isinstance(thing, AbstractFormat) for thing in catalogue("FORMATS").values())


# Splits


def test_every_class_is_cut_in_about_the_wanted_share():
    dataset = split_stratified(unsplit([400, 100, 40]), seed=0, val=0.1, test=0.2)
    for split, share in (("val", 0.1), ("test", 0.2)):
        for label, count in enumerate((400, 100, 40)):
            cut = sum(record.label == label for record in dataset.splits[split])
            assert 0.5 * share * count - 1 <= cut <= 1.5 * share * count + 1
    assert dataset.made == ("val", "test")


@given(per_class=st.lists(st.integers(0, 40), min_size=1, max_size=4), seed=st.integers(0, 2**63 - 1))
def test_nothing_is_lost_and_every_class_of_three_is_everywhere(per_class, seed):
    before = unsplit(per_class)
    after = split_stratified(before, seed=seed, val=0.1, test=0.1)
    assert sorted(fate(after)) == sorted(fate(before))
    for label, count in enumerate(per_class):
        splits = {name for name, records in after.splits.items() if any(r.label == label for r in records)}
        assert splits == ({"train", "val", "test"} if count >= 3 else {"train"} if count else set())


@given(count=st.integers(60, 200), seed=st.integers(0, 999), val=st.floats(0.05, 0.5), test=st.floats(0.05, 0.5))
def test_train_keeps_an_image_and_order_is_kept(count, seed, val, test):
    after = split_stratified(unsplit([count]), seed=seed, val=val, test=test)
    for records in after.splits.values():
        numbers = [int(record.path.stem) for record in records]
        assert numbers == sorted(numbers)
        assert numbers


def test_adding_an_image_moves_no_other():
    before = fate(split_stratified(unsplit([300, 200]), seed=3, val=0.1, test=0.1))
    for more in range(1, 40):
        after = fate(split_stratified(unsplit([300 + more, 200]), seed=3, val=0.1, test=0.1))
        assert {name: after[name] for name in before} == before


def test_changing_val_moves_nothing_into_or_out_of_test():
    small = split_stratified(unsplit([300]), seed=3, val=0.1, test=0.1)
    large = split_stratified(unsplit([300]), seed=3, val=0.2, test=0.1)
    assert small.splits["test"] == large.splits["test"]
    assert set(small.splits["val"]) < set(large.splits["val"])


def test_the_seed_decides():
    cuts = {split_stratified(unsplit([50]), seed=seed, val=0.1, test=0.1).splits["val"] for seed in range(5)}
    assert len(cuts) == 5


def test_cut_splits_have_a_largest_size():
    dataset = split_stratified(unsplit([30_000, 10_000]), seed=0, val=0.2, test=0.5)
    assert 1_800 < len(dataset.splits["val"]) <= 2_000
    assert 9_500 < len(dataset.splits["test"]) <= 10_000


def test_given_splits_stay_and_zero_makes_none():
    given_val = (Record(Path("v.png"), 0),)
    dataset = split_stratified(unsplit([30], val=given_val), seed=0, val=0.1, test=0.1)
    assert dataset.splits["val"] == given_val
    assert dataset.made == ("test",)
    assert list(split_stratified(unsplit([30]), seed=0, val=0, test=0).splits) == ["train"]
    assert split_stratified(unsplit([2]), seed=0, val=0.5, test=0.5).made == ()


def test_labels_that_are_no_classes_are_cut_as_one_group():
    train = tuple(Record(Path(f"{at}.png"), [(0, at)]) for at in range(50))
    dataset = Dataset("detect", ("a",), {"train": train}, Path(), Ledger(), "folder")
    cut = split_stratified(dataset, seed=0, val=0.1, test=0.1)
    assert {name: len(records) > 0 for name, records in cut.splits.items()} == dict.fromkeys(
        ("train", "val", "test"), True
    )


def test_photos_with_boxes_are_cut_by_photo(tmp_path):
    labels = [Boxes.of([((0.0, 0.0, 2.0, 2.0), at % 2)] * (at % 4)) for at in range(60)]
    train = tuple(Record(Path(f"{at}.png"), label) for at, label in enumerate(labels))
    before = Dataset("detect", ("a", "b"), {"train": train}, Path(), Ledger(), "voc")
    after = split_stratified(before, seed=0, val=0.1, test=0.1)
    assert sorted(fate(after)) == sorted(fate(before))
    assert {split: len(records) for split, records in after.splits.items()} == {"train": 44, "val": 8, "test": 8}
    again = split_stratified(before, seed=0, val=0.1, test=0.1)
    assert again.splits == after.splits


def test_boxes_get_other_class_names_and_another_digest(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    records = (Record(Path("a.png"), Boxes.of([((0.0, 0.0, 2.0, 2.0), 0), ((1.0, 1.0, 2.0, 2.0), 1)])),)
    before = Dataset("detect", ("b", "a"), {"train": records}, tmp_path, Ledger(), "voc")
    after = before.renamed(("a", "b"), lambda label: label.renumbered([1, 0]))
    assert after.splits["train"][0].label.labels == (1, 0)
    assert after.splits["train"][0].label.xyxy == records[0].label.xyxy
    moved = before.renamed(("b", "a"), lambda label: Boxes.of([(xyxy, 0) for xyxy in label.xyxy]))
    assert len({before.digest(), after.digest(), moved.digest()}) == 3


# Digest


def test_the_digest_names_bytes_labels_and_splits(image_folder):
    first = open_dataset(image_folder)
    assert first.digest() == open_dataset(image_folder).digest()
    assert first.digest() != open_dataset(image_folder, seed=1).digest()
    before = first.digest()
    (image_folder / "bars" / "000.png").write_bytes((image_folder / "bars" / "001.png").read_bytes())
    assert first.digest() != before


@dataclass(frozen=True)
class Box:
    corners: tuple[float, ...]


class Color(Enum):
    RED = 1


class Opaque:
    def __init__(self) -> None:
        self.value = {1, 2}


class Circle:
    def __init__(self) -> None:
        self.me = self


@pytest.mark.parametrize(
    "label",
    [
        *(None, 1.5, float("nan"), "a", b"\xff", Path("a"), (1, [2, None]), {"a": {1: 2}}, {3, 1}, np.arange(3)),
        *(np.int64(3), np.float32(1), Box((0.5, 1.5)), Color.RED, Opaque(), Circle()),
    ],
)
def test_any_label_can_be_digested(tmp_path, label):
    (tmp_path / "a.png").write_bytes(b"x")

    def digest(value) -> str:
        records = (Record(Path("a.png"), value),)
        return Dataset("any", (), {"train": records}, tmp_path, Ledger(), "folder").digest()

    assert digest(label) == digest(label)
    assert digest(label) != digest("something else")


def test_two_opaque_labels_with_the_same_content_have_one_digest(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    digests = {
        Dataset("any", (), {"train": (Record(Path("a.png"), Opaque()),)}, tmp_path, Ledger(), "folder").digest()
        for _ in range(3)
    }
    assert len(digests) == 1


# Names


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["b", "a", "b"], ("a", "b")),
        (["é", "é"], ("é",)),
        ([], ()),
    ],
)
def test_classes_are_ordered_by_value_or_alphabet(names, ordered):
    assert ordered_classes(names) == ordered


def test_splits_have_several_names():
    assert [split_named(name) for name in ("Valid", "validation", "TRAIN", " test ", "trainannot")] == [
        "val",
        "val",
        "train",
        "test",
        None,
    ]


def test_a_folder_is_claimed_only_when_empty(tmp_path):
    claim_folder(tmp_path / "new" / "deep")
    claim_folder(tmp_path / "new" / "deep")
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match=r"is not an empty folder"):
            claim_folder(path)
