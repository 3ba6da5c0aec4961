"""Boxes as values, and as they are fitted into their photo."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data.boxes import Box, Boxes, box_area, fitted

SIZE = (10, 20)


def test_boxes_are_gathered_and_given_again():
    boxes = [Box((1.0, 2.0, 3.0, 5.0), 1), Box((0.0, 0.0, 4.0, 4.0), 0, True, 2.5)]
    label = Boxes.gathered(boxes)
    assert label == Boxes(((1, 2, 3, 5), (0, 0, 4, 4)), (1, 0), (False, True), (6, 2.5))
    assert list(label) == [Box((1.0, 2.0, 3.0, 5.0), 1, False, 6.0), boxes[1]]
    assert (len(label), len(Boxes.of([]))) == (2, 0)
    assert label.renumbered([5, 7]).labels == (7, 5)
    assert label.renumbered([5, 7]).xyxy == label.xyxy


@pytest.mark.parametrize(
    ("xyxy", "cut"),
    [
        ((0.0, 0.0, 20.0, 10.0), (0, 0, 20, 10)),
        ((-1.0, -0.5, 21.0, 11.0), (0, 0, 20, 10)),
        ((19.5, 9.5, 20.5, 10.5), (19.5, 9.5, 20, 10)),
    ],
)
def test_what_leaves_the_photo_by_a_pixel_at_most_is_cut(xyxy, cut):
    assert fitted(xyxy, SIZE) == cut


@pytest.mark.parametrize(
    ("xyxy", "said"),
    [
        ((math.nan, 0.0, 1.0, 1.0), "its left is nan, no finite number"),
        ((0.0, 0.0, 1.0, math.inf), "its bottom is inf, no finite number"),
        ((2.0, 0.0, 1.0, 1.0), "its corners are swapped: left 2, right 1"),
        ((0.0, 2.0, 1.0, 1.0), "its corners are swapped: top 2, bottom 1"),
        ((1.0, 1.0, 1.0, 1.0), "it has no area: 0 x 0 pixels"),
        ((1.0, 1.0, 1.0 + 1e-200, 2.0), "it has no area: 0 x 1 pixels"),
        ((0.0, 0.0, 21.5, 1.0), "it lies outside the image of 20x10: 0, 0, 21.5, 1"),
        ((20.0, 0.0, 21.0, 1.0), "it lies outside the image of 20x10: 20, 0, 21, 1"),
    ],
)
def test_what_is_no_box_of_the_photo_says_why(xyxy, said):
    assert fitted(xyxy, SIZE) == said


@given(xyxy=st.tuples(*[st.floats()] * 4))
def test_whatever_fits_lies_in_the_photo_and_has_an_area(xyxy):
    found = fitted(xyxy, SIZE)
    if not isinstance(found, str):
        left, top, right, bottom = found
        assert 0 <= left < right <= 20
        assert 0 <= top < bottom <= 10
        assert max(abs(new - old) for new, old in zip(found, xyxy, strict=True)) <= 1
        assert box_area(found) >= 0
