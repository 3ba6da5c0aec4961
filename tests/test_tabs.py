"""The names of boxes: on the picture, on no other name, hiding no other box; and the legend where there is no room."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pellucid.drawing import boxed
from pellucid.tabs import COVERED, tab_places

PICTURE = (200, 120)
SIDE = st.floats(1, 90)
BOX = st.tuples(st.floats(0, 199), st.floats(0, 119), SIDE, SIDE).map(
    lambda drawn: (drawn[0], drawn[1], min(200.0, drawn[0] + drawn[2]), min(120.0, drawn[1] + drawn[3]))
)


def shared(one, other) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


@given(boxes=st.lists(BOX, max_size=12), wide=st.floats(10, 120), narrow=st.floats(5, 60))
def test_a_tab_is_at_its_box_in_the_picture_and_hides_nothing(boxes, wide, narrow):
    sizes = [[(wide, 12.0), (narrow, 12.0)]] * len(boxes)
    found = tab_places(np.array(boxes).reshape(-1, 4), sizes, PICTURE)
    assert len(found) == len(boxes)
    tabs = [one[1] for one in found if one]
    for at, one in enumerate(found):
        if one is None:
            continue
        which, (left, top, right, bottom) = one
        assert (right - left, bottom - top) == pytest.approx(sizes[at][which])
        assert left >= 0
        assert top >= 0
        assert right <= 200 + 1e-9
        assert bottom <= 120 + 1e-9
        assert top <= boxes[at][3] + 1e-9
        assert bottom >= boxes[at][1] - 1e-9
        for other, box in enumerate(boxes):
            area = (box[2] - box[0]) * (box[3] - box[1])
            assert other == at or shared(one[1], box) <= COVERED * area + 1e-6
    assert all(shared(one, other) < 1e-6 for at, one in enumerate(tabs) for other in tabs[:at])


def test_the_surest_box_has_the_first_choice():
    boxes = np.array([[50.0, 50, 100, 100], [52, 50, 100, 100]])
    found = tab_places(boxes, [[(40.0, 12.0)]] * 2, PICTURE)
    assert found[0] == (0, (50, 38, 90, 50))
    assert found[1] == (0, (52, 50, 92, 62))  # above there is none, and in the box it hides little of the other


@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((0, 0, 30, 20), (0, 20, 40, 32)),  # no room above
        ((180, 40, 200, 60), (160, 28, 200, 40)),  # pushed to the left
        ((0, 100, 30, 120), (0, 88, 40, 100)),
        ((0, 0, 200, 120), (0, 0, 40, 12)),  # in the box
    ],
)
def test_at_the_pictures_edges(box, place):
    assert tab_places(np.array([box], float), [[(40.0, 12.0)]], PICTURE) == [(0, place)]


def test_a_tab_wider_than_the_picture_has_no_place():
    assert tab_places(np.array([[10.0, 50, 20, 60]]), [[(300.0, 12.0)]], PICTURE) == [None]


def crowd(side: int, count: int = 150):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.95, (count, 2)) * side
    xyxy = np.concatenate([corners, corners + 0.04 * side], axis=1)
    names = [f"a rather long name of class {at % 3}" for at in range(count)]
    return np.full((side, side, 3), 128, np.uint8), xyxy, names, np.tile(np.uint8([[230, 159, 0]]), (count, 1))


@pytest.mark.parametrize("side", [64, 640, 3000])
def test_where_names_find_no_room_a_legend_says_the_colours_unless_the_size_must_stay(side):
    drawn = boxed(*crowd(side))
    height, width = boxed(*crowd(side), steady=True).shape[:2]
    assert height == width == max(side, 192)
    assert drawn.shape[1] == width
    assert 1.02 * height < drawn.shape[0] < 1.6 * height
    assert (drawn[height:, :, 0] < 40).mean() > 0.5  # white words on a dark ground


def test_few_boxes_have_no_legend_and_a_long_name_is_cut():
    photo = np.full((120, 400, 3), 90, np.uint8)
    box, colour = np.array([[60.0, 40, 160, 100]]), np.uint8([[0, 114, 178]])
    drawn = boxed(photo, box, ["n" * 200], colour)
    assert drawn.shape == photo.shape
    tab = (drawn == colour[0]).all(axis=2)[:39]
    assert 100 < np.ptp(np.flatnonzero(tab.any(axis=0))) < 210  # half of the width, nearly


def test_small_boxes_stay_transparent_and_grey_photos_become_colour():
    photo = np.full((400, 600, 1), 90, np.uint8)
    drawn = boxed(photo, np.array([[300.0, 200, 306, 206]]), ["a"], np.uint8([[240, 228, 66]]))
    assert drawn.shape == (400, 600, 3)
    assert (drawn[202:204, 302:304] == 90).all()
    assert (drawn[203, 300] == [240, 228, 66]).all()
    assert Image.fromarray(drawn).mode == "RGB"
