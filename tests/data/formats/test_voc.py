"""Pascal VOC: what XML and lists say, what cannot be used, and that nothing in them is believed unseen."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.boxes import Boxes
from pellucid.data.check import check
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.voc import VocFormat
from pellucid.errors import DataError, UsageError
from pellucid.image import write_image

SIZE = "<size><width>20</width><height>10</height><depth>3</depth></size>"


def thing(
    name: str = "car",
    box: tuple[object, ...] = (2, 3, 7, 9),
    tags: tuple[str, ...] = ("xmin", "ymin", "xmax", "ymax"),
    more: str = "",
) -> str:
    sides = "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def written(root: Path, *objects: str, name: str = "a", size: str = SIZE, text: str | bytes | None = None) -> Path:
    """A photo of 20 x 10 and its XML, an object a line from line 3."""
    write_image(root / "JPEGImages" / f"{name}.png", np.zeros((10, 20, 3), np.uint8))
    (root / "Annotations").mkdir(exist_ok=True)
    body = "\n".join(["<annotation>", size, *(objects or [thing()]), "</annotation>"]) if text is None else text
    (root / "Annotations" / f"{name}.xml").write_bytes(body.encode() if isinstance(body, str) else body)
    return root


def read(root: Path) -> Dataset:
    return VocFormat().read(root)


def refusals(dataset: Dataset) -> list[str]:
    return sorted(map(str, dataset.ledger.refused))


def test_corners_count_from_one_and_belong_to_the_box(tmp_path):
    dataset = open_dataset(written(tmp_path, thing(), thing("bee", (1, 1, 20, 10)), thing("bee", (5.25, 2, 6.75, 2))))
    assert dataset.format == "voc"
    assert dataset.classes == ("bee", "car")
    (record,) = dataset.splits["train"]
    assert record.label.xyxy == ((1, 2, 7, 9), (0, 0, 20, 10), (4.25, 1, 6.75, 2))
    assert record.label.labels == (1, 0, 0)
    assert record.label.areas == (42, 200, 2.5)
    assert dataset.ledger.used == {"Annotations/a.xml": 3, "JPEGImages/a.png": 1}
    assert not dataset.ledger.refused
    assert not dataset.ledger.notes


def test_corners_may_stand_in_any_order_and_parts_have_their_own(tmp_path):
    part = "<part><name>wheel</name><bndbox><xmin>1</xmin></bndbox></part>"
    dataset = read(written(tmp_path, thing(box=(9, 7, 3, 2), tags=("ymax", "xmax", "ymin", "xmin"), more=part)))
    assert dataset.splits["train"][0].label.xyxy == ((1, 2, 7, 9),)
    assert dataset.classes == ("car",)


def test_difficult_objects_are_ignored_and_empty_photos_kept(tmp_path):
    written(tmp_path, thing(more="<difficult>1</difficult>"), thing(more="<difficult>0</difficult>"))
    written(tmp_path, text=f"<annotation>{SIZE}</annotation>", name="b")
    first, second = read(tmp_path).splits["train"]
    assert first.label.ignored == (True, False)
    assert second.label == Boxes.of([])
    assert [note.text for note in read(tmp_path).ledger.notes] == ["no box: all of it is background"]


def test_folder_path_and_filename_are_not_believed(tmp_path):
    write_image(tmp_path / "secret.png", np.zeros((10, 20, 3), np.uint8))
    lies = "<folder>/etc</folder><path>/etc/passwd</path><filename>../secret.png</filename>"
    written(tmp_path / "set", size=lies + SIZE)
    assert [str(record.path) for record in read(tmp_path / "set").splits["train"]] == ["JPEGImages/a.png"]
    (tmp_path / "set" / "JPEGImages" / "a.png").unlink()
    assert refusals(read(tmp_path / "set")) == [
        "Annotations/a.xml:1: there is no image of its name in JPEGImages. Put its image there, or remove it."
    ]


def test_of_two_images_of_one_name_the_file_says_which(tmp_path):
    written(tmp_path, size="<filename>a.bmp</filename>" + SIZE)
    whole = (tmp_path / "JPEGImages" / "a.png").read_bytes()
    (tmp_path / "JPEGImages" / "a.bmp").write_bytes(whole)
    dataset = read(tmp_path)
    assert [str(record.path) for record in dataset.splits["train"]] == ["JPEGImages/a.bmp"]
    assert refusals(dataset)[0].startswith("JPEGImages/a.png: no label names this image")


def test_lists_make_splits_and_everything_else_is_said(tmp_path):
    for name in "abcde":
        written(tmp_path, name=name)
    (tmp_path / "JPEGImages" / "e.png").unlink()
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n\nb\na\nnone\n")
    (lists / "val.txt").write_text("b\nc\ne\n")
    (lists / "trainval.txt").write_text("a\nb\nc\n")
    (lists / "car_train.txt").write_text("a 1\n")
    dataset = read(tmp_path)
    assert {split: [r.path.stem for r in here] for split, here in dataset.splits.items()} == {
        "train": ["a", "b"],
        "val": ["c"],
    }
    assert [text.partition(". ")[0] for text in refusals(dataset)] == [
        "Annotations/d.xml:1: no list of train, val or test in ImageSets/Main names it",
        "Annotations/e.xml:1: there is no image of its name in JPEGImages",
        "ImageSets/Main/car_train.txt: its suffix '.txt' is no image's",
        "ImageSets/Main/train.txt:4: it stands in train.txt:1 already [a]",
        "ImageSets/Main/train.txt:5: there is no file Annotations/none.xml [none]",
        "ImageSets/Main/val.txt:1: it stands in train.txt:3 already [b]",
        "JPEGImages/d.png: no label names this image",
    ]
    assert dataset.ledger.used["ImageSets/Main/train.txt"] == 2
    (lists / "train.txt").unlink()
    assert [r.path.stem for r in read(tmp_path).splits["train"]] == ["a"]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (thing(box=(4, 4, 4, 4)), "it has no area: both corners are the same pixel [car (4, 4, 4, 4)]"),
        (thing(box=(5, 4, 4, 6)), "it has no area: 0 x 3 pixels [car (5, 4, 4, 6)]"),
        (thing(box=(9, 4, 4, 6)), "its corners are swapped: left 8, right 4"),
        (thing(box=(4, 9, 6, 4)), "its corners are swapped: top 8, bottom 4"),
        (thing(box=(4, 4, 22, 6)), "it lies outside the image of 20x10: 3, 3, 22, 6 [car (4, 4, 22, 6)]"),
        (thing(box=(-1, 4, 9, 6)), "it lies outside the image of 20x10: -2, 3, 9, 6"),
        (thing(box=(21.5, 4, 21, 6)), "it lies outside the image"),
        (thing(box=("nan", 4, 9, 6)), "its xmin is 'nan', no finite number [car (nan, 4, 9, 6)]"),
        (thing(box=(4, 4, "inf", 6)), "its xmax is 'inf', no finite number"),
        (thing(box=(4, 4, "1e-99999999999999999999", 6)), "its xmax is '1e-99999999999999999999', no finite number"),
        (thing(box=(4, 4, "9" * 200, 6)), "no finite number"),
        (thing(box=(4, 4, "1e300", 6)), "it lies outside the image"),
        (thing(box=("", 4, 9, 6)), "its xmin is '', no finite number [car (nothing, 4, 9, 6)]"),
        ("<object><name>car</name></object>", "its xmin is '', no finite number"),
        (thing(""), "it names no class [ (2, 3, 7, 9)]"),
        (thing("a&#x200f;b"), "the name 'a\\u200fb' holds signs that cannot be shown"),
        (thing(more="<difficult>maybe</difficult>"), "its difficult is 'maybe', and may be 0 or 1"),
    ],
)
def test_an_object_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, item, said):
    dataset = read(written(tmp_path, thing(), item))
    assert dataset.splits["train"][0].label.xyxy == ((1, 2, 7, 9),)
    (text,) = refusals(dataset)
    assert text.startswith("Annotations/a.xml:4: ")
    assert said in text
    assert text.endswith("Mend or remove the box.")
    assert not dataset.ledger.refused[0].is_stray


def test_what_leaves_the_photo_by_a_pixel_is_cut_and_that_is_said(tmp_path):
    dataset = read(written(tmp_path, thing(box=(0, 1, 21, 11))))
    assert dataset.splits["train"][0].label.xyxy == ((0, 0, 20, 10),)
    assert [note.text for note in dataset.ledger.notes] == [
        "boxes that leave the image by a pixel at most are cut at its edge"
    ]


def test_a_photo_all_of_whose_boxes_are_refused_is_no_background(tmp_path):
    written(tmp_path, name="b")
    dataset = read(written(tmp_path, thing(box=(4, 4, 4, 4))))
    assert [record.path.stem for record in dataset.splits["train"]] == ["b"]
    assert "JPEGImages/a.png: all its boxes were refused, so nobody knows whether there is anything in it" in "\n".join(
        refusals(dataset)
    )


def test_classes_of_a_list_have_its_order_and_others_are_refused(tmp_path):
    written(tmp_path, thing(), thing("tree"), thing("bee"))
    (tmp_path / "classes.txt").write_text("car\nbee\nnever\n")
    dataset = read(tmp_path)
    assert dataset.classes == ("car", "bee", "never")
    assert dataset.splits["train"][0].label.labels == (0, 1)
    assert refusals(dataset) == [
        "Annotations/a.xml:4: there is no class 'tree' in classes.txt [tree (2, 3, 7, 9)]. Mend or remove the box."
    ]


@pytest.mark.parametrize("size", ["", "<size/>", "<size><width>0</width><height>0</height></size>"])
def test_a_size_that_is_not_said_is_noted(tmp_path, size):
    assert [note.text for note in read(written(tmp_path, size=size)).ledger.notes] == [
        "it does not say the size of its image"
    ]


@pytest.mark.parametrize(("width", "height"), [(10, 20), (21, 10), ("x", 10), ("", 10), (20.5, 10)])
def test_another_size_than_the_photo_has_is_refused(tmp_path, width, height):
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    dataset = read(written(tmp_path, size=size))
    assert not dataset.splits["train"]
    first, second = refusals(dataset)
    assert first.startswith(f"Annotations/a.xml:1: the size {width}x{height} is not that of the image, 20x10")
    assert second.startswith("JPEGImages/a.png: the size")


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><annotation>&c;</annotation>'
FETCH = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation><filename>&b;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (BOMB, 1, "it has a document type (<!DOCTYPE …>), which is not read"),
        (FETCH, 1, "it has a document type"),
        ('<?xml version="1.0"?>\n<!DOCTYPE annotation SYSTEM "http://localhost/a.dtd">\n<annotation/>', 2, "document"),
        ("<annotation>&b;</annotation>", 1, "it is no intact XML: undefined entity"),
        ("<annotation>\n<object>\n</annotation>", 3, "it is no intact XML: mismatched tag"),
        ("", 1, "it is no intact XML: no element found"),
        (b"<annotation>\xff</annotation>", 1, "it is no intact XML: not well-formed (invalid token)"),
        (b'<?xml version="1.0" encoding="nope"?><annotation/>', 1, "unknown encoding"),
        ("<a>" * 40 + "</a>" * 40, 1, "its elements lie more than 32 deep"),
        ("<html/>", 1, "its outermost element is no annotation [html]"),
    ],
)
def test_xml_that_is_damaged_or_hostile_is_refused_by_its_line(tmp_path, text, line, said):
    written(tmp_path, name="b")
    dataset = read(written(tmp_path, text=text))
    assert [record.path.stem for record in dataset.splits["train"]] == ["b"]
    first, second = refusals(dataset)
    assert first.startswith(f"Annotations/a.xml:{line}: ")
    assert said in first
    assert second.startswith("JPEGImages/a.png: no label names this image")
    assert not check(dataset).ok


def test_a_photo_that_cannot_be_read_takes_its_labels_along(tmp_path):
    (written(tmp_path) / "JPEGImages" / "a.png").write_bytes(b"x")
    first, second = refusals(read(tmp_path))
    assert first.startswith("Annotations/a.xml:1: its image JPEGImages/a.png cannot be used")
    assert second.startswith("JPEGImages/a.png: it is no image")
    with pytest.raises(DataError, match=r"no image that can be used"):
        open_dataset(tmp_path)


def test_what_is_no_such_folder_says_what_is_wanted(tmp_path):
    with pytest.raises(UsageError, match=r"must hold the folders Annotations and JPEGImages"):
        read(tmp_path)


def test_a_box_of_one_pixel_is_not_written(tmp_path):
    before = read(written(tmp_path / "a", thing(box=(4, 4, 5, 4))))
    VocFormat().write(before, tmp_path / "b")
    assert read(tmp_path / "b").splits["train"][0].label == before.splits["train"][0].label


@given(raw=st.binary(max_size=40), text=st.text(max_size=12))
def test_any_xml_is_read_or_refused(tmp_path_factory, raw, text):
    root = written(tmp_path_factory.mktemp("any"), text=raw)
    escaped = "".join(f"&#{ord(sign)};" for sign in text if sign.isprintable())
    written(root, thing(escaped, (escaped, 3, 7, 9)), thing(), name="b")
    dataset = read(root)
    dataset.ledger.lines().encode()
    assert [record.path.stem for record in dataset.splits["train"]] == ["b"]
    assert len(dataset.ledger.refused) in (2, 3)  # the damaged file, its photo, and perhaps the box


def test_bccd(shared):
    dataset = open_dataset(shared / "bccd")
    assert dataset.format == "voc"
    assert dataset.classes == ("Platelets", "RBC", "WBC")
    assert {split: len(records) for split, records in dataset.splits.items()} == {"train": 205, "val": 87, "test": 72}
    labels = [label for here in dataset.splits.values() for record in here for label in record.label.labels]
    assert [labels.count(at) for at in range(3)] == [361, 4153, 372]
    assert len(labels) == 4888 - 2
    offered = [text for text in refusals(dataset) if not text.startswith("LICENSE")]
    said = "it has no area: both corners are the same pixel"
    assert [text.partition(". ")[0] for text in offered] == [
        f"Annotations/BloodImage_00338.xml:158: {said} [RBC (504, 337, 504, 337)]",
        f"Annotations/BloodImage_00343.xml:50: {said} [RBC (181, 329, 181, 329)]",
    ]
    assert dataset.ledger.offered == 364 + 364 + 4 + 2 + 1  # photos, XML, lists, two boxes, the licence
