"""YAML files that describe datasets: plain values within bounds, and the folders that they name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.yaml_file import folder_file, intake_around, read_yaml, yaml_contents
from pellucid.errors import DataError
from tests.drawn import make_image_folder

BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new}\n  <<: [*{old}, *{old}]\n" for old, new in zip("ab", "bc", strict=True)
)


def written(folder: Path, text: str | bytes, name: str = "data.yaml") -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder / name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, r"has aliases \(`\*name`\), which are not read. Write their values out."),
        (MERGES, "has aliases"),
        ("a: &a [*a]\n", "has aliases"),
        ("names: [a\n", "cannot be read as YAML: .*expected ',' or ']'.* Mend it."),
        ("a: \tb: c", "cannot be read as YAML"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: 2001-99-99", "cannot be read as YAML: month must be in 1..12"),
        ("? [a]\n: b", "cannot be read as YAML: .*unhashable key"),
        (b"a: \xff\xfe", "cannot be read as YAML: .*unacceptable character|invalid start byte"),
        ("[" * 3000, "cannot be read as YAML: .*recursion"),
        ("a: " + "9" * 5000, "cannot be read as YAML"),
        ("- a\n- b\n", r"must hold keys and values, such as `names:`; it holds \['a', 'b'\]"),
        ("", "it holds None"),
        ("a: " + "x" * 100_000, "has 100,003 bytes; what describes a dataset has 100,000 at most"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "bytes",
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, text, said):
    with pytest.raises(DataError, match=said) as error:
        read_yaml(written(tmp_path, text))
    assert str(tmp_path / "data.yaml") in str(error.value)
    assert len(str(error.value)) < 500


def test_a_star_is_no_alias(tmp_path):
    assert read_yaml(written(tmp_path, "a: 2*3\n# *b\n")) == {"a": "2*3"}


@given(raw=st.binary(max_size=40) | st.text(alphabet="a:-[]{}&*!<>\n \"'?|1", max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, raw):
    try:
        content = read_yaml(written(tmp_path_factory.mktemp("any"), raw))
    except DataError:
        return
    assert isinstance(content, dict)


def test_a_damaged_file_beside_a_good_one_is_left_out(tmp_path):
    bad = written(tmp_path, "[", "a.yaml")
    with pytest.raises(DataError, match=r"a.yaml cannot be read"):
        yaml_contents(tmp_path)
    good = written(tmp_path, "a: 1", "b.YML")
    (tmp_path / "c.yaml").mkdir()
    assert yaml_contents(tmp_path) == [(good, {"a": 1})]
    with pytest.raises(DataError, match=r"a.yaml cannot be read"):
        yaml_contents(bad)


def test_folders_of_each_split_and_those_that_are_not_here(tmp_path):
    make_image_folder(tmp_path / "data", ["pictures", "masks"], 2)
    (tmp_path / "data" / "notes.txt").write_text("x")
    (tmp_path / "set").mkdir()
    text = "train: {images: ../data/pictures, masks: ../data/masks}\nvalid: {images: gone, masks: ../data/masks}\n"
    file = written(tmp_path / "set", text + "other: {images: x}\nclasses: [a]\n")
    listed = folder_file(file, {"images", "masks"})
    assert folder_file(file, {"images", "masks", "annotations"}) is None
    assert listed.splits == {"train": {"images": tmp_path / "data" / "pictures", "masks": tmp_path / "data" / "masks"}}
    intake, relative = listed.intake()
    assert intake.root == tmp_path
    assert relative == {"train": {"images": Path("data/pictures"), "masks": Path("data/masks")}}
    assert sorted(map(str, intake.waiting)) == [
        f"data/{kind}/00{at}.png" for kind in ("masks", "pictures") for at in (0, 1)
    ]
    assert intake.used == {"set/data.yaml": 1}
    assert [note.text for note in intake.notes] == [f"its split 'val' is not here: there is no {tmp_path}/set/gone"]


def test_a_file_whose_folders_are_all_elsewhere_says_which(tmp_path):
    file = written(tmp_path, "train: {images: a, masks: b}\n")
    with pytest.raises(DataError, match=r"its split 'train' is not here: there is no .*a, .*b. Put them there"):
        folder_file(file, {"images", "masks"}).intake()


@pytest.mark.parametrize("value", ["[1]", "3", "{a: b}", "null"])
def test_a_folder_is_named_by_text(tmp_path, value):
    with pytest.raises(DataError, match=r"data.yaml must name a folder where it says"):
        folder_file(written(tmp_path, f"train: {{images: {value}, masks: b}}"), {"images", "masks"})


def test_the_home_of_a_file_is_walked_only_where_something_named_lies_in_it(tmp_path):
    make_image_folder(tmp_path / "far", ["images"], 1)
    make_image_folder(tmp_path / "home", ["mine"], 1)
    file = written(tmp_path / "home", "")
    assert list(intake_around(file, file.parent, [tmp_path / "far" / "images"]).waiting) == [Path("far/images/000.png")]
    around = intake_around(file, file.parent, [tmp_path / "home" / "mine"])
    assert sorted(map(str, around.waiting)) == ["data.yaml", "mine/000.png"]


def test_a_link_to_a_folder_that_is_named_leads_out(tmp_path):
    make_image_folder(tmp_path / "photos", ["train"], 1)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "images").symlink_to("../photos")
    (tmp_path / "set" / "stray").symlink_to("/usr")
    file = written(tmp_path / "set", "")
    intake = intake_around(file, file.parent, [tmp_path / "set" / "images" / "train"])
    assert intake.root == tmp_path
    assert Path("set/images/train/000.png") in intake.waiting
    assert [(refusal.file, refusal.reason) for refusal in intake.refused] == [
        ("set/stray", "a link that leads out of the dataset's folder")
    ]
