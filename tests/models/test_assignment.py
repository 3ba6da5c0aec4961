"""Assignment against double loops in plain Python, over drawn tables and drawn boxes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.models.assignment import CLOSENESS, Anchors, Assignment, Matches, dynamic_soft, matches, task_aligned
from tests.models.kinds import box_targets

SEEDS = st.integers(0, 10**6)


@st.composite
def tables(draw) -> Matches:
    """Random numbers, hardly ever equal: some predictions meet no object, some points may serve none."""
    images, objects, points = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 24))
    generator = torch.Generator().manual_seed(draw(SEEDS))
    shape = (images, objects, points)
    overlaps, scores, steps = torch.rand(3, *shape, generator=generator).unbind()
    meets = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    allowed = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.1, 0.5, 1.0]))
    counted = torch.rand(images, points, generator=generator) < 0.7
    return Matches(overlaps * meets, scores, 6 * steps, allowed, counted)


def best_of(rank: list[float], allowed: list[bool], count: int) -> list[int]:
    places = [place for place, may in enumerate(allowed) if may]
    return sorted(places, key=lambda place: -rank[place])[:count]


def settled(ranks: list[list[float]], chosen: list[list[int]], merits: list[list[float]]) -> dict[int, int]:
    """Who gets each point: whose best it is, then who has the greatest merit."""
    owners: dict[int, int] = {}
    for point in range(len(ranks[0])):
        bids = [
            (merits[one][point] + (chosen[one][0] == point), -one) for one in range(len(ranks)) if point in chosen[one]
        ]
        if bids:
            owners[point] = -max(bids)[1]
    return owners


def aligned_by_hand(found: Matches, image: int, top: int) -> tuple[dict[int, int], dict[int, float]]:
    overlaps, scores, steps, allowed = (
        getattr(found, name)[image].tolist() for name in ("overlaps", "scores", "steps", "allowed")
    )
    many, points = len(overlaps), len(overlaps[0])
    aligned = [[scores[m][a] ** 0.5 * overlaps[m][a] ** 6 for a in range(points)] for m in range(many)]
    ranks = [[aligned[m][a] + CLOSENESS / (1 + steps[m][a]) for a in range(points)] for m in range(many)]
    chosen = [best_of(ranks[m], allowed[m], top) for m in range(many)]
    owners = settled(ranks, chosen, overlaps)
    shares = {}
    for point, one in owners.items():
        own = [place for place, owner in owners.items() if owner == one]
        greatest = max(aligned[one][place] for place in own)
        reached = max(overlaps[one][place] for place in own)
        shares[point] = aligned[one][point] / greatest * reached if greatest else 0.0
    return owners, shares


def soft_by_hand(found: Matches, image: int, top: int) -> tuple[dict[int, int], dict[int, float]]:
    overlaps, scores, steps, allowed = (
        getattr(found, name)[image].tolist() for name in ("overlaps", "scores", "steps", "allowed")
    )
    many, points = len(overlaps), len(overlaps[0])

    def cost(u: float, s: float, away: float) -> float:
        entropy = -(u * math.log(s) + (1 - u) * math.log(1 - s))
        return entropy * (u - s) ** 2 - 3 * math.log(max(u, 1e-7)) + 10 ** (away - 3)

    ranks = [[-cost(overlaps[m][a], scores[m][a], steps[m][a]) for a in range(points)] for m in range(many)]
    chosen = []
    for m in range(many):
        best = sorted((u if may else 0.0 for u, may in zip(overlaps[m], allowed[m], strict=True)), reverse=True)[:top]
        chosen.append(best_of(ranks[m], allowed[m], max(1, math.floor(sum(best)))))
    merits = [[1 / (1 - rank) for rank in row] for row in ranks]
    owners = settled(ranks, chosen, merits)
    return owners, {point: overlaps[one][point] for point, one in owners.items()}


def assert_same(found: Matches, given_: Assignment, by_hand, top: int) -> None:
    for image in range(len(found.overlaps)):
        owners, shares = by_hand(found, image, top)
        points = found.overlaps.shape[-1]
        assert given_.objects[image].tolist() == [owners.get(point, -1) for point in range(points)]
        expected = torch.tensor([shares.get(point, 0.0) for point in range(points)])
        torch.testing.assert_close(given_.shares[image], expected, rtol=1e-4, atol=1e-6)
        counted = [point in owners or bool(found.counted[image, point]) for point in range(points)]
        assert given_.counted[image].tolist() == counted


@given(tables(), st.sampled_from([1, 3, 10]))
def test_task_alignment_is_that_of_a_double_loop(found, top):
    assert_same(found, task_aligned(found, top=top), aligned_by_hand, top)


@given(tables(), st.sampled_from([3, 13]))
def test_dynamic_soft_labels_are_those_of_a_double_loop(found, top):
    assert_same(found, dynamic_soft(found, top=top), soft_by_hand, top)


def iou_by_hand(one: list[float], other: list[float]) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def grid_anchors(side: int) -> Anchors:
    rows = [
        (stride, x + stride / 2, y + stride / 2)
        for stride in (8, 16)
        for y in range(0, side, stride)
        for x in range(0, side, stride)
    ]
    return Anchors(torch.tensor([row[1:] for row in rows]), torch.tensor([float(row[0]) for row in rows]))


def drawn_boxes(rows: int, generator: torch.Generator, least: int = 2) -> torch.Tensor:
    corner = torch.randint(0, 24, (2, rows, 2), generator=generator)
    return torch.cat([corner, corner + torch.randint(least, 20, (2, rows, 2), generator=generator)], dim=-1).float()


@given(SEEDS)
def test_matches_are_what_a_double_loop_finds(seed):
    generator = torch.Generator().manual_seed(seed)
    anchors = grid_anchors(32)
    xyxy, scores = (
        drawn_boxes(len(anchors.points), generator),
        torch.rand(2, len(anchors.points), 3, generator=generator),
    )
    labels = torch.randint(-1, 3, (2, 4), generator=generator)
    ignored = torch.rand(2, 4, generator=generator) < 0.4
    targets = box_targets(drawn_boxes(4, generator), labels, ignored, side=32)
    found = matches(xyxy, scores.logit(), anchors, targets)
    for image in range(2):
        objects = targets["xyxy"][image].tolist()
        for one, box in enumerate(objects):
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            away = [math.dist(middle, point) for point in anchors.points.tolist()]
            inside = [box[0] < x < box[2] and box[1] < y < box[3] for x, y in anchors.points.tolist()]
            if not any(inside):
                inside[away.index(min(away))] = True
            learnt = bool(labels[image, one] >= 0 and not ignored[image, one])
            assert found.allowed[image, one].tolist() == [place and learnt for place in inside]
            expected = torch.tensor(away) / anchors.strides
            torch.testing.assert_close(found.steps[image, one], expected)
            if labels[image, one] >= 0:
                torch.testing.assert_close(found.scores[image, one], scores[image, :, labels[image, one]])
        for point, prediction in enumerate(xyxy[image].tolist()):
            overlaps = [iou_by_hand(box, prediction) for box in objects]
            torch.testing.assert_close(found.overlaps[image, :, point], torch.tensor(overlaps))
            there = [one for one in range(4) if labels[image, one] >= 0]
            doubtful = max((overlaps[one] for one in there if ignored[image, one]), default=0.0)
            certain = max((overlaps[one] for one in there if not ignored[image, one]), default=0.0)
            assert found.counted[image, point] == (doubtful == 0 or doubtful < certain)


@given(SEEDS, st.sampled_from([task_aligned, dynamic_soft]))
def test_every_object_gets_a_point_that_no_other_wants_most(seed, assign):
    """Also those that hold no point, being smaller than a cell."""
    generator = torch.Generator().manual_seed(seed)
    anchors = grid_anchors(64)
    corners = torch.tensor([[1.0, 2], [33, 5], [3, 40], [42, 38]])  # far apart
    boxes = torch.cat([corners, corners + torch.randint(1, 20, (4, 2), generator=generator)], dim=-1)
    xyxy = drawn_boxes(len(anchors.points), generator)[:1]
    scores = torch.rand(1, len(anchors.points), 2, generator=generator)
    targets = box_targets(boxes[None], torch.tensor([[0, 1, 0, 1]]), side=64)
    given_ = assign(matches(xyxy, scores.logit(), anchors, targets))
    assert set(given_.objects.unique().tolist()) >= {0, 1, 2, 3}


def test_a_small_object_keeps_its_best_point_within_a_large_one():
    anchors = grid_anchors(32)
    large, small = [0.0, 0, 32, 32], [9.0, 9, 16, 16]
    prediction = torch.tensor(large).expand(1, len(anchors.points), 4)  # at first all predictions may fit the large
    targets = box_targets(torch.tensor([[large, small]]), torch.tensor([[0, 0]]), side=32)
    given_ = task_aligned(matches(prediction, torch.zeros(1, len(anchors.points), 1), anchors, targets))
    place = anchors.points.tolist().index([12.0, 12.0])
    assert given_.objects[0, place] == 1


@pytest.mark.parametrize("assign", [task_aligned, dynamic_soft])
def test_memory_is_linear_in_the_table(assign):
    """No tensor of the way is larger than images x objects x points x 4."""
    sizes = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                sizes.append(result.numel())
            return result

    anchors, generator = grid_anchors(64), torch.Generator().manual_seed(0)
    points = len(anchors.points)
    targets = box_targets(drawn_boxes(7, generator), torch.zeros(2, 7, dtype=torch.long), side=64)
    with Sizes():
        assign(matches(drawn_boxes(points, generator), torch.randn(2, points, 3), anchors, targets))
    assert max(sizes) <= 2 * 7 * points * 4
