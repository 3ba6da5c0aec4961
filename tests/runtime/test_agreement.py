"""Two sets of results are compared at the level of the task, and what differs is counted."""

import numpy as np
import pytest

from pellucid.runtime.agreement import Figure, agreement, split, worst


def boxes(*rows: tuple[float, float, int]) -> dict[str, np.ndarray]:
    """Squares of 10 pixels at (left, score, label)."""
    return {
        "xyxy": np.array([(left, 0, left + 10, 10) for left, _, _ in rows], np.float32).reshape(-1, 4),
        "scores": np.array([score for _, score, _ in rows], np.float32),
        "labels": np.array([label for _, _, label in rows], np.int64),
    }


def values(expected, found, threshold=0.25) -> dict[str, float]:
    return {figure.name: figure.value for figure in agreement([expected], [found], threshold)}


def test_boxes_are_matched_whatever_their_order():
    one, other = boxes((0, 0.9, 0), (20, 0.8, 1)), boxes((20.25, 0.8005, 1), (0, 0.9, 0))
    found = values(one, other)
    assert found["boxes"] == pytest.approx(0.25)
    assert found["scores"] == pytest.approx(0.0005, rel=0.01)
    assert found["unmatched"] == 0


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (boxes((0, 0.9, 0)), 0.5),  # one is missing
        (boxes((0, 0.9, 0), (20, 0.8, 0)), 1.0),  # one has another class: it is alone on both sides
        (boxes((0, 0.9, 0), (60, 0.8, 1)), 1.0),  # one is elsewhere
        (boxes((0, 0.9, 0), (20, 0.8, 1), (20, 0.7, 1)), 1 / 3),  # each is matched once
        (boxes(), 1.0),
    ],
)
def test_boxes_without_a_match_are_counted(other, share):
    assert values(boxes((0, 0.9, 0), (20, 0.8, 1)), other)["unmatched"] == pytest.approx(share)


def test_a_box_at_the_threshold_may_be_left_out_and_is_mentioned():
    (_, _, figure) = agreement([boxes((0, 0.9, 0), (20, 0.2505, 1))], [boxes((0, 0.9, 0))], 0.25)
    assert figure.ok
    assert "1 at the threshold" in figure.text()
    assert not agreement([boxes((0, 0.9, 0), (20, 0.27, 1))], [boxes((0, 0.9, 0))], 0.25)[2].ok


def test_nothing_agrees_with_nothing():
    assert values(boxes(), boxes()) == {"boxes": 0, "scores": 0, "unmatched": 0}


def test_probs_masks_and_what_is_no_number():
    one, other = {"probs": np.array([0.5, 0.5])}, {"probs": np.array([0.5002, 0.4998])}
    assert values(one, other)["probs"] == pytest.approx(2e-4)
    assert not agreement([one], [{"probs": np.array([np.nan, 0.5])}], 0)[0].ok
    assert not agreement([one], [{"probs": np.array([0.5])}], 0)[0].ok
    labels = np.zeros((20, 50), np.uint8)
    wrong = labels.copy()
    wrong[0, :2] = 1
    (figure,) = agreement([{"labels": labels}], [{"labels": wrong}], 0)
    assert (figure.value, figure.ok) == (0.002, False)
    assert agreement([{"labels": labels}], [{"labels": labels[:1]}], 0)[0].value == 1


def test_a_batch_is_split_and_padding_cut_off():
    outputs = {
        "xyxy": np.ones((2, 3, 4)),
        "scores": np.ones((2, 3)),
        "labels": np.ones((2, 3), int),
        "count": np.array([3, 1]),
    }
    assert [len(photo["scores"]) for photo in split(outputs)] == [3, 1]
    assert [sorted(photo) for photo in split({"probs": np.ones((2, 4))})] == [["probs"], ["probs"]]


def test_the_worst_is_kept_and_no_number_is_worst():
    found = worst([Figure("a", 1, 2), Figure("a", float("nan"), 2), Figure("b", 3, 4), Figure("b", 1, 4)])
    assert [(figure.name, figure.ok) for figure in found] == [("a", False), ("b", True)]
