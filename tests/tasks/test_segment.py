"""Segmentation: masks as targets, in pieces, on the move, weighed; and back in the photo's own pixels."""

import json

import numpy as np
import pytest
import torch

from pellucid.config import TrainConfig
from pellucid.data.augment import Augment, draw_matrices, warp
from pellucid.data.masks import IGNORE
from pellucid.errors import UsageError
from pellucid.metrics import regions
from pellucid.tasks.segment import Segment
from pellucid.types import Frame

CLASSES = ("background", "disc", "bar")
TASK = Segment(CLASSES)


def masks(n=3, side=12, seed=0) -> torch.Tensor:
    found = np.random.default_rng(seed).integers(0, 4, (n, side, side))
    return torch.from_numpy(np.where(found == 3, IGNORE, found).astype(np.uint8))


def test_the_masks_are_the_targets_and_a_missing_one_is_refused():
    found = masks()
    assert TASK.collate([], [], found) is found
    with pytest.raises(UsageError, match="every image needs a mask"):
        TASK.collate([], [], None)


def test_ignored_pixels_weigh_nothing_and_have_some_class():
    found = masks()
    soft = TASK.soften(found, TrainConfig(smoothing=0.1, dice=0.5))
    assert torch.equal(soft["weight"] == 0, found == IGNORE)
    assert soft["labels"].max() < len(CLASSES)
    assert torch.equal(soft["labels"][found != IGNORE].byte(), found[found != IGNORE])
    assert soft["smoothing"].tolist() == pytest.approx([0.1] * 3)
    assert soft["dice"].tolist() == [0.5] * 3
    assert {len(value) for value in soft.values()} == {3}


def test_balanced_pixels_weigh_every_class_alike():
    found = masks(8)
    marks = np.stack([np.bincount(mask.numpy().ravel(), minlength=256)[:3] for mask in found])
    task = TASK.counted([], marks)
    assert task.counts == tuple(marks.sum(0).tolist())
    soft = task.soften(found, TrainConfig(class_weights="balanced"))
    known = found != IGNORE
    sums = [float(soft["weight"][known & (soft["labels"] == at)].sum()) for at in range(3)]
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-5)
    assert float(soft["weight"].sum() / known.sum()) == pytest.approx(1, rel=1e-5)
    with pytest.raises(UsageError, match=r"task\.counted first"):
        TASK.soften(found, TrainConfig(class_weights="balanced"))


@pytest.mark.parametrize("augment", [Augment(hflip=1.0), Augment(hflip=0.5, rotate=30.0), Augment(shift=0.3)])
def test_masks_move_with_their_images_and_no_class_is_made_up(augment):
    """An image whose grey values are the classes is moved; where bilinear blends nothing, both agree."""
    found = masks(6, 20, seed=1)
    matrices = draw_matrices(6, 20, augment, torch.Generator().manual_seed(3))
    moved = TASK.move(found, matrices, (20, 20))
    assert moved.dtype == torch.uint8
    assert set(moved.unique().tolist()) <= {0, 1, 2, IGNORE}
    image = warp(found[:, None].float(), matrices, (20, 20))[:, 0]
    whole = torch.isclose(image, image.round(), atol=1e-3) & (moved == image.round())
    assert whole.float().mean() > (0.02 if augment.rotate else 0.999)


def test_a_mirrored_mask_is_the_mask_from_right_to_left():
    found = masks()
    matrices = torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]).repeat(3, 1, 1)
    assert torch.equal(TASK.move(found, matrices, found.shape[1:]), found.flip(2))


def test_images_are_not_blended():
    with pytest.raises(UsageError, match="--mixup and --cutmix"):
        TASK.mix(masks(), torch.arange(3), torch.ones(3))


def decoded(labels: np.ndarray) -> dict[str, torch.Tensor]:
    return {"labels": torch.from_numpy(labels), "scores": torch.full(labels.shape, 0.75)}


def test_a_prediction_is_in_the_photos_own_pixels():
    labels = np.zeros((4, 6), np.uint8)
    labels[1:3, 2:4] = 2
    frame = Frame(photo=(8, 12), network=(4, 6), scale=(0.5, 0.5), offset=(0.0, 0.0))
    found = TASK.prediction(decoded(labels), frame)
    assert found.labels.shape == (8, 12)
    assert np.array_equal(found.labels, labels.repeat(2, 0).repeat(2, 1))
    said = json.loads(json.dumps(found.to_json()))
    assert said["areas"]["bar"] == {"pixels": 16, "share": pytest.approx(16 / 96), "score": 0.75}
    assert "disc" not in said["areas"]
    assert found.to_row() == pytest.approx({"background": 80 / 96, "disc": 0.0, "bar": 16 / 96})
    assert tuple(found.to_row()) == TASK.postprocess.columns


