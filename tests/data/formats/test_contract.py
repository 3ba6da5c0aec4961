"""What every format that can be written keeps: `read(write(dataset))` has the same images, labels and splits."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.catalog import catalogue
from pellucid.data.boxes import Box, Boxes, box_area
from pellucid.data.class_table import BACKGROUND
from pellucid.data.dataset import AbstractFormat, Dataset, open_dataset
from pellucid.data.ledger import Ledger
from pellucid.data.masks import IGNORE
from pellucid.errors import UsageError
from pellucid.image import write_image
from pellucid.types import Record
from tests.drawn import draw_images, make_image_folder, make_mask_folder

FORMATS = catalogue("FORMATS")
WRITABLE = {
    task: [
        name
        for name, thing in FORMATS.items()
        if thing.task in (task, "") and type(thing).write is not AbstractFormat.write
    ]
    for task in ("classify", "segment", "detect")
}
KEEPS_ANY_NAME = {"shards"}
NAMES = ["cat", "dog", "T-shirt, top", 'say "a"', "é", "10", "2"]
SPLITS = st.fixed_dictionaries({"train": st.integers(1, 3)}, optional={"val": st.just(1), "test": st.just(2)})


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


@pytest.mark.parametrize("name", WRITABLE["classify"])
@settings(max_examples=8)
@given(names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True), counts=SPLITS)
def test_what_is_written_is_read_again(tmp_path_factory, name, names, counts):
    root = tmp_path_factory.mktemp("round")
    before = drawn_dataset(root / "a", names, counts, grey=name == "idx")

    FORMATS[name].write(before, root / "b")
    after = open_dataset(root / "b", val=0, test=0)

    assert after.format == name
    assert set(after.classes) == set(before.classes)
    assert content(after) == content(before)
    assert not after.ledger.refused


# Masks

MASK_NAMES = ["cell", "Straße, naß", "a b", 'say "a": #1', "é", "10", "2 2 2 x", "yes", "~", "Kreis  ", "- x"]
COLORS = np.array([[230, 60, 60], [60, 200, 60], [70, 90, 240], [230, 200, 40], [200, 60, 200], [40, 200, 200]])


@st.composite
def masks(draw, classes: int) -> np.ndarray:
    """Class indices, some perhaps ignored, of any small size, in blocks so that there are regions with holes."""
    height, width, block = draw(st.integers(1, 13)), draw(st.integers(1, 13)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    labels = [*range(classes), IGNORE] if draw(st.booleans()) else [*range(classes)]
    few = rng.choice(labels, draw(st.integers(1, len(labels))), replace=False)
    return np.kron(rng.choice(few, (height, width)), np.ones((block, block), int)).astype(np.uint8)


@st.composite
def mask_sets(draw) -> tuple[list[str], dict[str, list[np.ndarray]]]:
    """(names of classes, masks by split)"""
    others = draw(st.lists(st.sampled_from(MASK_NAMES).map(str.strip), min_size=1, max_size=3, unique=True))
    names = [BACKGROUND, *others] if draw(st.booleans()) else others
    return names, {split: [draw(masks(len(names))) for _ in range(count)] for split, count in draw(SPLITS).items()}


def mask_dataset(root: Path, names: list[str], drawn: dict[str, list[np.ndarray]]) -> Dataset:
    """Written by hand: masks as `masks` has them, with a picture of its own for every mask."""
    for split, here in drawn.items():
        for number, mask in enumerate(here):
            noise = np.random.default_rng([number, len(split)]).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
            write_image(root / split / "images" / f"{number}.png", noise)
            write_image(root / split / "masks" / f"{number}.png", mask)
    lines = [f"{at} {name}\n" for at, name in enumerate(names)]
    (root / "classes.txt").write_text("".join(lines), "utf-8")
    return open_dataset(root, "masks", val=0, test=0)


def marked(dataset: Dataset) -> dict[str, list[tuple[bytes, list[list[str]]]]]:
    """For every split the (pixels of the image, name of every pixel's class) of its images, in any order."""
    names = np.array([*dataset.classes, *[""] * (IGNORE - len(dataset.classes)), "ignored"])
    found = {}
    for split, records in dataset.splits.items():
        images = [(dataset.image(record).pixels, record.label) for record in records]
        found[split] = sorted(
            (pixels.tobytes(), names[label.read(dataset.root, pixels.shape[:2])].tolist()) for pixels, label in images
        )
    return found


def refusal(name: str, dataset: Dataset) -> str:
    """What a format must say of a dataset that it cannot hold; nothing where it can."""
    pixels = {name for here in marked(dataset).values() for _, rows in here for row in rows for name in row}
    if name == "instance-masks" and (len(dataset.classes) != 2 or dataset.classes[0] != BACKGROUND):
        return "instance-masks holds the background and one class, not "
    return (
        "has pixels to ignore, and instance-masks knows none"
        if name == "instance-masks" and "ignored" in pixels
        else ""
    )


def written_and_read(name: str, dataset: Dataset, folder: Path) -> Dataset | None:
    """The dataset again from a format that holds it; None where the format says why it does not."""
    if said := refusal(name, dataset):
        with pytest.raises(UsageError, match=said):
            FORMATS[name].write(dataset, folder)
        assert not folder.exists()
        return None
    FORMATS[name].write(dataset, folder)
    assert [other for other, thing in FORMATS.items() if thing.sniff(folder)] == [name]
    return open_dataset(folder, val=0, test=0)


def assert_same(after: Dataset, before: Dataset) -> None:
    """The same pixels of images and masks; what shapes leave over is the background, even where all is covered."""
    assert set(after.classes) - {BACKGROUND} == set(before.classes) - {BACKGROUND}
    assert len(set(after.classes)) == len(after.classes)
    assert marked(after) == marked(before)
    assert not after.ledger.refused


@pytest.mark.parametrize("name", WRITABLE["segment"])
@settings(max_examples=25)
@given(drawn=mask_sets())
def test_masks_that_are_written_are_read_again(tmp_path_factory, name, drawn):
    root = tmp_path_factory.mktemp("round")
    before = mask_dataset(root / "a", *drawn)
    after = written_and_read(name, before, root / "b")
    if after is not None:
        assert_same(after, before)
        assert after.task == "segment"
        assert sum(after.ledger.used.values()) >= sum(map(len, after.splits.values()))


@pytest.mark.parametrize("source", WRITABLE["segment"])
@settings(max_examples=5)
@given(drawn=mask_sets(), binary=st.booleans())
def test_masks_go_over_from_every_format_to_every_other(tmp_path_factory, source, drawn, binary):
    root = tmp_path_factory.mktemp("over")
    names, by_split = drawn
    if binary or source == "instance-masks":
        by_split = {split: [(mask == 1).astype(np.uint8) for mask in here] for split, here in by_split.items()}
        names = [BACKGROUND, "Straße, naß"]
    before = mask_dataset(root / "a", names, by_split)
    first = written_and_read(source, before, root / "b")
    for target in WRITABLE["segment"]:
        second = written_and_read(target, first, root / target)
        assert (second is None) == bool(refusal(target, first))
        if second is not None:
            assert_same(second, before)


@pytest.mark.parametrize("name", sorted({*WRITABLE["segment"]} - KEEPS_ANY_NAME))
@pytest.mark.parametrize("called", ["void", "Ignore", " a", "a\nb", "a\u2028b", ""])
def test_names_that_would_be_read_as_others_are_not_written(tmp_path, name, called):
    dataset = mask_dataset(tmp_path / "a", [BACKGROUND, "x"], {"train": [np.ones((2, 2), np.uint8)]})
    with pytest.raises(UsageError, match=r"Rename it first") as error:
        FORMATS[name].write(dataclasses.replace(dataset, classes=(BACKGROUND, called)), tmp_path / "b")
    assert repr(called) in str(error.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", WRITABLE["segment"])
def test_images_of_one_name_in_any_place_stay_apart(tmp_path, name):
    """Equal stems with other suffixes, in other splits, with points and signs in them."""
    root = make_mask_folder(tmp_path / "a", {"train": 5, "val": 1}, size=8)
    for at, called in enumerate(["a.png", "a.PNG", "a-2.png", "b.c ü.png"]):
        (root / "train" / "images" / f"{at}.png").rename(root / "train" / "images" / called)
    (root / "train" / "masks" / "1.png").unlink()
    for at, called in ((0, "a"), (2, "a-2"), (3, "b.c ü")):
        (root / "train" / "masks" / f"{at}.png").rename(root / "train" / "masks" / f"{called}.png")
    (root / "val" / "images" / "0.png").rename(root / "val" / "images" / "a.png")
    (root / "val" / "masks" / "0.png").rename(root / "val" / "masks" / "a.png")
    (root / "classes.txt").write_text("0 background\n1 disc\n2 disc\n")
    before = open_dataset(root, val=0, test=0)
    assert {split: len(records) for split, records in before.splits.items()} == {"train": 4, "val": 1}
    splits = {**before.splits, "test": before.splits["train"][:1] * 2}
    before = dataclasses.replace(before, splits=splits, ledger=Ledger())  # shards keep what was refused
    after = written_and_read(name, before, tmp_path / "b")
    assert_same(after, before)


# Boxes

BOX_NAMES = [*map(str.strip, MASK_NAMES), "void", "ignore", BACKGROUND, "<b> & </b>", "Annotation"]
NEVER_IGNORES = {"yolo-boxes"}
KEEPS_NO_AREA = {"voc", "yolo-boxes"}
Drawn = dict[str, list[tuple[tuple[int, int], list[Box]]]]


def places(side: int) -> st.SearchStrategy[float]:
    """Coordinates along a side: between pixels, in the decimals of files, in thirds, anywhere."""
    near, thirds = st.integers(0, 100 * side).map(lambda at: at / 100), st.integers(0, 3 * side).map(lambda at: at / 3)
    return st.integers(0, side).map(float) | near | thirds | st.floats(1e-6, side)


@st.composite
def boxes(draw, size: tuple[int, int], classes: int) -> Box:
    (top, bottom), (left, right) = (
        sorted(draw(st.lists(places(side), min_size=2, max_size=2, unique=True))) for side in size
    )
    area, ignored = draw(st.none() | st.floats(0.5, 50)), draw(st.sampled_from([False, False, False, True]))
    return Box((left, top, right, bottom), draw(st.integers(0, classes - 1)), ignored, area)


@st.composite
def box_sets(draw) -> tuple[list[str], Drawn]:
    """(names of classes, sizes of images and boxes in them by split); some images hold nothing, some classes too."""
    names = draw(st.lists(st.sampled_from(BOX_NAMES), min_size=1, max_size=3, unique=True))
    sizes = st.tuples(st.integers(1, 9), st.integers(1, 40))
    drawn: Drawn = {}
    for split, count in draw(SPLITS).items():
        here = [draw(sizes) for _ in range(count)]
        drawn[split] = [(size, draw(st.lists(boxes(size, len(names)), max_size=3))) for size in here]
    return names, drawn


def box_dataset(root: Path, names: list[str], drawn: Drawn) -> Dataset:
    """A value, so that no format is needed to make it, with a picture of its own for every image."""
    splits = {}
    for split, here in drawn.items():
        labels = [Boxes.gathered(drawn_boxes) for _, drawn_boxes in here]
        records = [Record(Path(split) / f"{number}.png", label) for number, label in enumerate(labels)]
        for number, (record, (size, _)) in enumerate(zip(records, here, strict=True)):
            noise = np.random.default_rng([number, len(split)]).integers(0, 256, (*size, 3), dtype=np.uint8)
            write_image(root / record.path, noise)
        splits[split] = tuple(records)
    return Dataset("detect", tuple(names), splits, root, Ledger(), "folder")


def boxed(dataset: Dataset, areas: bool) -> dict[str, list[tuple[bytes, list[tuple]]]]:
    """For every split the (pixels, boxes with names of classes in their order) of its images, in any order."""
    return {
        split: sorted(
            (
                dataset.image(record).pixels.tobytes(),
                [
                    (box.xyxy, dataset.classes[box.label], box.ignored, box.area if areas else box_area(box.xyxy))
                    for box in record.label
                ],
            )
            for record in records
        )
        for split, records in dataset.splits.items()
    }


def box_refusal(name: str, dataset: Dataset) -> str:
    """What a format must say of boxes that it cannot hold; nothing where it can."""
    labels = [record.label for records in dataset.splits.values() for record in records]
    if name in NEVER_IGNORES and any(any(label.ignored) for label in labels):
        return f"has an object to ignore, and {name} knows none"
    pixels = [box for label in labels for box in label.xyxy if (box[2] - box[0], box[3] - box[1]) == (1, 1)]
    return "which in voc is a click and no box" if name == "voc" and pixels else ""


def boxes_written_and_read(name: str, dataset: Dataset, folder: Path) -> Dataset | None:
    """The dataset again from a format that holds it; None where the format says why it does not."""
    if said := box_refusal(name, dataset):
        with pytest.raises(UsageError, match=said):
            FORMATS[name].write(dataset, folder)
        assert not folder.exists()
        return None
    FORMATS[name].write(dataset, folder)
    assert [other for other, thing in FORMATS.items() if thing.sniff(folder)] == [name]
    after = open_dataset(folder, val=0, test=0)
    assert not after.ledger.refused
    assert {note.text.partition(":")[0] for note in after.ledger.notes} <= {"no box", "no annotation"}
    assert (after.task, after.classes) == ("detect", dataset.classes)
    return after


@pytest.mark.parametrize("name", WRITABLE["detect"])
@settings(max_examples=25)
@given(drawn=box_sets())
def test_boxes_that_are_written_are_read_again_to_the_last_bit(tmp_path_factory, name, drawn):
    root = tmp_path_factory.mktemp("round")
    before = box_dataset(root / "a", *drawn)
    after = boxes_written_and_read(name, before, root / "b")
    if after is not None:
        areas = name not in KEEPS_NO_AREA
        assert boxed(after, areas) == boxed(before, areas)
        assert sum(after.ledger.used.values()) >= sum(map(len, after.splits.values()))


@pytest.mark.parametrize("source", WRITABLE["detect"])
@settings(max_examples=6)
@given(drawn=box_sets())
def test_boxes_go_over_from_every_format_to_every_other(tmp_path_factory, source, drawn):
    root = tmp_path_factory.mktemp("over")
    before = box_dataset(root / "a", *drawn)
    first = boxes_written_and_read(source, before, root / "b")
    for target in WRITABLE["detect"] if first else ():
        second = boxes_written_and_read(target, first, root / target)
        assert (second is None) == bool(box_refusal(target, first))
        if second is not None:
            areas = not KEEPS_NO_AREA & {source, target}
            assert boxed(second, areas) == boxed(before, areas)


@pytest.mark.parametrize("name", sorted({*WRITABLE["detect"]} - KEEPS_ANY_NAME))
@pytest.mark.parametrize("called", [" a", "a\nb", "a\u2028b", ""])
def test_names_of_boxes_that_would_be_read_as_others_are_not_written(tmp_path, name, called):
    dataset = box_dataset(tmp_path / "a", ["x", called], {"train": [((4, 4), [Box((0.0, 0.0, 2.0, 2.0), 1)])]})
    with pytest.raises(UsageError, match=r"Rename it first") as error:
        FORMATS[name].write(dataset, tmp_path / "b")
    assert repr(called) in str(error.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", WRITABLE["detect"])
def test_images_with_boxes_of_one_name_stay_apart(tmp_path, name):
    """Equal stems with other suffixes, in other folders and splits, with points and signs in them."""
    label = Boxes.of([((0.0, 0.0, 2.0, 2.0), 0)])
    called = ["a/a.png", "b/a.png", "a/a.PNG", "a/a-2.png", "a/b.c ü.png", "a/b.d ü.png"]
    for at, place in enumerate(called):
        write_image(tmp_path / "a" / place, np.full((4, 4, 3), at, np.uint8))
    records = [Record(Path(place), label if at % 2 else Boxes.of([])) for at, place in enumerate(called)]
    splits = {"train": tuple(records[:5]), "val": (records[5], records[1]), "test": (records[0],)}
    before = Dataset("detect", ("x",), splits, tmp_path / "a", Ledger(), "folder")
    after = boxes_written_and_read(name, before, tmp_path / "b")
    assert boxed(after, True) == boxed(before, True)


# All


@pytest.mark.parametrize("name", [name for names in WRITABLE.values() for name in names])
def test_writing_goes_to_a_new_or_empty_folder_only(tmp_path, name):
    if name in WRITABLE["segment"]:
        mask = np.array([[0, 1]], np.uint8)
        dataset = mask_dataset(tmp_path / "a", [BACKGROUND, "x"], {"train": [mask]})
    elif name in WRITABLE["detect"]:
        dataset = box_dataset(tmp_path / "a", ["x"], {"train": [((2, 2), [])]})
    else:
        dataset = drawn_dataset(tmp_path / "a", ["x", "y"], {"train": 1}, grey=True)
    with pytest.raises(UsageError, match=r"is not an empty folder"):
        FORMATS[name].write(dataset, tmp_path / "a")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_format_recognises_nothing_in_an_empty_or_strange_place(tmp_path, name):
    thing = FORMATS[name]
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.bin").write_bytes(bytes(100))
    (tmp_path / "strange").mkdir()
    for called in ("a.json", "a.yaml", "classes.txt", "labels.csv", "masks", "train.png"):
        (tmp_path / "strange" / called).write_bytes(b"\xff{]\0")
    assert not thing.sniff(tmp_path / "empty")
    assert not thing.sniff(tmp_path / "a.bin")
    assert not thing.sniff(tmp_path / "strange")
    assert thing.name == name


def test_images_of_unequal_size_do_not_fit_into_packed_formats(tmp_path):
    make_image_folder(tmp_path / "a", ["x"], 1, 32)
    make_image_folder(tmp_path / "a", ["y"], 1, 20)
    dataset = open_dataset(tmp_path / "a", val=0, test=0)
    for name, said in (("idx", "grey images of one size; .*shape"), ("cifar", "y/000.png has 20 x 20")):
        with pytest.raises(UsageError, match=said):
            FORMATS[name].write(dataset, tmp_path / name)


def test_packed_formats_have_a_largest_number_of_classes(tmp_path):
    dataset = drawn_dataset(tmp_path / "a", [str(at) for at in range(11)], {"train": 1}, grey=True)
    with pytest.raises(UsageError, match=r"hold 10 classes at most, not 11"):
        FORMATS["cifar"].write(dataset, tmp_path / "b")


def test_a_packed_set_becomes_a_folder_of_png(tmp_path):
    grey = drawn_dataset(tmp_path / "a", ["T-shirt top", "Trouser"], {"train": 2}, grey=True)
    FORMATS["idx"].write(grey, tmp_path / "b")
    (tmp_path / "b" / "classes.txt").write_text("T-shirt/top\nTrouser\n")
    packed = open_dataset(tmp_path / "b", val=0, test=0)
    FORMATS["folder"].write(packed, tmp_path / "c")
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
        FORMATS[name].write(dataset, tmp_path / "b")
    assert not (tmp_path / "b").exists()
