"""Boxes through collation, augmentation, suppression and back to the photo's own pixels."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.checkpoint import Manifest, save_model
from pellucid.config import TrainConfig
from pellucid.data.augment import Augment, draw_matrices, tiled, warp
from pellucid.data.boxes import Box, Boxes
from pellucid.errors import UsageError
from pellucid.metrics.detection import Detections
from pellucid.models.base import build_model
from pellucid.prediction import load
from pellucid.predictions.detect import FoundBoxes
from pellucid.preprocess import Preprocess
from pellucid.tasks.detect import Detect
from pellucid.types import Record, Tile

TASK = Detect(("bee", "wasp"))
PREPROCESS = Preprocess((64, 64), "letterbox", 3, (0.5,) * 3, (0.25,) * 3)


def targets(*labels, photo=(64, 64)):
    records = [Record(Path(f"{place}.png"), label) for place, label in enumerate(labels)]
    return TASK.collate(records, [PREPROCESS.frame(*photo)] * len(labels), None)


def painted(xyxy, size=64):
    """A black image with one white box."""
    left, top, right, bottom = map(round, xyxy)
    image = torch.zeros(1, 1, size, size)
    image[..., top:bottom, left:right] = 255
    return image


def bounds(image):
    """The box around what is brighter than half."""
    rows, columns = (torch.nonzero((image[0, 0] > 127).any(dim=axis)).flatten() for axis in (1, 0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def test_boxes_of_a_wide_photo_lie_in_the_letterbox():
    found = targets(Boxes.of([((10, 20, 110, 40), 1)]), Boxes.of([]), photo=(64, 128)).tensors
    assert found["xyxy"][0].tolist() == [[5, 26, 55, 36]]
    assert found["labels"].tolist() == [[1], [-1]]
    assert found["size"].tolist() == [[64, 64]] * 2


@given(seed=st.integers(0, 10**6), rotate=st.sampled_from([0.0, 20.0]))
def test_boxes_move_with_what_they_are_around(seed, rotate):
    generator = torch.Generator().manual_seed(seed)
    augment = Augment(hflip=0.5, shift=0.1, zoom=0.7, rotate=rotate, wide=True)
    matrices = draw_matrices(1, 64, augment, generator)
    box = (24.0, 20.0, 44.0, 36.0)
    moved = TASK.move(targets(Boxes.of([(box, 0)])), matrices, (96, 96)).tensors
    seen = warp(painted(box), matrices, (96, 96), grey=0.0)
    wanted = torch.tensor(bounds(seen), dtype=torch.float32)
    slack = 1.0 if rotate == 0 else 3.0  # a corner of a turned box is a point and hardly bright
    assert (moved["xyxy"][0, 0] - wanted).abs().max() <= slack
    assert moved["labels"].tolist() == [[0]]
    assert moved["size"].tolist() == [[96, 96]]


def test_of_what_is_hardly_in_view_nothing_is_learnt():
    label = Boxes.of([((0, 0, 20, 20), 0), ((40, 40, 60, 60), 1), ((29, 29, 60, 60), 1)])
    half = torch.tensor([[[0.5, 0, -0.5], [0, 0.5, -0.5]]])  # the upper left quarter, enlarged
    moved = TASK.move(targets(label), half, (64, 64)).tensors
    assert moved["labels"].tolist() == [[0, 1]]
    assert moved["ignored"].tolist() == [[False, True]]
    assert moved["xyxy"][0, 0].tolist() == [0, 0, 40, 40]


def test_an_image_has_as_many_rows_as_the_fullest_has_objects_in_view():
    here, there = (10, 10, 20, 20), (40, 40, 60, 60)
    labels = [Boxes.of([(there, 0), (here, 1)]), Boxes.of([(there, 1), (there, 0)]), Boxes.of([])]
    quarter = torch.tensor([[[0.5, 0, -0.5], [0, 0.5, -0.5]]]).expand(3, 2, 3)
    moved = TASK.move(targets(*labels), quarter, (64, 64)).tensors
    assert moved["labels"].tolist() == [[1], [-1], [-1]]
    assert moved["xyxy"][0].tolist() == [[20, 20, 40, 40]]
    assert {name: len(value[0]) for name, value in moved.items()} == {"xyxy": 1, "labels": 1, "ignored": 1, "size": 2}


def test_four_images_keep_their_boxes_in_their_quarters():
    label = Boxes.of([((8, 8, 24, 24), 0)])
    order = torch.tensor([[0, 0, 0, 0]])
    found = TASK.tile(targets(label), order).tensors
    canvas = tiled(painted((8, 8, 24, 24)), order)
    assert found["size"].tolist() == [[128, 128]]
    for left, top, right, bottom in found["xyxy"][0].int().tolist():
        assert (canvas[..., top:bottom, left:right] == 255).all()
    assert (
        sum((right - left) * (bottom - top) for left, top, right, bottom in found["xyxy"][0].tolist())
        == (canvas > 0).sum()
    )


def test_a_blend_has_the_boxes_of_both_but_learns_nothing_of_what_is_faint():
    found = TASK.soften(targets(Boxes.of([((0, 0, 9, 9), 0)]), Boxes.of([((5, 5, 30, 30), 1)])), TrainConfig())
    mixed = TASK.mix(found, torch.tensor([1, 0]), torch.tensor([0.9, 0.5]))
    assert mixed["labels"].tolist() == [[0, 1], [1, 0]]
    assert mixed["ignored"].tolist() == [[False, True], [False, False]]


def test_balanced_boxes_of_all_classes_count_the_same_in_all():
    """Three wasps and one bee: 4 / (2·3) and 4 / (2·1)."""
    square = (8.0, 8.0, 24.0, 24.0)
    found = targets(Boxes.of([(square, 0), *[(square, 1)] * 3]))
    settings, task = TrainConfig(class_weights="balanced"), dataclasses.replace(TASK, counts=(1, 3))
    soft = task.soften(found, settings)
    torch.testing.assert_close(soft["weights"], torch.tensor([[2.0, 2 / 3, 2 / 3, 2 / 3]]))
    mixed = task.mix(soft, torch.tensor([0]), torch.tensor([0.5]))
    torch.testing.assert_close(mixed["weights"], soft["weights"].repeat(1, 2))
    assert "weights" not in task.soften(found, TrainConfig())
    with pytest.raises(UsageError, match="training images"):
        TASK.soften(found, settings)


def candidates(rows, size=64):
    """Decoded outputs of one image: (xyxy, score, label)."""
    xyxy = torch.tensor([row[0] for row in rows], dtype=torch.float32)[None]
    scores = torch.zeros(1, len(rows), 2)
    for place, (_, score, label) in enumerate(rows):
        scores[0, place, label] = score
    return {"xyxy": xyxy, "scores": scores}


ROWS = [
    ((0, 16, 32, 48), 0.9, 0),
    ((1, 16, 32, 48), 0.8, 0),
    ((1, 16, 32, 48), 0.7, 1),
    ((40, 20, 60, 60), 0.1, 0),
]


def test_predictions_are_suppressed_by_class_and_come_back_to_the_photos_pixels():
    decoded = {name: value[0] for name, value in candidates(ROWS).items()}
    found = TASK.prediction(decoded, PREPROCESS.frame(64, 128))
    assert [(row["label"], row["score"]) for row in found.to_json()["boxes"]] == [
        ("bee", pytest.approx(0.9)),
        ("wasp", pytest.approx(0.7)),
    ]
    assert found.to_json()["boxes"][0]["xyxy"] == [0, 0, 64, 64]
    assert found.text() == "1 wasp, 1 bee"
    assert found.to_row() == {"bee": 1, "wasp": 1}
    sure = dataclasses.replace(TASK, learnt={"threshold": 0.75})
    assert sure.prediction(decoded, PREPROCESS.frame(64, 128)).text() == "1 bee"


def test_the_metric_counts_in_the_photos_pixels():
    found = targets(Boxes.of([((0, 0, 64, 64), 0), ((2, 0, 64, 64), 1)]), photo=(64, 128))
    metric = TASK.metric()
    metric.add(candidates(ROWS), found)
    scores = metric.scores()
    assert scores.metrics["ap50"] == pytest.approx(1.0)
    assert metric.learnt()["threshold"] == pytest.approx(0.7)


def test_ignored_objects_neither_count_nor_cost():
    label = Boxes.gathered([Box((0, 0, 64, 64), 0), Box((80, 8, 120, 64), 0, ignored=True)])
    metric = TASK.metric()
    metric.add(candidates([ROWS[0], ((40, 20, 60, 48), 0.95, 0)]), targets(label, photo=(64, 128)))
    assert metric.scores().metrics["ap"] == pytest.approx(1.0)


def test_a_box_belongs_to_the_tile_that_its_centre_lies_in():
    tiles = [Tile((0, 0, 64, 64), (0, 0, 64, 48)), Tile((0, 32, 64, 96), (0, 48, 64, 96))]
    parts = [candidates([((40, 10, 60, 30), 0.9, 0)]), candidates([((8, 10, 28, 30), 0.8, 0)])]
    whole = TASK.assemble(iter(parts), tiles, (64, 96))
    assert whole["xyxy"][0].tolist() == [[40, 10, 60, 30]] * 2
    assert whole["scores"][0, :, 0].tolist() == pytest.approx([0.0, 0.8])


def test_drawn_boxes_have_their_colour_where_they_are_and_a_tab():
    photo = np.full((200, 300, 3), 90, np.uint8)
    found = FoundBoxes(TASK.classes, Detections(np.array([[50.0, 60, 150, 160]]), np.array([0.9]), np.array([1])))
    drawn = TASK.postprocess.draw(photo, found)
    assert drawn.shape == photo.shape
    assert drawn[100, 50].tolist() == TASK.postprocess.colors()[1].tolist()
    assert (drawn[100, 60:140] == 90).all()
    assert (drawn[48:60, 52:90] != 90).any()


def test_nothing_found_is_said_and_drawn_as_the_photo():
    nothing = FoundBoxes(TASK.classes, Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)))
    photo = np.full((200, 300, 3), 90, np.uint8)
    assert nothing.text() == "nothing"
    assert nothing.to_json() == {"boxes": []}
    assert np.array_equal(TASK.postprocess.draw(photo, nothing), photo)


def test_masks_cannot_be_saved_of_boxes():
    with pytest.raises(UsageError, match="--save has no effect where the task is to detect"):
        TASK.postprocess.save(None, Path("a.png"))


def test_errors_are_counted_from_the_threshold_that_was_learnt():
    label = Boxes.of([((0, 0, 64, 64), 0)])
    taught = dataclasses.replace(TASK, learnt={"threshold": 0.95})
    for task, hits, threshold in ((TASK, 1, pytest.approx(0.9)), (taught, 0, 0.95)):
        metric = task.metric()
        metric.add(candidates(ROWS[:1]), targets(label, photo=(64, 128)))
        details = metric.scores().details
        assert (details["confusion"][0][0], details["threshold"]) == (hits, threshold)
        assert metric.learnt() == {"threshold": pytest.approx(0.9)}


@pytest.mark.parametrize("one_to_one", [False, True])
def test_boxes_of_a_network_one_to_one_are_not_suppressed(one_to_one, tmp_path):
    """Neither in figures, nor in predictions of the model file."""
    path = tmp_path / "model.safetensors"
    model = build_model("yolo_n", 2, share=0.25, one_to_one=one_to_one)
    save_model(path, model, Manifest("detect", TASK.classes, PREPROCESS))
    label = Boxes.of([((0, 0, 64, 64), 0), ((0, 2, 64, 66), 0)])
    rows = [((0, 16, 32, 48), 0.9, 0), ((0, 17, 32, 49), 0.8, 0)]  # two objects, IoU 0.94
    metric = TASK.suited(model).metric()
    metric.add(candidates(rows), targets(label, photo=(64, 128)))
    assert metric.scores().metrics["ar"] == pytest.approx(1.0 if one_to_one else 0.5)
    decoded = {name: value[0].numpy() for name, value in candidates(rows).items()}
    said = load(path).postprocess.prediction(decoded, PREPROCESS.frame(64, 128))
    assert said.text() == ("2 bee" if one_to_one else "1 bee")