def test_the_background_stays_clear_and_classes_are_named_below():
    labels = np.zeros((200, 300), np.uint8)
    labels[10:20, 10:30] = 1
    photo = np.full((200, 300, 1), 100, np.uint8)
    found = TASK.prediction(decoded(labels), Frame((200, 300), (200, 300), (1, 1), (0, 0)))
    drawn = TASK.postprocess.draw(photo, found)
    assert drawn.shape[0] > 200
    assert drawn.shape[1:] == (300, 3)
    assert (drawn[:9, :, :] == 100).all()
    assert (drawn[12:18, 12:28] == (100 * 0.5 + TASK.postprocess.colors()[1] * 0.5 + 0.5).astype(np.uint8)).all()
    assert (drawn[10, 29] == TASK.postprocess.colors()[1]).all()  # the outline
    coloured = Segment(("sky", "road")).postprocess.draw(photo, found)
    assert not (coloured[:9] == 100).any(axis=2).all()


def test_a_small_photo_is_enlarged_with_its_mask():
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 10:30] = 1
    found = TASK.prediction(decoded(labels), Frame((40, 60), (40, 60), (1, 1), (0, 0)))
    drawn = TASK.postprocess.draw(np.full((40, 60, 3), 100, np.uint8), found)
    assert drawn.shape[1] == 240
    assert (drawn[40, 119] == TASK.postprocess.colors()[1]).all()
    assert (drawn[:40] == 100).all()


def test_views_show_where_prediction_and_target_differ():
    target = np.array([[0, 1], [2, IGNORE]], np.uint8)
    found = TASK.prediction(decoded(np.array([[0, 2], [2, 1]], np.uint8)), Frame((2, 2), (2, 2), (1, 1), (0, 0)))
    views = dict(TASK.views(np.zeros((2, 2, 3), np.uint8), target, found))
    assert list(views) == ["photo", "target", "prediction", "errors"]
    right, wrong, right_too, ignored = views["errors"].reshape(4, 3).tolist()
    assert right == right_too != wrong != ignored
    assert views["target"][1, 1].tolist() == ignored


def test_figures_are_those_of_the_summed_counts_however_images_are_batched():
    rng = np.random.default_rng(0)
    targets = masks(7, 30, seed=2)
    labels = rng.integers(0, 3, targets.shape).astype(np.uint8)
    agree = rng.random(targets.shape) < 0.7
    labels = np.where(agree & (targets.numpy() != IGNORE), targets.numpy(), labels)

    def scored(*sizes):
        metric, start = TASK.metric(), 0
        for size in sizes:
            metric.add(decoded(labels[start : start + size]), targets[start : start + size])
            start += size
        return metric.scores()

    together = scored(7)
    assert together == scored(1, 2, 4)
    confusion = sum(regions.pixel_confusion(a, b, 3) for a, b in zip(labels, targets.numpy(), strict=True))
    assert together.details["confusion"] == confusion.tolist()
    counts = regions.region_counts(confusion)
    assert together.metrics["mean_iou"] == pytest.approx(float(regions.mean_iou(counts)))
    assert (
        set(together.metrics)
        == set(together.intervals)
        == {
            "mean_iou",
            "pixel_accuracy",
            "mean_class_accuracy",
            "frequency_weighted_iou",
            "boundary_iou",
        }
    )
    for name, (low, high) in together.intervals.items():
        assert low <= together.metrics[name] <= high
    json.dumps(together.per_class)


def test_the_smaller_network_mask_is_judged_in_the_photos_pixels():
    target = torch.zeros(1, 8, 8, dtype=torch.uint8)
    target[:, :, 4:] = 1
    labels = np.zeros((1, 4, 4), np.uint8)
    labels[:, :, 2:] = 1
    metric = TASK.metric()
    metric.add(decoded(labels), target)
    assert metric.headline() == ("mean_iou", 1.0)
    assert metric.scores().per_class[2]["iou"] is None  # neither in target nor prediction


def test_the_worst_images_come_first_with_their_worst_class():
    target = torch.tensor([[[0, 1, 1, 1]], [[0, 1, 1, 1]], [[0, 0, 1, 1]]], dtype=torch.uint8)
    labels = np.array([[[0, 1, 1, 1]], [[0, 2, 2, 2]], [[0, 0, 0, 1]]], np.uint8)
    metric = TASK.metric()
    metric.add(decoded(labels), target)
    assert metric.mistakes(5) == [(1, "75.0% wrong, disc IoU 0.00"), (2, "25.0% wrong, disc IoU 0.50")]
    assert [panel.title for panel in metric.panels()] == [
        "Confusion in pixels",
        "IoU by class",
        "Classes",
        "Most confused",
        "Boundary errors",
    ]


def test_two_models_are_compared_by_their_mean_iou():
    rng = np.random.default_rng(1)
    targets = torch.from_numpy(rng.integers(0, 3, (20, 16, 16)).astype(np.uint8))
    metrics = []
    for share in (0.9, 0.6):
        right = rng.random(targets.shape) < share
        metric = TASK.metric(brief=True)
        metric.add(decoded(np.where(right, targets.numpy(), 0).astype(np.uint8)), targets)
        metrics.append(metric)
    found = metrics[0].compared(metrics[1])
    assert found.value == pytest.approx(metrics[0].headline()[1] - metrics[1].headline()[1])
    assert 0 < found.interval[0] <= found.value <= found.interval[1]
    assert found.p < 0.01


def test_nothing_judged_is_no_figure():
    with pytest.raises(UsageError, match="No image was judged"):
        TASK.metric().headline()
