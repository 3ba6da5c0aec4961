"""A table of boxes: what its head and rows say, and what of them cannot be used."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.boxes import Boxes
from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.csv_boxes import CsvBoxesFormat
from pellucid.errors import DataError
from pellucid.image import write_image

HEAD = "path,label,left,top,right,bottom"
ROW = "a.png,car,1,2,7.5,9"


def written(root: Path, *rows: str, head: str = HEAD, names: str = "ab") -> Path:
    for name in names:
        write_image(root / f"{name}.png", np.zeros((10, 20, 3), np.uint8))
    (root / "boxes.csv").write_bytes("\n".join([head, *rows]).encode("utf-8", "surrogateescape"))
    return root


def read(root: Path) -> Dataset:
    return CsvBoxesFormat().read(root)


def refusals(dataset: Dataset) -> list[str]:
    return list(map(str, dataset.ledger.refused))


def test_rows_of_one_photo_are_its_boxes_and_empty_fields_are_background(tmp_path):
    root = written(tmp_path, ROW, "b.png,,,,,", 'a.png,"T-shirt, top",0,0,1e1,0.1')
    for place in (root, root / "boxes.csv"):
        dataset = open_dataset(place, val=0, test=0)
        assert dataset.format == "csv-boxes"
        assert dataset.classes == ("T-shirt, top", "car")
        first, second = dataset.splits["train"]
        assert first.label == Boxes.of([((1, 2, 7.5, 9), 1), ((0, 0, 10, 0.1), 0)])
        assert second.label == Boxes.of([])
        assert dataset.ledger.used == {"boxes.csv": 2, "a.png": 1, "b.png": 1}
        assert not dataset.ledger.refused


def test_columns_may_come_in_any_order_with_more_of_them(tmp_path):
    head = "\ufeffBottom;Right;Top;Left;class;filename;subset;who;ignored;area"
    dataset = read(written(tmp_path, "9;7;2;1;car;a.png;valid;me;1;5.5", "9;7;2;1;car;a.png;val;me;;", head=head))
    assert dataset.splits["val"][0].label == Boxes(((1, 2, 7, 9),) * 2, (0, 0), (True, False), (5.5, 42))
    assert [note.text for note in dataset.ledger.notes] == ["columns that are not used: who"]


def test_the_heads_of_others_are_read_and_that_is_said(tmp_path):
    dataset = open_dataset(written(tmp_path, ROW, head="path,label,xmin,ymin,xmax,ymax"), val=0, test=0)
    assert dataset.splits["train"][0].label.xyxy == ((1, 2, 7.5, 9),)
    assert [note.text for note in dataset.ledger.notes] == [
        "xmin, ymin, xmax, ymax are read as pixels from 0, right and bottom not included"
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,car,1,2,1,9", "it has no area: 0 x 7 pixels"),
        ("a.png,car,7,2,1,9", "its corners are swapped: left 7, right 1"),
        ("a.png,car,1,9,7,2", "its corners are swapped: top 9, bottom 2"),
        ("a.png,car,1,2,22,9", "it lies outside the image of 20x10: 1, 2, 22, 9"),
        ("a.png,car,1,2,,9", "its right is '', no finite number"),
        ("a.png,car,nan,2,7,9", "its left is 'nan', no finite number"),
        ("a.png,car,1,2,inf,9", "its right is 'inf', no finite number"),
        ("a.png,car,1,2,x,9", "its right is 'x', no finite number"),
        ("a.png,,1,2,7,9", "it names no class"),
        ("a.png,car,,,,", "it has a label and no box"),
        ("a.png,,,,,", "it says that there is nothing, and line 2 gives a box"),
        ("gone.png,car,1,2,7,9", "there is no such file"),
        ("../a.png,car,1,2,7,9", "the path leads out of the table's folder"),
        ("/etc/passwd,car,1,2,7,9", "the path leads out of the table's folder"),
        (",car,1,2,7,9", "the path is empty"),
        ("a.png,car,1,2,7", "5 fields where 6 are expected"),
        ("a.png,car,1,2,7,9,9", "7 fields where 6 are expected"),
        ("a.png,caf\udce9,1,2,7,9", "it is not UTF-8"),
        ("a.png,a\u200fb,1,2,7,9", "the name 'a\\u200fb' holds signs that cannot be shown"),
        ('a.png,"car,1,2,7,9', "it cannot be read: unexpected end of data"),
    ],
)
def test_a_row_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, row, said):
    dataset = read(written(tmp_path, ROW, "", row, names="a"))
    assert dataset.splits["train"][0].label.xyxy == ((1, 2, 7.5, 9),)
    (text,) = refusals(dataset)
    assert text.startswith(f"boxes.csv:4: {said}")
    assert not dataset.ledger.refused[0].is_stray


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,car,1,2,7,9,later,0,1", "this is no split [later]"),
        ("a.png,car,1,2,7,9,val,0,1", "its image is in train by line 2 [val]"),
        ("a.png,car,1,2,7,9,train,yes,1", "its ignored is 'yes', and may be 0 or 1"),
        ("a.png,car,1,2,7,9,train,0,-1", "its area is -1, less than nothing"),
        ("a.png,car,1,2,7,9,train,0,x", "its area is 'x', no finite number"),
    ],
)
def test_further_columns_are_checked_as_well(tmp_path, row, said):
    head = f"{HEAD},split,ignored,area"
    dataset = read(written(tmp_path, f"{ROW},train,0,1", row, head=head, names="a"))
    assert len(dataset.splits["train"][0].label) == 1
    (text,) = refusals(dataset)
    assert text.startswith(f"boxes.csv:3: {said}")


def test_photos_that_no_row_names_and_rows_whose_photo_is_damaged(tmp_path):
    written(tmp_path, ROW, "b.png,car,1,2,7,9", names="abc")
    (tmp_path / "b.png").write_bytes(b"x")
    assert [text.partition(": ")[0] for text in refusals(read(tmp_path))] == ["b.png", "boxes.csv:3", "c.png"]


def test_a_photo_all_of_whose_boxes_are_refused_is_no_background(tmp_path):
    dataset = read(written(tmp_path, ROW, "b.png,car,1,1,1,1"))
    assert [record.name for record in dataset.splits["train"]] == ["a.png"]
    assert "b.png: all its boxes were refused" in refusals(dataset)[1]


def test_links_out_of_the_folder_are_not_read(tmp_path):
    write_image(tmp_path / "c.png", np.zeros((10, 20, 3), np.uint8))
    written(tmp_path / "set", ROW, "c.png,car,1,2,7,9")
    (tmp_path / "set" / "c.png").symlink_to(tmp_path / "c.png")
    dataset = read(tmp_path / "set")
    assert [record.name for record in dataset.splits["train"]] == ["a.png"]
    assert any("the path leads out of the table's folder" in text for text in refusals(dataset))


def test_classes_of_a_list_have_its_order_and_others_are_refused(tmp_path):
    written(tmp_path, ROW, "b.png,,,,,", "a.png,bee,0,0,2,2", "a.png,tree,0,0,2,2")
    (tmp_path / "classes.txt").write_text("car\nbee\nnever\n")
    dataset = read(tmp_path)
    assert dataset.classes == ("car", "bee", "never")
    assert dataset.splits["train"][0].label.labels == (0, 1)
    assert refusals(dataset)[0].startswith("boxes.csv:5: there is no class 'tree' in classes.txt [a.png,tree,0,0,2,2]")


def test_a_table_without_such_a_head_is_none_of_these(tmp_path):
    assert not CsvBoxesFormat().sniff(written(tmp_path, head="path,label,left,top,right"))
    with pytest.raises(DataError, match=r"is no head with path, label, left, top, right and bottom"):
        read(tmp_path)
    written(tmp_path, ROW)
    assert open_dataset(tmp_path, val=0, test=0).format == "csv-boxes"  # and not a table of classes


@given(rows=st.lists(st.text(alphabet=st.sampled_from('ab.png,car1290-e"\n;\t\\\0é'), max_size=24), max_size=4))
def test_any_table_is_read_or_refused_row_by_row(tmp_path_factory, rows):
    dataset = read(written(tmp_path_factory.mktemp("any"), ROW, *rows))
    dataset.ledger.lines().encode()
    assert dataset.splits["train"][0].label.xyxy[0] == (1, 2, 7.5, 9)
