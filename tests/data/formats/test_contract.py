"""What every format that can be written keeps: `read(write(dataset))` has the same images, classes and splits."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.catalog import catalogue
from pellucid.data.dataset import AbstractFormat, Dataset, open_dataset
from pellucid.errors import UsageError
from pellucid.image import write_image
from tests.drawn import draw_images, make_image_folder

WRITABLE = [name for name, thing in catalogue("FORMATS").items() if type(thing).write is not AbstractFormat.write]
NAMES = ["cat", "dog", "T-shirt, top", 'say "a"', "é", "10", "2"]


def content(dataset: Dataset) -> dict[str, list[tuple[str, bytes]]]:
    """For every split the (class, pixels) of its images, in any order."""
    return {
        split: sorted((dataset.classes[record.label], dataset.image(record).pixels.tobytes()) for record in records)
        for split, records in dataset.splits.items()
    }


def drawn_dataset(root: Path, names: list[str], counts: dict[str, int], grey: bool) -> Dataset:
    for at, (split, count) in enumerate(counts.items()):
        for label, name in enumerate(names):
            for number, pixels in enumerate(draw_images([label] * count, 32, seed=100 * at + label)):
                write_image(root / split / name / f"{number}.png", pixels[..., :1] if grey else pixels)
    return open_dataset(root, "folder", val=0, test=0)


@pytest.mark.parametrize("name", WRITABLE)
@settings(max_examples=8)
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True),
    counts=st.fixed_dictionaries({"train": st.integers(1, 3)}, optional={"val": st.just(1), "test": st.just(2)}),
)
def test_what_is_written_is_read_again(tmp_path_factory, name, names, counts):
    root = tmp_path_factory.mktemp("round")
    before = drawn_dataset(root / "a", names, counts, grey=name == "idx")

    catalogue("FORMATS")[name].write(before, root / "b")
    after = open_dataset(root / "b", val=0, test=0)

    assert after.format == name
    assert set(after.classes) == set(before.classes)
    assert content(after) == content(before)
    assert not after.ledger.refused


@pytest.mark.parametrize("name", WRITABLE)
def test_writing_goes_to_a_new_or_empty_folder_only(tmp_path, name):
    dataset = drawn_dataset(tmp_path / "a", ["x", "y"], {"train": 1}, grey=True)
    with pytest.raises(UsageError, match=r"is not an empty folder"):
        catalogue("FORMATS")[name].write(dataset, tmp_path / "a")


@pytest.mark.parametrize("name", sorted(catalogue("FORMATS")))
def test_a_format_recognises_nothing_in_an_empty_or_strange_place(tmp_path, name):
    thing = catalogue("FORMATS")[name]
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(100))
    assert not thing.sniff(tmp_path / "empty")
    assert not thing.sniff(tmp_path / "a.bin")
    assert thing.name == name


def test_images_of_unequal_size_do_not_fit_into_packed_formats(tmp_path):
    make_image_folder(tmp_path / "a", ["x"], 1, 32)
    make_image_folder(tmp_path / "a", ["y"], 1, 20)
    dataset = open_dataset(tmp_path / "a", val=0, test=0)
    for name, said in (("idx", "grey images of one size; .*shape"), ("cifar", "y/000.png has 20 x 20")):
        with pytest.raises(UsageError, match=said):
            catalogue("FORMATS")[name].write(dataset, tmp_path / name)


def test_packed_formats_have_a_largest_number_of_classes(tmp_path):
    dataset = drawn_dataset(tmp_path / "a", [str(at) for at in range(11)], {"train": 1}, grey=True)
    with pytest.raises(UsageError, match=r"hold 10 classes at most, not 11"):
        catalogue("FORMATS")["cifar"].write(dataset, tmp_path / "b")


def test_a_packed_set_becomes_a_folder_of_png(tmp_path):
    grey = drawn_dataset(tmp_path / "a", ["T-shirt top", "Trouser"], {"train": 2}, grey=True)
    catalogue("FORMATS")["idx"].write(grey, tmp_path / "b")
    (tmp_path / "b" / "classes.txt").write_text("T-shirt/top\nTrouser\n")
    packed = open_dataset(tmp_path / "b", val=0, test=0)
    catalogue("FORMATS")["folder"].write(packed, tmp_path / "c")
    unpacked = open_dataset(tmp_path / "c", val=0, test=0)
    assert unpacked.classes == ("T-shirt-top", "Trouser")
    assert np.array_equal(
        unpacked.image(unpacked.splits["train"][0]).pixels, packed.image(packed.splits["train"][0]).pixels
    )


@pytest.mark.parametrize("name", ["idx", "cifar"])
def test_class_names_with_line_breaks_are_not_written_into_lists(tmp_path, name):
    dataset = dataclasses.replace(
        drawn_dataset(tmp_path / "a", ["x", "y"], {"train": 1}, grey=True), classes=("x", "y\nz")
    )
    with pytest.raises(UsageError, match=r"class 'y\\nz' cannot be written as a line"):
        catalogue("FORMATS")[name].write(dataset, tmp_path / "b")
    assert not (tmp_path / "b").exists()
