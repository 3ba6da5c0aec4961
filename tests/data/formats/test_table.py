from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.dataset import Dataset, open_dataset
from pellucid.data.formats.table import TableFormat
from pellucid.errors import DataError, PellucidError, UsageError
from tests.drawn import make_image_folder


@pytest.fixture
def root(tmp_path) -> Path:
    return make_image_folder(tmp_path / "set", ["images"], 6)


def written(root: Path, text: str | bytes, name: str = "labels.csv") -> Dataset:
    (root / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return TableFormat().read(root)


def labels(dataset: Dataset) -> dict[str, str]:
    return {
        f"{split}:{record.path.name}": dataset.classes[record.label]
        for split, records in dataset.splits.items()
        for record in records
    }


def refusals(dataset: Dataset) -> list[str]:
    """Those of rows, without those of images that no row names."""
    return [str(refusal) for refusal in dataset.ledger.refused if refusal.line is not None]


ROWS = "images/000.png,cat\nimages/001.png,dog\n"


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        "path,label\n" + ROWS,
        "\ufeffpath,label\n" + ROWS,
        ("path,label\n" + ROWS).replace("\n", "\r\n"),
        "Filename;Class\n" + ROWS.replace(",", ";"),
        "image\tlabel\n" + ROWS.replace(",", "\t"),
        'label,path\ncat,"images/000.png"\n"dog",images\\001.png\n\n\n',
        "path,label\n./images/000.png,cat\nimages/../images/001.png,dog",
    ],
)
def test_one_table_in_many_dresses(root, text):
    dataset = written(root, text)
    assert labels(dataset) == {"train:000.png": "cat", "train:001.png": "dog"}
    assert dataset.classes == ("cat", "dog")
    assert not refusals(dataset)
    assert dataset.ledger.used == {"labels.csv": 2, "images/000.png": 1, "images/001.png": 1}


def test_a_third_column_is_the_split(root):
    for head in ("", "path,label,split\n"):
        dataset = written(root, head + "images/000.png,a,train\nimages/001.png,a,Valid\nimages/002.png,b,test\n")
        assert labels(dataset) == {"train:000.png": "a", "val:001.png": "a", "test:002.png": "b"}


def test_columns_that_are_not_used_are_noted(root):
    dataset = written(root, "id,path,label,who\n1,images/000.png,cat,me\n")
    assert [note.text for note in dataset.ledger.notes] == ["columns that are not used: id, who"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("images/absent.png,cat", "labels.csv:2: there is no such file [images/absent.png]. Paths are relative to "),
        ("images,cat", "labels.csv:2: there is no such file [images]"),
        ("images/000.png,", "labels.csv:2: the label is empty [images/000.png,]. Write a class name."),
        ("images/000.png,  ", "labels.csv:2: the label is empty"),
        (",cat", "labels.csv:2: the path is empty"),
        ("../../secret.png,cat", "labels.csv:2: the path leads out of the table's folder [../../secret.png]."),
        ("/etc/passwd,cat", "labels.csv:2: the path leads out of the table's folder [/etc/passwd]."),
        ("images/link.png,cat", "labels.csv:2: the path leads out of the table's folder [images/link.png]."),
        ("images/000.png,cat,train", "labels.csv:2: 3 fields where 2 are expected [images/000.png,cat,train]."),
        ("images/000.png", "labels.csv:2: 1 fields where 2 are expected"),
        ("images/000.png,caf\udce9", "labels.csv:2: it is not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_used_says_where_why_and_what_helps(root, row, said):
    (root / "images" / "link.png").symlink_to("/etc/passwd")
    text = f"path,label\n{row}\nimages/005.png,dog\n"
    dataset = written(root, text.encode("utf-8", "surrogateescape"))
    assert labels(dataset) == {"train:005.png": "dog"}
    (refusal,) = refusals(dataset)
    assert refusal.startswith(said)


def test_an_unknown_split_is_refused(root):
    dataset = written(root, "path,label,split\nimages/000.png,a,holdout\nimages/001.png,b,train\n")
    assert refusals(dataset) == ["labels.csv:2: this is no split [holdout]. Write train, val or test."]


def test_an_image_with_two_labels_is_not_used_at_all(root):
    dataset = written(root, "path,label\nimages/000.png,cat\nimages/001.png,cat\nimages/000.png,dog\n")
    assert labels(dataset) == {"train:001.png": "cat"}
    assert [text.split(". Keep")[0] for text in refusals(dataset)] == [
        "labels.csv:4: labelled 'dog' here and 'cat' in line 2: neither is used [images/000.png]",
        "labels.csv:2: labelled 'cat' here and otherwise further down: neither is used [images/000.png]",
    ]


def test_an_image_that_stands_twice_is_used_once(root):
    dataset = written(root, "path,label\nimages/000.png,cat\nimages/001.png,dog\n./images/000.png,cat\n")
    assert refusals(dataset) == [
        "labels.csv:4: the image stands in line 2 already [./images/000.png]. Remove one of the two lines."
    ]


def test_images_that_no_row_names_are_refused(root):
    dataset = written(root, ROWS)
    others = [refusal for refusal in dataset.ledger.refused if refusal.line is None]
    assert [refusal.file for refusal in others] == [f"images/00{at}.png" for at in range(2, 6)]
    assert others[0].reason == "no row of labels.csv names it"


def test_quotes_that_stay_open_are_refused(root):
    dataset = written(root, 'path,label\nimages/000.png,cat\n"images/001.png,dog\nimages/002.png,dog\n')
    assert labels(dataset) == {"train:000.png": "cat"}
    assert refusals(dataset)[0].startswith("labels.csv:3: it cannot be read: unexpected end of data")


def test_misplaced_quotes_cost_one_row(root):
    dataset = written(root, 'path,label\n"images/000.png"x,cat\nimages/001.png,"a\nb"\nimages/002.png,\n')
    assert labels(dataset) == {"train:001.png": "a\nb"}
    assert [text[:14] for text in refusals(dataset)] == ["labels.csv:2: ", "labels.csv:5: "]


def test_utf_16_is_named(root):
    with pytest.raises(DataError, match=r"is UTF-16. Save it as UTF-8"):
        written(root, ("path,label\n" + ROWS).encode("utf-16"))


def test_a_table_without_columns_is_refused(root):
    with pytest.raises(DataError, match=r"is no head with path and label"):
        written(root, "a,b,c,d\n1,2,3,4\n")


def test_the_table_itself_may_be_given_and_a_folder_must_hold_one(root):
    written(root, ROWS)
    assert open_dataset(root, val=0, test=0).format == "table"
    assert len(open_dataset(root / "labels.csv", val=0, test=0).splits["train"]) == 2
    (root / "more.tsv").write_text("x")
    with pytest.raises(UsageError, match=r"exactly one .* it holds labels.csv, more.tsv"):
        TableFormat().read(root)
    with pytest.raises(UsageError, match=r"is not named .csv or .tsv"):
        TableFormat().read(root / "images" / "000.png")
    assert not TableFormat().sniff(root)


def test_tables_about_something_else_are_not_recognised(root):
    (root / "results.csv").write_text("epoch,loss\n1,0.5\n")
    assert not TableFormat().sniff(root)


@given(text=st.text(alphabet=st.sampled_from('ab,;\t"\n\r\\./é\0 '), max_size=60), raw=st.binary(max_size=20))
def test_any_text_is_read_or_refused(tmp_path_factory, text, raw):
    folder = tmp_path_factory.mktemp("any")
    try:
        dataset = written(folder, b"path,label\n" + text.encode() + raw)
    except PellucidError:
        return
    assert not any(dataset.splits.values())
