"""Large photos in views: what is small in them is found, and what views cut is found once."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.metrics.detection import Detections
from pellucid.predictions.base import View
from pellucid.predictions.classify import ClassPostprocess
from pellucid.predictions.detect import EDGE, BoxPostprocess, FoundBoxes
from pellucid.predictions.predictor import AbstractPredictor
from pellucid.predictions.segment import MaskPostprocess
from pellucid.predictions.views import SHARED, views, windows
from pellucid.preprocess import Preprocess
from pellucid.types import Frame

SIDE, LARGE = 64, 256
SEEN = 5  # network pixels, from which on the planted detector sees an object


class Planted(AbstractPredictor):
    """Finds bright rectangles, where they are not too small, as they lie in its view; `postprocess` is another's."""

    preprocess = Preprocess((SIDE, SIDE), "letterbox", 1, (0.5,), (0.25,))
    postprocess = BoxPostprocess(("bright",))

    def decoded(self, pixels):
        rows = [
            [(box, 0.9) for box in bright_boxes(view[..., 0] > 160) if smaller_side(box) >= SEEN] for view in pixels
        ]
        xyxy, scores = np.zeros((len(rows), 64, 4), np.float32), np.zeros((len(rows), 64, 1), np.float32)
        for place, row in enumerate(rows):
            for at, (box, score) in enumerate(row):
                xyxy[place, at], scores[place, at] = box, score
        return {"xyxy": xyxy, "scores": scores}


def bright_boxes(bright) -> Iterator[tuple[int, int, int, int]]:
    """Bounds of what hangs together."""
    left = set(zip(*map(np.ndarray.tolist, np.nonzero(bright)), strict=True))
    while left:
        waiting, here = [left.pop()], []
        while waiting:
            row, column = waiting.pop()
            here.append((row, column))
            near = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & left
            left -= near
            waiting += near
        rows, columns = zip(*here, strict=True)
        yield min(columns), min(rows), max(columns) + 1, max(rows) + 1


def smaller_side(box) -> float:
    return min(box[2] - box[0], box[3] - box[1])


def drawn(boxes) -> np.ndarray:
    photo = np.full((LARGE, LARGE, 1), 60, np.uint8)
    for left, top, right, bottom in boxes:
        photo[top:bottom, left:right] = 250
    return photo


def apart(boxes, margin=5):
    """Those of the boxes that keep a distance from the ones before them."""
    kept = []
    for left, top, right, bottom in boxes:
        near = [
            one
            for one in kept
            if left - margin < one[2] and one[0] < right + margin and top - margin < one[3] and one[1] < bottom + margin
        ]
        kept += [] if near else [(left, top, right, bottom)]
    return kept


def overlaps(found, boxes) -> np.ndarray:
    first, second = np.asarray(found, float).reshape(-1, 1, 4), np.asarray(boxes, float).reshape(1, -1, 4)
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(one[..., 2:] - one[..., :2], axis=2) for one in (first, second)]
    return shared / (areas[0] + areas[1] - shared)


SQUARE = st.tuples(st.integers(0, LARGE - 6), st.integers(0, LARGE - 6), st.integers(6, 70), st.integers(6, 70)).map(
    lambda drawn: (drawn[0], drawn[1], min(LARGE, drawn[0] + drawn[2]), min(LARGE, drawn[1] + drawn[3]))
)


def is_whole_somewhere(box) -> bool:
    """Whether the object fits what neighbouring views share, clear of their edges, at a scale where it is seen; at the
    last scale it is whole anyway."""
    shorter, longer = sorted((box[2] - box[0], box[3] - box[1]))
    fitting = [factor for factor in (1, 2) if longer <= factor * SIDE * (SHARED - 2 * EDGE)]
    return any(shorter >= factor * (SEEN + 1) for factor in [*fitting, 4])


@settings(max_examples=60)
@given(boxes=st.lists(SQUARE, min_size=1, max_size=12))
@example(boxes=[(61, 0, 124, 16)])
@example(boxes=[(60, 60, 72, 72), (120, 10, 144, 30), (100, 100, 180, 190)])
def test_each_object_of_a_photo_four_times_as_large_is_found_once(boxes):
    """Of any size that the network sees at some scale, wherever the views' edges cut it."""
    boxes = apart(boxes)
    predictor = Planted()
    found = predictor.postprocess.merged(views(predictor, drawn(boxes))).found
    table = overlaps(found.xyxy, boxes)
    sought = np.array([is_whole_somewhere(box) for box in boxes])
    assert (table.max(axis=0, initial=0) > 0.5)[sought].all()
    assert ((table > 0).sum(axis=0) <= 1).all()


def test_the_whole_alone_misses_what_is_small():
    boxes = [(20 * at + 3, 20 * at + 3, 20 * at + 13, 20 * at + 13) for at in range(12)]
    predictor = Planted()
    (whole,) = predictor([drawn(boxes)])
    assert not len(whole.found.xyxy)
    found = predictor.postprocess.merged(views(predictor, drawn(boxes)))
    assert found.text() == "12 bright"


def test_a_photo_of_the_networks_size_is_seen_once():
    assert windows((64, 64), (64, 64)) == [(0, 0, 64, 64)]
    assert windows((90, 40), (64, 64)) == [(0, 0, 90, 40)]


