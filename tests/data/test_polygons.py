"""Polygons against the rule they follow, in fractions and pixel by pixel; outlines against the pixels they are of."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import polygons
from pellucid.data.polygons import outlines, polygon_pixels, polygon_window, ring_trouble

HALF = Fraction(1, 2)
EIGHTHS = st.integers(-16, 96).map(lambda value: value / 8)  # exact in binary, so that ties are ties
POINTS = st.lists(st.tuples(EIGHTHS, EIGHTHS), min_size=3, max_size=9)


def is_inside(points: list[tuple[float, float]], row: int, column: int) -> bool:
    """The even-odd rule for a pixel's centre: edges that cross its row at its centre or left of it are counted."""
    count = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        left, top, right, bottom = map(Fraction, (x0, y0, x1, y1) if y0 <= y1 else (x1, y1, x0, y0))
        if top <= row + HALF < bottom:
            crossing = left + (row + HALF - top) * (right - left) / (bottom - top)
            count += crossing <= column + HALF
    return count % 2 == 1


def covered(points: list[tuple[float, float]], size: tuple[int, int]) -> np.ndarray:
    """The pixels of an image (height, width) that a polygon covers."""
    ring = np.array(points, float)
    top, left, bottom, right = window = polygon_window(ring, size)
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = polygon_pixels(ring, window)
    return mask


@settings(max_examples=150)
@given(points=POINTS, height=st.integers(1, 12), width=st.integers(1, 12), crossings=st.sampled_from([1, 10, 10**6]))
def test_a_polygon_covers_the_centres_inside_it_and_no_other(points, height, width, crossings):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "MOST_CROSSINGS", crossings)
        found = covered(points, (height, width))
    expected = [[is_inside(points, row, column) for column in range(width)] for row in range(height)]
    assert found.tolist() == expected


@given(points=POINTS)
def test_neither_the_first_point_nor_the_way_round_matters(points):
    found = covered(points, (12, 12)).tolist()
    assert covered(points[::-1], (12, 12)).tolist() == found
    assert covered(points[1:] + points[:1], (12, 12)).tolist() == found


@given(corners=st.lists(st.tuples(st.floats(0, 12), st.floats(0, 12)), min_size=4, max_size=4))
def test_triangles_that_share_an_edge_share_no_pixel_and_leave_none_out(corners):
    a, b, c, d = corners
    halves = covered([a, b, c], (12, 12)) ^ covered([a, c, d], (12, 12))
    assert halves.tolist() == covered([a, b, c, d], (12, 12)).tolist()


@pytest.mark.parametrize(
    ("points", "rows"),
    [
        ([(0, 0), (4, 0), (4, 3), (0, 3)], ["####", "####", "####"]),
        ([(0.5, 0.5), (2.5, 0.5), (2.5, 1.5), (0.5, 1.5)], ["##..", "....", "...."]),
        ([(0.6, 0.6), (2.4, 0.6), (2.4, 1.4), (0.6, 1.4)], ["....", "....", "...."]),
        ([(-9, 1), (9, 1), (9, 2), (-9, 2)], ["....", "####", "...."]),
        ([(0, 0), (4, 0), (0, 3)], ["###.", "##..", "#..."]),
        ([(0, 0), (4, 0), (4, 3), (0, 3), (0, 0), (1, 1), (3, 1), (3, 2), (1, 2), (1, 1)], ["####", "#..#", "####"]),
        ([(1, 1), (1, 1), (1, 1)], ["....", "....", "...."]),
    ],
)
def test_by_hand(points, rows):
    assert ["".join(".#"[pixel] for pixel in row) for row in covered(points, (3, 4)).tolist()] == rows


@st.composite
def regions(draw) -> np.ndarray:
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random((height, width)) < draw(st.sampled_from([0.0, 0.2, 0.5, 0.8, 1.0]))


def connected(mask: np.ndarray) -> list[set[tuple[int, int]]]:
    """Pixels by region, connected by their sides, found by walking."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    found = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            row, column = edge.pop()
            region.add((row, column))
            near = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & left
            left -= near
            edge += near
        found.append(region)
    return found


@settings(max_examples=100)
@given(mask=regions())
def test_every_region_has_an_outline_that_covers_just_its_pixels(mask):
    drawn = [covered(outline.tolist(), mask.shape) for outline in outlines(mask)]
    found = [frozenset(zip(*map(np.ndarray.tolist, np.nonzero(pixels)), strict=True)) for pixels in drawn]
    assert sorted(map(sorted, found)) == sorted(map(sorted, connected(mask)))


def test_an_outline_has_corners_only_where_it_turns():
    mask = np.zeros((6, 7), bool)
    mask[1:4, 2:6] = True
    assert [outline.tolist() for outline in outlines(mask)] == [[[2, 1], [6, 1], [6, 4], [2, 4]]]


@pytest.mark.parametrize(
    ("ring", "said"),
    [
        ([0, 0, 4, 0, 4, 3], None),
        ([-1, 0, 4.999, 0, 4, 3], None),
        ("abcdef", "its outline is no list of numbers"),
        (None, "its outline is no list of numbers"),
        ({"x": 1}, "its outline is no list of numbers"),
        ([0, 0, 4, 0, 4, None], "its outline is no list of numbers"),
        ([0, 0, 4, 0, 4, True], "its outline is no list of numbers"),
        ([0, 0, 4, 0, 4, [3]], "its outline is no list of numbers"),
        ([0, 0, 4, 0, 4, 3, 1], "its outline has an odd number of coordinates, 7"),
        ([0, 0, 4, 0], "its outline has 2 points, and a polygon has three"),
        ([], "its outline has 0 points, and a polygon has three"),
        ([0, 0, 4, 0, 4, float("nan")], "its point (4, nan) lies outside the image of 4x3"),
        ([0, 0, float("inf"), 0, 4, 3], "its point (inf, 0) lies outside the image of 4x3"),
        ([0, 0, 10**400, 0, 4, 3], "its point (1" + "0" * 19 + ", 0) lies outside the image of 4x3"),
        ([0, 0, 4, 4.5, 4, 3], "its point (4, 4.5) lies outside the image of 4x3"),
    ],
)
def test_outlines_that_cannot_be_used_say_why(ring, said):
    assert ring_trouble(ring, 4, 3, 1.0) == said
