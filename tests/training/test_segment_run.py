"""Segmentation through the same loop, files and verbs as every other task."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pellucid
from pellucid.checkpoint import Manifest, save_model
from pellucid.cli import main
from pellucid.config import TrainConfig
from pellucid.errors import UsageError
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.training.run import train
from tests.drawn import make_mask_folder
from tests.training.child import start
from tests.training.test_resume import assert_same_run

SETTINGS = {
    "model": "fcn_compact",
    "epochs": 6,
    "batch": 4,
    "accumulate": 2,
    "size": 24,
    "ema": 0.9,
    "color": 0.3,
    "erase": 0.2,
    "rotate": 10.0,
    "class_weights": "balanced",
    "smoothing": 0.05,
    "lr": 0.01,
    "save_seconds": 0.0,
    "threads": 1,
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return make_mask_folder(tmp_path_factory.mktemp("masks") / "drawn", {"train": 16, "val": 5, "test": 5})


@pytest.fixture(scope="module")
def run(drawn, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("segment") / "run"
    train(drawn, out, TrainConfig(**SETTINGS))
    return out


def test_it_learns_and_says_so_in_every_file(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["metrics"]["mean_iou"] > 0.8
    assert {row["class"] for row in metrics["test"]["per_class"]} == {"background", "disc", "bar"}
    rows = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    losses = [row["losses"] for row in rows if row["event"] == "stepped"]
    assert set(losses[0]) == {"cross_entropy", "dice"}
    report = (run / "report.html").read_text()
    for word in ("Worst images", "IoU by class", "mean_iou", "boundary_iou", "prediction", "errors"):
        assert word in report


def test_evaluate_gives_the_figures_of_the_run(run, drawn, capsys):
    assert main(["evaluate", str(run / "model.safetensors"), str(drawn), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "metrics.json").read_text())["test"]
    assert (
        main(["evaluate", str(run / "model.safetensors"), str(drawn), "--against", str(run / "model.safetensors")]) == 0
    )
    printed = capsys.readouterr().out
    assert "mean_iou is +0.0000 against" in printed
    assert "frequency_weighted_iou" in printed


def test_predict_gives_areas_masks_and_drawn_pictures(run, drawn, tmp_path, capsys):
    image = drawn / "test" / "images" / "0.png"
    model = str(run / "model.safetensors")
    folders = ["--draw", str(tmp_path / "drawn"), "--save", str(tmp_path / "masks")]
    assert main(["predict", model, str(image), "--json", *folders]) == 0
    areas = json.loads(capsys.readouterr().out)["prediction"]["areas"]
    mask = pellucid.read_image(tmp_path / "masks" / "0.png").pixels[..., 0]
    assert {name: area["pixels"] for name, area in areas.items()} == {
        name: int((mask == at).sum()) for at, name in enumerate(("background", "disc", "bar")) if (mask == at).any()
    }
    target = pellucid.read_image(drawn / "test" / "masks" / "0.png").pixels[..., 0]
    assert (mask == target).mean() > 0.9
    assert (tmp_path / "drawn" / "0.png").is_file()
    assert (tmp_path / "masks" / "0-color.png").is_file()
    assert main(["predict", model, str(image), "--csv"]) == 0
    assert capsys.readouterr().out.startswith("image,background,disc,bar,error\n")


def test_photos_of_other_sizes_are_segmented_to_their_own_pixels(run):
    predictor = pellucid.load(run / "model.safetensors")
    photos = [np.zeros((height, width, 3), np.uint8) for height, width in ((1, 1), (7, 40), (7, 40), (33, 20))]
    assert [found.labels.shape for found in predictor(photos)] == [photo.shape[:2] for photo in photos]
    assert predictor([]) == []


def test_stopped_and_resumed_to_the_same_bits(run, drawn, tmp_path):
    asked = iter(["", "", "", "", "", "enough"])
    outcome = train(drawn, tmp_path / "run", TrainConfig(**SETTINGS), stop=lambda: next(asked))
    assert outcome.stopped == "enough"
    train(drawn, tmp_path / "run", TrainConfig(**SETTINGS), resume=True)
    assert_same_run(tmp_path / "run", run)


@pytest.mark.slow
@pytest.mark.parametrize("flush", [2, 7, 11])
def test_killed_inside_a_save_and_resumed_to_the_same_bits(flush, run, drawn, tmp_path):
    process = start(drawn, tmp_path / "run", SETTINGS, die_at_flush=flush)
    process.join(120)
    assert process.exitcode == -9
    process = start(drawn, tmp_path / "run", SETTINGS, resume=True)
    process.join(120)
    assert process.exitcode == 0
    assert_same_run(tmp_path / "run", run)


def test_half_the_scale_is_judged_in_the_photos_own_pixels(drawn, tmp_path):
    settings = TrainConfig(**SETTINGS | {"scale": 0.5, "size": 16, "epochs": 2})
    metrics = train(drawn, tmp_path / "run", settings).metrics
    assert sum(row["pixels"] for row in metrics["test"]["per_class"]) == 5 * 32 * 32


@pytest.mark.parametrize("setting", [{"mixup": 0.2}, {"cutmix": 1.0}, {"shift": 0.1}])
def test_a_setting_without_effect_is_refused(setting, drawn, tmp_path):
    with pytest.raises(UsageError, match=r"--\w+ has no effect where the task is to segment"):
        train(drawn, tmp_path / "run", TrainConfig(**SETTINGS | setting))
    assert not (tmp_path / "run").exists()


def test_a_model_of_another_task_is_refused(drawn, tmp_path):
    with pytest.raises(UsageError, match="--model resnet20 is made to classify; this data is labelled to segment"):
        train(drawn, tmp_path / "run", TrainConfig(**SETTINGS | {"model": "resnet20"}))


def test_minutes_are_a_complete_setting(drawn, tmp_path):
    outcome = train(drawn, tmp_path / "run", TrainConfig(minutes=0.3, threads=1))
    settings = json.loads((tmp_path / "run" / "config.json").read_text())["plan"]["settings"]
    assert settings["model"] == "fcn_compact"
    assert outcome.metrics["test"]["metrics"]["mean_iou"] > 0.5


@pytest.mark.parametrize(("ancestor", "model", "part"), [("resnet18", "fcn8s_resnet18", "backbone.layer4.1.conv2")])
def test_a_segmenter_begins_with_the_weights_of_the_classifier_it_is_built_on(ancestor, model, part, drawn, tmp_path):
    classifier = build_model(ancestor, 7)
    preprocess = Preprocess((64, 64), "crop", 3, (0.4,) * 3, (0.2,) * 3, 0.875)
    manifest = Manifest("classify", tuple("abcdefg"), preprocess)
    save_model(tmp_path / "classifier.safetensors", classifier, manifest)
    settings = {**SETTINGS, "model": model, "weights": str(tmp_path / "classifier.safetensors"), "lr": 0.0, "epochs": 1}
    train(drawn, tmp_path / "run", TrainConfig(**settings | {"ema": 0.0, "size": 32}))
    predictor = pellucid.load(tmp_path / "run" / "model.safetensors")
    inherited = predictor.model.state_dict()[f"{part}.weight"]
    assert torch.equal(inherited, classifier.state_dict()[f"{part.removeprefix('backbone.')}.weight"])
    assert predictor.manifest.preprocess.rule == "scale"
    assert predictor.manifest.preprocess.mean == preprocess.mean
    with pytest.raises(UsageError, match="belongs to 'resnet18', not to --model fcn_compact"):
        train(drawn, tmp_path / "other", TrainConfig(**settings | {"model": "fcn_compact"}))
