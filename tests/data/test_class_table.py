"""Tables of classes in the forms that people keep them in; nothing in them is guessed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.class_table import ClassTable, class_table_text, read_class_table, refuse_names, table_of_names
from pellucid.data.masks import IGNORE
from pellucid.errors import DataError, UsageError


def read(folder: Path, text: str | bytes) -> ClassTable:
    path = folder / "classes.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_class_table(path)


SKY, CAR = 128 + 256 * 128 + 65536 * 128, 64 + 65536 * 128


@pytest.mark.parametrize(
    ("text", "names", "ids", "colors"),
    [
        ("Sky\nCar\n", ("Sky", "Car"), (0, 1), ()),
        ("\ufeffSky\r\nCar", ("Sky", "Car"), (0, 1), ()),
        ("Sky, blue\na car\n\n\n", ("Sky, blue", "a car"), (0, 1), ()),
        ("1 Sky\n7 Car\n", ("Sky", "Car"), (1, 7), ()),
        ("1: Sky\n7: Car\n", ("Sky", "Car"), (1, 7), ()),
        ("7,Car, red\n1,Sky\n", ("Car, red", "Sky"), (7, 1), ()),
        ("0 10\n1 2\n", ("10", "2"), (0, 1), ()),
        ("Sky 128 128 128\nCar 64 0 128\n", ("Sky", "Car"), (0, 1), (SKY, CAR)),
        ("128 128 128\tSky\n64 0 128\ta car\n", ("Sky", "a car"), (0, 1), (SKY, CAR)),
        ("name,r,g,b\nSky,128,128,128\nCar,64,0,128\n", ("Sky", "Car"), (0, 1), (SKY, CAR)),
        ("Name, R, G, B\nSky, 128, 128, 128\nCar, 64, 0, 128\n", ("Sky", "Car"), (0, 1), (SKY, CAR)),
    ],
)
def test_one_table_in_many_dresses(tmp_path, text, names, ids, colors):
    table = read(tmp_path, text)
    assert (table.names, table.ids, table.colors) == (names, ids, colors)
    assert table.counted == (text.lstrip("\ufeff")[0] == "S" and not colors)


def test_classes_stand_in_the_order_of_ids_and_ids_of_one_name_are_one_class(tmp_path):
    table = read(tmp_path, "9 road\n3 car\n11 Unlabelled\n4 road\n250 VOID\n")
    classes = table.classes()
    assert classes == ("car", "road")
    assert table.by_id(classes) == {9: 1, 3: 0, 11: IGNORE, 4: 1, 250: IGNORE}
    assert table.by_color(classes) == {}
    assert table.classes(background=True) == ("background", "car", "road")


def test_colours_have_classes_of_their_own(tmp_path):
    table = read(tmp_path, "0 0 0 void\n128 128 128 Sky\n64 0 128 Car\n0 0 64 Car\n")
    assert table.by_color(table.classes()) == {0: IGNORE, SKY: 0, CAR: 1, 64 * 65536: 1}


@pytest.mark.parametrize("ground", ["background", "Background"])
def test_a_background_that_is_named_comes_first_and_is_no_second_one(ground):
    table = table_of_names({3: ground, 1: "car"}, "a.yaml")
    assert table.classes(background=True) == (ground, "car")
    assert table.classes() == ("car", ground)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "classes.txt names no class to learn. Write a name a line"),
        ("void\nignore\n", "classes.txt names no class to learn"),
        ("Sky\n\nCar\n", "classes.txt:2: '' is not written like its other lines. Write all of them in one form."),
        ("1 Sky\nCar\n", "classes.txt:2: 'Car' is not written like its other lines"),
        ("name,r,g,b\nSky,1,2,3\nCar,1\n", "classes.txt:3: 'Car,1' is not written like"),
        ("Sky 1 2 300\n", "classes.txt: 1 2 300 is no colour of 'Sky'. Colours run from 0 to 255."),
        ("1 Sky\n1 Car\n", "classes.txt gives the id 1 to two classes. Keep one of them."),
        ("1 1 1 Sky\n1 1 1 Car\n", "classes.txt gives the colour 65793 to two classes"),
        ("a\x1b[2Jb\n", r"classes.txt: the name 'a\\x1b\[2Jb' holds signs that cannot be shown"),
        ("\n".join(f"c{at}" for at in range(256)), "classes.txt: 256 classes to learn, and there may be 255"),
        (b"\xff\xfe1\0", "classes.txt is not UTF-8. Save it as UTF-8."),
    ],
)
def test_a_table_that_cannot_be_used_says_where_why_and_what_helps(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path, text).classes()


@given(text=st.text(alphabet=st.sampled_from("aä,: \t\n0123456789é\u2028\x00"), max_size=40), raw=st.binary(max_size=5))
def test_any_table_is_read_or_refused(tmp_path_factory, text, raw):
    try:
        table = read(tmp_path_factory.mktemp("any"), text.encode() + raw)
        classes = table.classes()
    except DataError:
        return
    assert set(table.by_id(classes).values()) - {IGNORE} == set(range(len(classes)))


@given(names=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5, unique=True))
def test_what_is_written_is_read_again_or_refused(tmp_path_factory, names):
    try:
        text = class_table_text(tuple(names))
    except UsageError:
        return
    assert read(tmp_path_factory.mktemp("again"), text).classes() == tuple(names)


@pytest.mark.parametrize("name", ["1 2 x", ", x", ": x"])
def test_names_that_only_a_line_cannot_hold(name):
    refuse_names((name,))
    with pytest.raises(UsageError, match=r"cannot be written as a line of its own. Rename it first"):
        class_table_text((name,))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (None, "a.yaml must list its classes as `0: sky`, a line each; it holds None."),
        ("sky", "it holds 'sky'."),
        ([], "a.yaml names no class to learn"),
        ([1], r"a.yaml: 0: 1 is no class. Write a number and a name in quotes."),
        ([""], "a.yaml: 0: '' is no class"),
        ({"a": "sky"}, "a.yaml: 'a': 'sky' is no class"),
        ({-1: "sky"}, "a.yaml: -1: 'sky' is no class"),
        ({1.5: "sky"}, "a.yaml: 1.5: 'sky' is no class"),
        ({True: "sky"}, "a.yaml: True: 'sky' is no class"),
        ({10**12: "sky"}, "a.yaml: 1000000000000: 'sky' is no class"),
        ({"1": "sky", 1: "car"}, "a.yaml gives the id 1 to two classes"),
        ({1: {"name": "sky"}}, r"a.yaml: 1: \{'name': 'sky'\} is no class"),
    ],
)
def test_names_that_are_none_are_refused(names, said):
    with pytest.raises(DataError, match=said):
        table_of_names(names, "a.yaml").classes()