@given(
    photo=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    network=st.tuples(st.integers(32, 640), st.integers(32, 640)),
)
def test_windows_cover_the_photo_at_every_scale_and_share_enough(photo, network):
    found = windows(photo, network)
    assert found[-1] == (0, 0, *photo)
    for size in {(bottom - top, right - left) for top, left, bottom, right in found}:
        here = [window for window in found if (window[2] - window[0], window[3] - window[1]) == size]
        for axis, side in enumerate(photo):
            spans = sorted({(window[axis], window[axis + 2]) for window in here})
            assert spans[0][0] == 0
            assert spans[-1][1] == side
            shared = [before[1] - after[0] for before, after in itertools.pairwise(spans)]
            assert all(length >= round(SHARED * size[axis]) - 1 for length in shared)  # starts are rounded
    smallest = found[0]
    large = max(photo[0] / network[0], photo[1] / network[1]) >= 1.5
    assert not large or smallest[2] - smallest[0] == min(photo[0], network[0])


def test_views_lie_where_their_frames_say():
    """A box in a view's network pixels, in the photo's own: `photo = corner + (network - offset) / scale`."""
    photo = drawn([(200, 100, 220, 110)])
    for view in views(Planted(), photo):
        found = BoxPostprocess(("bright",)).found(view.decoded, view.frame, 0.5)
        if view.seen[0] < 95 and view.seen[1] < 195 and view.seen[2] > 115 and view.seen[3] > 225 and len(found.xyxy):
            assert np.abs(found.xyxy - [200, 100, 220, 110]).max() < 4.1


def one_box(xyxy, scores, seen) -> View:
    frame = Frame((100, 100), (100, 100), (1.0, 1.0), (0.0, 0.0))
    return View({"xyxy": np.array([xyxy], np.float32), "scores": np.array([scores], np.float32)}, frame, seen)


def test_of_views_as_close_the_surer_is_believed_and_classes_may_suppress_each_other():
    parts = [one_box([10, 10, 40, 40], scores, (0, 0, 100, 100)) for scores in ([0.6, 0.0], [0.0, 0.8], [0.7, 0.0])]
    way = BoxPostprocess(("a", "b"))
    assert way.merged(parts).found.scores.tolist() == pytest.approx([0.8, 0.7])
    assert way.adjusted(agnostic=True).merged(parts).text() == "1 b"
    assert way.adjusted(threshold=0.75).merged(parts).text() == "1 b"


def test_the_closer_of_two_views_is_believed():
    parts = [one_box([30, 30, 42, 42], [0.5], (20, 20, 60, 60)), one_box([27, 28, 43, 44], [0.9], (0, 0, 100, 100))]
    found = BoxPostprocess(("a",)).merged(parts).found
    assert found.xyxy.tolist() == [[30, 30, 42, 42]]
    assert found.scores.tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(("xyxy", "kept"), [([25, 30, 42, 42], 1), ([20.5, 30, 42, 42], 0), ([30, 30, 59.5, 42], 0)])
def test_a_box_that_ends_with_its_view_is_left_out(xyxy, kept):
    assert len(BoxPostprocess(("a",)).merged([one_box(xyxy, [0.9], (20, 20, 60, 60))]).found.scores) == kept


@pytest.mark.parametrize("seen", [(0, 0, 60, 60), (0, 40, 60, 100)])
def test_a_box_may_end_where_the_photo_does(seen):
    xyxy = [seen[1], 0, seen[1] + 20, 20] if seen[1] == 0 else [80, 0, 100, 20]
    assert len(BoxPostprocess(("a",)).merged([one_box(xyxy, [0.9], seen)]).found.scores) == 1


@pytest.mark.parametrize("way", [ClassPostprocess(("a",)), MaskPostprocess(("a",))])
def test_other_tasks_refuse_what_means_nothing_to_them(way):
    with pytest.raises(UsageError, match="--tiles has no effect"):
        way.merged([])
    with pytest.raises(UsageError, match="--threshold has no effect"):
        way.adjusted(threshold=0.5)
    with pytest.raises(UsageError, match="--agnostic has no effect"):
        way.adjusted(agnostic=True)
    assert way.adjusted() == way


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.5])
def test_a_threshold_that_no_score_has_is_refused(threshold):
    with pytest.raises(UsageError, match="scores lie between 0 and 1"):
        BoxPostprocess(("a",)).adjusted(threshold=threshold)


def test_suppression_by_class_across_classes_or_not_at_all():
    frame = Frame((100, 100), (100, 100), (1.0, 1.0), (0.0, 0.0))
    xyxy = np.array([[10, 10, 50, 50], [11, 10, 50, 50], [10, 12, 50, 50]], np.float32)
    decoded = {"xyxy": xyxy, "scores": np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.7]], np.float32)}
    way = BoxPostprocess(("a", "b"))
    assert way.prediction(decoded, frame).found.scores.tolist() == pytest.approx([0.9, 0.7])
    assert way.adjusted(agnostic=True).prediction(decoded, frame).found.scores.tolist() == pytest.approx([0.9])
    single = BoxPostprocess(("a", "b"), {"overlap": 1.0})  # as a network says whose boxes are one to one
    assert single.prediction(decoded, frame).found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert single.adjusted(agnostic=True).prediction(decoded, frame).found.scores.tolist() == pytest.approx([0.9])


def test_nothing_is_nothing():
    predictor = Planted()
    found = predictor.postprocess.merged(views(predictor, drawn([])))
    assert isinstance(found, FoundBoxes)
    assert isinstance(found.found, Detections)
    assert found.text() == "nothing"
