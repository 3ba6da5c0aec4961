"""What is said of candidates is what suppression, assignment and loss compute."""

import numpy as np
import pytest
import torch

from pellucid.checkpoint import Manifest
from pellucid.errors import UsageError
from pellucid.inspection.candidates import candidates_of
from pellucid.inspection.cells import lessons_of, places_of
from pellucid.inspection.places import evaluating
from pellucid.models.base import build_model
from pellucid.network import Predictor
from pellucid.ops.boxes import iou
from pellucid.preprocess import Preprocess
from pellucid.tasks.detect import Detect
from tests.inspection.networks import unsettled

CLASSES = ("bee", "fly", "wasp")
MODELS = {
    "yolo_n": ({"share": 1 / 4}, 64),
    "yolo_n one to one": ({"share": 1 / 4, "one_to_one": True}, 64),
    "yolo_v1_fast": ({"width": 1 / 8, "side": 128, "grid": 3}, 128),
    "yolo_v1_resnet18": ({"side": 64, "grid": 2}, 64),
}


def make(name: str) -> tuple[Predictor, dict[str, torch.Tensor], torch.Tensor]:
    """A predictor, its raw outputs for one image, and that image."""
    torch.manual_seed(0)
    arguments, side = MODELS[name]
    model = unsettled(build_model(name.split()[0], 3, **arguments))
    learnt = {"threshold": 0.3, "overlap": 0.3}
    preprocess = Preprocess((side, side), "letterbox", 3, (0.5,) * 3, (0.25,) * 3)
    task = Detect(CLASSES, learnt=learnt)
    predictor = Predictor(model, task, Manifest("detect", CLASSES, preprocess, learnt=learnt))
    x = torch.randn(1, 3, side, side)
    with evaluating(model), torch.no_grad():
        outputs = model(x)
        for key in outputs:  # as if it had learnt something: scores of every size, boxes that meet
            noise = torch.randn(outputs[key].shape, generator=torch.Generator().manual_seed(1))
            outputs[key] = outputs[key] + (2 * noise if "logits" in key else 0.3 * noise)
            outputs[key] += 0.4 * (key == "cells")
    return predictor, outputs, x


def targets(side: int) -> dict[str, torch.Tensor]:
    boxes = torch.tensor([[4.0, 6, 0.4 * side, 0.5 * side], [0.5 * side, 0.5 * side, side - 3, side - 9]])
    return {
        "xyxy": boxes[None],
        "labels": torch.tensor([[2, 0]]),
        "ignored": torch.zeros(1, 2, dtype=torch.bool),
        "size": torch.tensor([[side, side]]),
    }


@pytest.mark.parametrize("name", MODELS)
def test_fates_are_those_of_the_prediction(name):
    predictor, outputs, _ = make(name)
    frame = predictor.preprocess.frame(48, 64)
    found = candidates_of(predictor, outputs, frame)
    decoded = {key: value[0].numpy() for key, value in predictor.model.decode(outputs).items()}
    prediction = predictor.postprocess.prediction(decoded, frame).to_json()["boxes"]
    kept = [row for row in found.rows if row.fate == "kept"]
    assert [(row.label, pytest.approx(row.score), pytest.approx(row.xyxy)) for row in kept] == [
        (box["label"], box["score"], box["xyxy"]) for box in prediction
    ]
    assert {row.fate for row in found.rows} >= {"kept", "suppressed"}
    assert [row.score for row in found.rows] == sorted((row.score for row in found.rows), reverse=True)


@pytest.mark.parametrize("name", MODELS)
def test_a_suppressed_box_meets_the_one_that_suppressed_it(name):
    predictor, outputs, _ = make(name)
    found = candidates_of(predictor, outputs, predictor.preprocess.frame(64, 64))
    xyxy = predictor.model.decode(outputs)["xyxy"][0]
    hit = [row for row in found.rows if row.fate == "suppressed"]
    for row in hit:
        winner = found.rows[row.by]
        assert winner.fate in ("kept", "low")
        assert winner.label == row.label
        assert winner.score >= row.score
        assert row.overlap > found.overlap
        assert row.overlap == pytest.approx(float(iou(xyxy[row.number], xyxy[winner.number])), abs=1e-6)
    assert hit


@pytest.mark.parametrize("name", MODELS)
def test_places_are_where_a_box_moves_with_the_outputs_of_its_cell(name):
    """Only the candidate of a cell changes when the numbers of that cell do."""
    predictor, outputs, _ = make(name)
    places = places_of(predictor.model, outputs)
    before = predictor.model.decode(outputs)["xyxy"][0]
    assert len(places) == len(before)
    for number in (0, len(places) // 2, len(places) - 1):
        place, moved = places[number], {key: value.clone() for key, value in outputs.items()}
        if "cells" in moved:
            moved["cells"][0, place.row, place.column, 5 * place.predictor] += 0.5
        else:
            key = f"{predictor.model.decoded_heads}distances{place.stride:g}"
            moved[key][0, 2, place.row, place.column] += 5.0
        changed = (predictor.model.decode(moved)["xyxy"][0] != before).any(1)
        assert changed.nonzero().flatten().tolist() == [number]
        y, x = (place.row + 0.5) * place.stride, (place.column + 0.5) * place.stride
        assert place.point == pytest.approx((x, y))


@pytest.mark.parametrize("name", MODELS)
def test_lessons_add_up_to_the_loss(name):
    predictor, outputs, x = make(name)
    given = targets(x.shape[2])
    loss = predictor.model.loss(outputs, given)
    prefix = "single_" if "one to one" in name else ""
    lessons = lessons_of(predictor.model, outputs, given)
    boxes = 2 if "v1" in name else 1
    for term in lessons[0].terms:
        each = [lesson.terms[term] for lesson in lessons]
        total = sum(each[::boxes]) if term == "class" else sum(each)
        assert total == pytest.approx(float(loss[prefix + term]), rel=1e-4), term
    learnt = {lesson.object for lesson in lessons}
    assert learnt == {-1, 0, 1}
    if boxes == 2:
        responsible = [number for number, lesson in enumerate(lessons) if lesson.share == 1]
        assert len(responsible) == 2, "one box of the cell of each object"


def test_objects_say_who_learns_them():
    predictor, outputs, x = make("yolo_n")
    found = candidates_of(predictor, outputs, predictor.preprocess.frame(64, 64), targets(x.shape[2]))
    assert [one.label for one in found.objects] == ["wasp", "bee"]
    for at, one in enumerate(found.objects):
        assert all(found.rows[row].lesson.object == at for row in one.learners)
    assert found.loss.keys() == {"class", "box"}
    assert "learns object" in found.text(most=1000)
    assert found.to_json()["rows"][0]["place"]["stride"] in (8, 16, 32)
    assert "suppressed by #" in found._repr_html_()


def test_only_a_detector_has_candidates():
    predictor, outputs, _ = make("yolo_n")
    other = Predictor(build_model("net", 3), predictor.task, predictor.manifest)
    with pytest.raises(UsageError, match="those of a detector"):
        candidates_of(other, outputs, predictor.preprocess.frame(64, 64))


def test_beyond_the_most_that_an_image_may_have_candidates_are_cut(monkeypatch):
    monkeypatch.setattr("pellucid.predictions.detect.MOST", 2)
    predictor, outputs, _ = make("yolo_n")
    fates = [row.fate for row in candidates_of(predictor, outputs, predictor.preprocess.frame(64, 64)).rows]
    assert fates.count("kept") == 2
    assert fates[-1] == "cut"
    assert np.all(np.array(fates[:1]) == "kept")
