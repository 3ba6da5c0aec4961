"""Masks as values: what they open, what they say of themselves, and how they are numbered anew."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.dataset import plain_label
from pellucid.data.masks import IGNORE, FileMask, ObjectsMask, RenumberedMask, Shape, ShapesMask, codes_of
from pellucid.errors import ImageError
from pellucid.image import write_image

SQUARE = (0.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 2.0)


def test_classes_are_numbered_anew_and_ignored_pixels_stay(tmp_path):
    write_image(tmp_path / "a.png", np.array([[0, 1, 2, 9]], np.uint8))
    mask = FileMask(Path("a.png"), (0, 1, 2, 9), (0, 1, 2, IGNORE))
    renumbered = mask.renumbered((2, 0, IGNORE))
    assert renumbered == RenumberedMask(mask, (2, 0, IGNORE))
    assert renumbered.files == (Path("a.png"),)
    assert renumbered.read(tmp_path, (1, 4)).tolist() == [[2, 0, IGNORE, IGNORE]]


@pytest.mark.parametrize(
    ("mask", "files"),
    [
        (FileMask(Path("a"), (0,), (0,)), ["a"]),
        (ObjectsMask((Path("a"), Path("b"))), ["a", "b"]),
        (ShapesMask((), Path("a.txt")), ["a.txt"]),
        (ShapesMask((), Path("all.json"), (2, 2)), []),
        (ShapesMask((), None), []),
    ],
)
def test_files_are_those_of_this_image_alone_and_the_label_is_plain(mask, files):
    assert list(map(str, mask.files)) == files
    assert plain_label(mask)[0] == type(mask).__name__


def test_coordinates_are_pixels_where_a_size_is_given_and_shares_where_none_is():
    ring = tuple(value / 4 for value in SQUARE)
    for mask in (ShapesMask((Shape(1, (SQUARE,)),), None, (4, 4)), ShapesMask((Shape(1, (ring,)),), None)):
        assert mask.read(Path(), (4, 4)).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0] * 4, [0] * 4]
    with pytest.raises(ImageError, match=r"4x3 pixels as a.json says, 4x4 in its image \(make both of the same size\)"):
        ShapesMask((), Path("a.json"), (3, 4)).read(Path(), (4, 4))


@given(rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_colour_is_one_number(rows, columns, seed):
    colors = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    expected = [[red + 256 * green + 65536 * blue for red, green, blue in row] for row in colors.tolist()]
    assert codes_of(colors).tolist() == expected
    assert codes_of(colors[..., 0]).tolist() == colors[..., 0].tolist()
