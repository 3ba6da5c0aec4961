"""Boundary IoU against plain erosion, answers worked by hand and properties."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import DataError
from pellucid.metrics.boundary import DISTANCES, band_depth, boundary_counts, contour_counts
from pellucid.metrics.regions import IGNORE, class_iou, mean_iou
from tests.metrics.test_regions import drawn_pair

CLASSES = 4


def blocks(seed, side, scale, ignored):
    """A prediction and a target of square blocks, so that some masks are thicker than their bands."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(CLASSES, size=(2, side, side), dtype=np.uint8)
    labels, target = coarse.repeat(scale, axis=1).repeat(scale, axis=2)
    holes = (rng.random((side, side)) < ignored).repeat(scale, axis=0).repeat(scale, axis=1)
    target[holes] = IGNORE
    return labels, np.roll(target, rng.integers(-2, 3, size=2), axis=(0, 1))


pairs = st.builds(drawn_pair, st.integers(1, CLASSES), st.integers(1, 12), st.integers(1, 12), st.integers(0, 10**6))
large = st.builds(blocks, st.integers(0, 10**6), st.integers(3, 6), st.integers(8, 30), st.sampled_from([0, 0.3]))


def plain_erosion(mask, depth):
    """The pixels whose square of 2·depth + 1 holds the mask only; beyond the image there is none."""
    rows, columns = mask.shape
    padded = np.pad(mask, depth)
    shifts = range(2 * depth + 1)
    return np.all([padded[dy : dy + rows, dx : dx + columns] for dy in shifts for dx in shifts], axis=0)


def plain_counts(labels, target, classes):
    """Mask by mask as the paper has it, ignored pixels being part of every mask while it is eroded."""
    depth = band_depth(*target.shape)
    ignored = target == IGNORE
    found = []
    for at in range(classes):
        first, second = [
            (mask == at) & ~ignored & ~plain_erosion((mask == at) | ignored, depth) for mask in (labels, target)
        ]
        found.append([(first & second).sum(), second.sum(), first.sum()])
    return np.array(found).T


def square(side, top, left, edge):
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + edge, left : left + edge] = 1
    return mask


@given(pairs)
def test_counts_of_small_masks_are_those_of_plain_erosion(drawn):
    assert np.array_equal(boundary_counts(*drawn, CLASSES), plain_counts(*drawn, CLASSES))


@given(large)
def test_counts_of_blocks_are_those_of_plain_erosion(drawn):
    assert np.array_equal(boundary_counts(*drawn, CLASSES), plain_counts(*drawn, CLASSES))


def test_the_depth_is_a_fiftieth_of_the_diagonal():
    assert band_depth(300, 400) == 10
    assert band_depth(1, 1) == 1
    assert band_depth(24, 32) == 1
    assert band_depth(4000, 6000) == 144


def test_a_square_moved_by_one_pixel():
    """d = 3 in 100x100. Each band has 20² - 14² pixels; both have 19·20 less the 15·14 that one of the cores covers."""
    counts = boundary_counts(square(100, 40, 41, 20), square(100, 40, 40, 20), 2)
    assert counts[:, 1].tolist() == [170, 204, 204]
    assert class_iou(counts)[1] == 170 / 238


def test_the_border_of_the_image_is_a_contour():
    """d = 1 in 10x10: the square in the corner loses its rim on all four sides."""
    mask = square(10, 0, 0, 5)
    assert boundary_counts(mask, mask, 2)[:, 1].tolist() == [25 - 9] * 3


def test_an_outline_weighs_more_than_an_area():
    target, labels = square(100, 20, 20, 60), square(100, 22, 22, 56)
    counts = boundary_counts(labels, target, 2)
    assert class_iou(counts)[1] < 0.4 < 56**2 / 60**2


def test_masks_apart_share_nothing():
    counts = boundary_counts(square(60, 2, 2, 9), square(60, 40, 40, 9), 2)
    assert class_iou(counts)[1] == 0


@given(large)
def test_equal_masks_agree_wholly(drawn):
    _, target = drawn
    labels = np.where(target == IGNORE, 0, target).astype(np.uint8)
    found = class_iou(boundary_counts(labels, target, CLASSES))
    assert np.array_equal(np.isnan(found), ~np.isin(np.arange(CLASSES), target))
    assert (found[~np.isnan(found)] == 1).all()


