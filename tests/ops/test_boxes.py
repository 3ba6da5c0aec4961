"""Boxes against published values, the definitions, finite differences, and plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.ops import boxes, suppression
from pellucid.ops.boxes import ciou, diou, giou, iou, nms, pairwise_iou

A, B, C, D = (0, 0, 100, 100), (0, 0, 50, 50), (200, 200, 300, 300), (0, 0, 25, 25)
CENTRED = (-1, -1, 1, 1)
TOLERANCE = {"abs": 5e-5}  # the published values have four digits

TARGETS = [(0.1, 0.08, 0.52, 0.92), (0.55, 0.2, 0.9, 0.88)]
ANCHORS = [
    (0, 0.1, 0.2, 0.3),
    (0.15, 0.2, 0.4, 0.4),
    (0.63, 0.05, 0.88, 0.98),
    (0.66, 0.45, 0.8, 0.8),
    (0.57, 0.3, 0.92, 0.9),
]
FOUR = [(0.1, 0.08, 0.52, 0.92), (0.08, 0.2, 0.56, 0.95), (0.15, 0.3, 0.62, 0.91), (0.55, 0.2, 0.9, 0.88)]

corner = st.integers(0, 12).map(float)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)
any_box = st.tuples(corner, corner, corner, corner)  # corners may be swapped
box_set = st.lists(st.tuples(box, st.integers(0, 5), st.integers(0, 2)), max_size=30)


def row(*given_boxes):
    return torch.tensor(given_boxes, dtype=torch.float64).reshape(-1, 4)


def columns(drawn):
    xyxy = row(*(one for one, _, _ in drawn))
    scores = torch.tensor([score / 5 for _, score, _ in drawn], dtype=torch.float64)
    return xyxy, scores, torch.tensor([label for *_, label in drawn], dtype=torch.int64)


def plain_iou(one, other):
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [max(0.0, b[2] - b[0]) * max(0.0, b[3] - b[1]) for b in (one, other)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0


def plain_nms(xyxy, scores, labels, threshold, most):
    """The definition as a double loop: kept places, and suppressor and IoU of every dropped box."""
    kept, dropped = [], {}
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if len(kept) == most:
            break
        for j in kept:
            if labels[i] == labels[j] and plain_iou(xyxy[i], xyxy[j]) > threshold:
                dropped[i] = (j, plain_iou(xyxy[i], xyxy[j]))
                break
        else:
            kept.append(i)
    return kept, dropped


def random_set(rng, size):
    """Boxes around a few centres, with scores that are often equal."""
    centres = rng.integers(0, 20, (4, 2))
    low = centres[rng.integers(0, 4, size)] + rng.integers(-3, 4, (size, 2))
    xyxy = np.concatenate([low, low + rng.integers(0, 12, (size, 2))], axis=1).astype(np.float64)
    return xyxy, rng.integers(0, 8, size) / 8, rng.integers(0, 3, size)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (A, B, (0.25, 0.25, 0.1875)),
        (A, C, (0, -0.7778, -0.4444)),
        (B, C, (0, -0.8611, -0.5625)),
        (D, A, (0.0625, 0.0625, -0.0781)),
        (D, B, (0.25, 0.25, 0.1875)),
        (D, C, (0, -0.8819, -0.6267)),
    ],
)
def test_published_overlaps(first, second, expected):
    found = [float(measure(row(first), row(second))) for measure in (iou, giou, diou)]
    assert found == pytest.approx(expected, **TOLERANCE)
    assert float(ciou(row(first), row(second))) == pytest.approx(expected[2], **TOLERANCE)
    assert float(pairwise_iou(row(first), row(second))) == pytest.approx(expected[0], **TOLERANCE)


@pytest.mark.parametrize(
    ("second", "losses"),
    [
        ((0, 0, 1, 1), {giou: 0.75, diou: 0.8125}),
        ((0, 1, 1, 2), {giou: 1.1667, diou: 1.1923, ciou: 1.1923}),
        ((1, 1, 2, 2), {giou: 1.4444, diou: 1.25}),
    ],
)
def test_published_losses(second, losses):
    for measure, loss in losses.items():
        assert 1 - float(measure(row(CENTRED), row(second))) == pytest.approx(loss, **TOLERANCE)


def test_unit_squares_that_touch():
    square = row((0, 0, 1, 1))
    assert 1 - float(giou(square, row((1, 0, 2, 1)))) == 1.0
    assert 1 - float(giou(square, row((1, 1, 2, 2)))) == 1.5


def test_only_ciou_sees_the_aspect():
    first, second = row(A), row((0, 0, 100, 50))
    assert float(iou(first, second)) == 0.5
    assert float(diou(first, second)) == 0.46875
    assert float(ciou(first, second)) == pytest.approx(0.465502, abs=5e-7)


def test_published_anchors():
    expected = [[0.0536, 0], [0.1417, 0], [0, 0.5657], [0, 0.2059], [0, 0.7459]]
    assert pairwise_iou(row(*ANCHORS), row(*TARGETS)).numpy() == pytest.approx(np.array(expected), **TOLERANCE)


def test_published_suppression():
    scores, labels = torch.tensor([0.9, 0.8, 0.7, 0.9]), torch.zeros(4, dtype=torch.int64)
    kept, suppressor, overlap = nms(row(*FOUR), scores, labels, 0.5, most=100)
    assert kept.tolist() == [0, 3]
    assert suppressor.tolist() == [-1, 0, 0, -1]
    assert overlap.numpy() == pytest.approx([0, 0.7368, 0.5454, 0], **TOLERANCE)
    between = pairwise_iou(row(*FOUR), row(*FOUR)).numpy()[[1, 1, 2], [2, 3, 3]]
    assert between == pytest.approx([0.6306, 0.0115, 0.0839], **TOLERANCE)


def test_a_format_and_its_inverse():
    xyxy = row((2, 4, 10, 8), (-3, 0, 0, 7))
    assert boxes.cxcywh_of_xyxy(xyxy).tolist() == [[6, 6, 8, 4], [-1.5, 3.5, 3, 7]]
    assert torch.equal(boxes.xyxy_of_cxcywh(boxes.cxcywh_of_xyxy(xyxy)), xyxy)


def test_areas_and_clipping():
    xyxy = row((-5, 2, 30, 12), (40, 3, 50, 9), (4, 4, 2, 9))
    assert boxes.areas(xyxy).tolist() == [350, 60, 0]
    assert boxes.clip_xyxy(xyxy, height=10, width=20).tolist() == [[0, 2, 20, 10], [20, 3, 20, 9], [4, 4, 2, 9]]
    assert boxes.areas(boxes.clip_xyxy(xyxy, height=10, width=20)).tolist() == [160, 0, 0]


@given(any_box, any_box)
def test_symmetry_ranges_and_order(first, second):
    one, other = row(first), row(second)
    for measure in (iou, giou, diou, ciou):
        assert float(measure(one, other)) == pytest.approx(float(measure(other, one)), abs=1e-12)
    value = float(iou(one, other))
    assert value == pytest.approx(plain_iou(first, second), abs=1e-12)
    assert 0 <= value <= 1
    assert -1 - 1e-12 <= float(giou(one, other)) <= value + 1e-12
    assert float(ciou(one, other)) - 1e-12 <= float(diou(one, other)) <= value


@given(st.lists(box, max_size=6), st.lists(box, max_size=6))
def test_pairwise_is_each_with_each(first, second):
    expected = np.array([plain_iou(a, b) for a in first for b in second]).reshape(len(first), len(second))
    assert pairwise_iou(row(*first), row(*second)).numpy() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measure", [iou, giou, diou])
def test_gradients_are_those_of_finite_differences(measure):
    rng = torch.Generator().manual_seed(3)
    low = torch.rand(20, 2, generator=rng, dtype=torch.float64) * 10
    first = torch.cat([low, low + 1 + torch.rand(20, 2, generator=rng, dtype=torch.float64) * 9], 1).requires_grad_()
    second = (first.detach().roll(1, 0) + 0.3).requires_grad_()
    assert torch.autograd.gradcheck(measure, (first, second))


def test_no_gradient_passes_through_alpha():
    """The gradient of CIoU is that of DIoU - α·v with α a number, and not that of CIoU as written."""
    first, second = row((0, 0, 4, 9)).requires_grad_(), row((1, 2, 7, 6))
    (found,) = torch.autograd.grad(ciou(first, second), first)

    def aspect(given_box):
        width, height = given_box[:, 2] - given_box[:, 0], given_box[:, 3] - given_box[:, 1]
        return 4 / np.pi**2 * (np.arctan(6 / 4) - torch.atan(width / height)) ** 2

    v = float(aspect(first.detach()))
    alpha = v / (1 - float(iou(first.detach(), second)) + v)
    (expected,) = torch.autograd.grad(diou(first, second) - alpha * aspect(first), first)
    (through,) = torch.autograd.grad(
        diou(first, second) - aspect(first) ** 2 / (1 - iou(first, second) + aspect(first)), first
    )
    assert torch.allclose(found, expected, atol=1e-14)
    assert not torch.allclose(found, through, atol=1e-4)


@pytest.mark.parametrize("measure", [iou, giou, diou, ciou])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3, 3, 3, 3), (3, 3, 3, 3)),
        ((3, 3, 3, 3), (5, 5, 5, 5)),
        ((0, 0, 4, 0), (0, 0, 4, 4)),
        (A, A),
        ((4, 4, 2, 2), A),
    ],
)
def test_boxes_without_area_give_finite_values_and_gradients(measure, first, second):
    one, other = row(first).requires_grad_(), row(second).requires_grad_()
    value = measure(one, other)
    gradients = torch.autograd.grad(value, (one, other))
    assert value.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert max(float(gradient.abs().max()) for gradient in gradients) < 10


def test_a_box_is_all_of_itself():
    for measure in (iou, giou, diou, ciou):
        assert float(measure(row(A), row(A))) == 1


def test_suppression_is_a_plain_double_loop():
    """1,000 random sets with ties of score, boxes without area, and sizes beyond a block."""
    rng = np.random.default_rng(0)
    for at in range(1000):
        xyxy, scores, labels = random_set(rng, int(rng.integers(0, 60)) if at % 50 else 300)
        threshold, most = float(rng.choice([0.0, 0.3, 0.5, 0.75])), int(rng.choice([0, 3, 10, 400]))
        kept, suppressor, overlap = nms(*map(torch.from_numpy, (xyxy, scores, labels)), threshold, most=most)
        expected, dropped = plain_nms(xyxy, scores, labels, threshold, most)
        assert kept.tolist() == expected
        assert {at: int(by) for at, by in enumerate(suppressor) if by >= 0} == {i: by for i, (by, _) in dropped.items()}
        assert [float(overlap[i]) for i in dropped] == pytest.approx([value for _, value in dropped.values()])
        assert (overlap[suppressor < 0] == 0).all()


def test_suppression_beyond_a_window(monkeypatch):
    monkeypatch.setattr(suppression, "BLOCK", 4)
    monkeypatch.setattr(suppression, "WINDOW", 10)
    rng = np.random.default_rng(1)
    for most in (5, 400):
        xyxy, scores, labels = random_set(rng, 200)
        kept, suppressor, _ = nms(*map(torch.from_numpy, (xyxy, scores, labels)), 0.4, most=most)
        expected, dropped = plain_nms(xyxy, scores, labels, 0.4, most)
        assert kept.tolist() == expected
        assert {at: int(by) for at, by in enumerate(suppressor) if by >= 0} == {
            at: by for at, (by, _) in dropped.items()
        }


@given(box_set, st.sampled_from([0.0, 0.3, 0.6]))
def test_suppressing_again_changes_nothing(drawn, threshold):
    xyxy, scores, labels = columns(drawn)
    kept, _, _ = nms(xyxy, scores, labels, threshold, most=100)
    again, suppressor, _ = nms(xyxy[kept], scores[kept], labels[kept], threshold, most=100)
    assert again.tolist() == list(range(len(kept)))
    assert (suppressor == -1).all()


@given(box_set)
def test_agnostic_suppression_is_that_of_one_class(drawn):
    xyxy, scores, labels = columns(drawn)
    agnostic = nms(xyxy, scores, labels, 0.3, most=100, agnostic=True)
    of_one = nms(xyxy, scores, torch.zeros_like(labels), 0.3, most=100)
    assert all(torch.equal(found, expected) for found, expected in zip(agnostic, of_one, strict=True))


def test_equal_scores_keep_their_order():
    xyxy = row(A, A, A)
    kept, suppressor, _ = nms(xyxy, torch.full((3,), 0.5), torch.zeros(3, dtype=torch.int64), 0.5, most=10)
    assert kept.tolist() == [0]
    assert suppressor.tolist() == [-1, 0, 0]


def test_the_threshold_itself_does_not_suppress():
    xyxy, labels = row(A, (0, 0, 100, 50)), torch.zeros(2, dtype=torch.int64)
    assert len(nms(xyxy, torch.tensor([0.9, 0.8]), labels, 0.5, most=10)[0]) == 2
    assert len(nms(xyxy, torch.tensor([0.9, 0.8]), labels, 0.499, most=10)[0]) == 1