@given(large, st.integers(0, 10**6))
def test_what_is_predicted_where_the_target_is_ignored_counts_nowhere(drawn, seed):
    labels, target = drawn
    other = labels.copy()
    other[target == IGNORE] = np.random.default_rng(seed).integers(CLASSES, size=(target == IGNORE).sum())
    assert np.array_equal(boundary_counts(labels, target, CLASSES), boundary_counts(other, target, CLASSES))


def test_ignored_pixels_make_no_contour():
    """Half a plane of class 0 and an ignored half: only the image's border is in the band, on the judged side."""
    target = np.zeros((20, 20), np.uint8)
    target[:, 10:] = IGNORE
    counts = boundary_counts(np.zeros_like(target), target, 1)
    assert counts[:, 0].tolist() == [10 + 10 + 18] * 3


def test_a_contour_is_seen_across_a_narrow_ignored_strip():
    """d = 3: of the columns 47 to 49 the strip takes 48 and 49, and class 1 begins at 50."""
    target = np.zeros((100, 100), np.uint8)
    target[:, 50:] = 1
    target[:, 48:50] = IGNORE
    counts = boundary_counts(target % IGNORE, target, 2)
    frame = 100 * 48 - 94 * 45
    assert counts[1].tolist() == [frame + 94, 100 * 50 - 94 * 46]


@given(pairs)
def test_swapping_target_and_prediction_swaps_their_counts(drawn):
    labels, target = (np.where(mask == IGNORE, 0, mask).astype(np.uint8) for mask in drawn)
    swapped = boundary_counts(target, labels, CLASSES)
    assert np.array_equal(boundary_counts(labels, target, CLASSES), swapped[[0, 2, 1]])


@given(large, st.permutations(range(CLASSES)))
def test_the_names_of_the_classes_do_not_matter(drawn, places):
    table = np.full(256, IGNORE, np.uint8)
    table[:CLASSES] = places
    renamed = boundary_counts(table[drawn[0]], table[drawn[1]], CLASSES)
    assert np.array_equal(renamed[:, places], boundary_counts(*drawn, CLASSES))


@given(large)
def test_turning_both_changes_nothing(drawn):
    turned = (np.ascontiguousarray(np.rot90(mask)) for mask in drawn)
    assert np.array_equal(boundary_counts(*turned, CLASSES), boundary_counts(*drawn, CLASSES))


def test_a_value_that_is_no_class_is_refused():
    with pytest.raises(DataError, match="pixels of value 1, which is no class"):
        boundary_counts(square(9, 2, 2, 3), np.zeros((9, 9), np.uint8), 1)


def test_twenty_four_megapixels_take_seconds_and_little_memory():
    rng = np.random.default_rng(0)
    target = rng.integers(130, size=(40, 60), dtype=np.uint8).repeat(100, axis=0).repeat(100, axis=1)
    target[:200] = IGNORE
    labels = np.roll(target, 5, axis=1)
    labels[:200] = 0
    tracemalloc.start()
    start = time.process_time()
    counts = boundary_counts(labels, target, 130)
    assert time.process_time() - start < 4
    assert tracemalloc.get_traced_memory()[1] < 400e6
    tracemalloc.stop()
    assert 0.8 < float(mean_iou(counts)) < 1


def plain_contours(labels, target):
    """Pixel by pixel: the known classes in the square around each."""
    found = np.zeros((2, len(DISTANCES) + 1), int)
    for row, column in np.argwhere(target != IGNORE):
        wrong = int(labels[row, column] != target[row, column])
        found[:, -1] += wrong, 1
        for place, distance in enumerate(DISTANCES):
            top, left = max(0, row - distance), max(0, column - distance)
            part = target[top : row + distance + 1, left : column + distance + 1]
            if len(set(part[part != IGNORE].tolist())) > 1:
                found[:, place] += wrong, 1
    return found


@given(pairs)
def test_distances_from_contours_are_those_of_every_pixel_by_itself(pair):
    labels, target = pair
    assert np.array_equal(contour_counts(labels, target), plain_contours(labels, target))


def test_a_region_that_grew_by_two_pixels_errs_within_two_of_the_contour():
    found = contour_counts(square(40, 8, 8, 14), square(40, 10, 10, 10))
    assert found[0].tolist() == [44, 96, 96, 96, 96, 96]
