"""Detection through the same loop, files and verbs as every other task."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pellucid
from pellucid.cli import main
from pellucid.config import TrainConfig
from pellucid.errors import DataError, UsageError
from pellucid.ops.boxes import pairwise_iou
from pellucid.training.run import train
from pellucid.video import VideoWriter, read_frames
from tests.drawn import make_box_table
from tests.training.test_resume import assert_same_run

SETTINGS = {
    "model": "yolo_n",
    "epochs": 12,
    "batch": 8,
    "size": 64,
    "ema": 0.9,
    "color": 0.2,
    "mosaic": 0.3,
    "multi_scale": 0.3,
    "mixup": 0.2,
    "lr": 0.02,
    "save_seconds": 0.0,
    "threads": 1,
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    return make_box_table(tmp_path_factory.mktemp("boxes") / "drawn", {"train": 64, "val": 8, "test": 24})


@pytest.fixture(scope="module")
def run(drawn, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("detect") / "run"
    train(drawn, out, TrainConfig(**SETTINGS))
    return out


def test_it_learns_and_says_so_in_every_file(run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["metrics"]["ap50"] > 0.5
    assert {row["class"] for row in metrics["test"]["per_class"]} == {"square", "bar"}
    rows = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert set(next(row["losses"] for row in rows if row["event"] == "stepped")) == {"class", "box"}
    report = (run / "report.html").read_text()
    for word in ("Worst images", "ap50", "target", "prediction"):
        assert word in report


def test_the_threshold_of_the_validation_split_travels_in_the_file(run):
    predictor = pellucid.load(run / "model.safetensors")
    assert 0 < predictor.postprocess.threshold < 1
    assert predictor.postprocess.threshold == json.loads((run / "metrics.json").read_text())["val"]["threshold"]


def test_evaluate_gives_the_figures_of_the_run(run, drawn, capsys):
    model = str(run / "model.safetensors")
    assert main(["evaluate", model, str(drawn), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((run / "metrics.json").read_text())["test"]
    assert main(["evaluate", model, str(drawn), "--against", model]) == 0
    assert "ap is +0.0000 against" in capsys.readouterr().out


def test_predict_gives_boxes_and_drawn_pictures(run, drawn, tmp_path, capsys):
    model, image = str(run / "model.safetensors"), str(drawn / "test-0.png")
    assert main(["predict", model, image, "--json", "--draw", str(tmp_path / "drawn")]) == 0
    boxes = json.loads(capsys.readouterr().out)["prediction"]["boxes"]
    assert {tuple(row) for row in boxes} <= {("label", "score", "xyxy")}
    assert pellucid.read_image(tmp_path / "drawn" / "test-0.png").pixels.shape == (192, 192, 3)
    assert main(["predict", model, image, "--csv"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header == "image,bar,square,error"
    assert sum(map(int, row.split(",")[1:3])) == len(boxes)


def test_predict_writes_datasets_and_videos(run, drawn, tmp_path, capsys):
    model, image, clip = str(run / "model.safetensors"), str(drawn / "test-0.png"), tmp_path / "clip.mp4"
    assert main(["predict", model, image, "--json", "--out", str(tmp_path / "out"), "--to", "coco"]) == 0
    boxes = json.loads(capsys.readouterr().out)["prediction"]["boxes"]
    (record,) = pellucid.open_dataset(tmp_path / "out", val=0, test=0).splits["train"]
    assert len(record.label) == len(boxes)
    assert np.abs(np.array(record.label.xyxy) - [box["xyxy"] for box in boxes]).max() <= 0.005 + 1e-9
    with VideoWriter(clip) as writer:
        for number in range(4):
            writer.add(pellucid.read_image(drawn / f"test-{number}.png").pixels, number / 4)
    assert main(["predict", model, str(clip), "--csv", "--every", "3", "--draw", str(tmp_path / "drawn")]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "image,frame,seconds,bar,square,error"
    assert [row.split(",")[1:3] for row in rows] == [["0", "0.0"], ["3", "0.75"]]
    assert len(list(read_frames(tmp_path / "drawn" / "clip.mp4"))) == 2
    for words, wrong in (("give a file .jsonl or .csv", ["--out", "x"]), ("without a video", ["--every", "2"])):
        assert main(["predict", model, image, *wrong]) == 2
        assert words in capsys.readouterr().err


def test_a_threshold_of_ones_own(run, drawn, capsys):
    def scores(*flags: str) -> list[float]:
        assert main(["predict", str(run / "model.safetensors"), str(drawn / "test-0.png"), "--json", *flags]) == 0
        return [box["score"] for box in json.loads(capsys.readouterr().out)["prediction"]["boxes"]]

    learnt = pellucid.load(run / "model.safetensors").postprocess.threshold
    assert min(scores()) >= learnt
    assert len(scores("--threshold", "0.01")) > len(scores())
    assert min(scores("--threshold", "0.01")) < learnt
    assert scores("--threshold", "1.0") == []


@pytest.mark.slow
def test_small_objects_of_a_large_photo_are_found_in_tiles_each_once(drawn, tmp_path):
    """Photos four times as large as those it learnt from: seen whole, their objects are three to five pixels."""
    train(drawn, tmp_path / "run", TrainConfig(**SETTINGS | {"epochs": 40, "mixup": 0.0, "multi_scale": 0.0}))
    predictor = pellucid.load(tmp_path / "run" / "model.safetensors")
    dataset = pellucid.open_dataset(make_box_table(tmp_path, {"train": 24}, size=256, seed=7), val=0, test=0)
    records = dataset.splits["train"]
    objects, hits = 0, {False: 0, True: 0}
    for tiles in hits:
        found = pellucid.predict(predictor, [tmp_path / record.path for record in records], tiles=tiles)
        for one, record in zip(found, records, strict=True):
            boxes = one.prediction.found.xyxy
            table = pairwise_iou(torch.from_numpy(boxes), torch.tensor(record.label.xyxy, dtype=torch.float64))
            hits[tiles] += int((table > 0.5).any(dim=0).sum())
            objects += len(record.label)
            assert not tiles or int((table > 0.1).sum(dim=0).max()) <= 1  # nothing twice, not even roughly
    assert hits[False] == 0
    assert hits[True] >= 0.8 * objects / 2


def test_photos_of_other_sizes_are_searched_in_their_own_pixels(run):
    predictor = pellucid.load(run / "model.safetensors")
    for height, width in ((7, 40), (200, 100), (64, 64)):
        found = predictor([np.zeros((height, width, 3), np.uint8)])[0].found
        assert (found.xyxy >= 0).all()
        assert (found.xyxy <= [width, height, width, height]).all()


def test_stopped_and_resumed_to_the_same_bits(run, drawn, tmp_path):
    asked = iter(["", "", "", "", "", "enough"])
    assert train(drawn, tmp_path / "run", TrainConfig(**SETTINGS), stop=lambda: next(asked)).stopped == "enough"
    train(drawn, tmp_path / "run", TrainConfig(**SETTINGS), resume=True)
    assert_same_run(tmp_path / "run", run)


@pytest.mark.parametrize("setting", [{"dice": 0.2}, {"cutmix": 1.0}, {"scale": 0.5}])
def test_a_setting_without_effect_is_refused(setting, drawn, tmp_path):
    with pytest.raises(UsageError, match=r"--[\w-]+ has no effect where the task is to detect"):
        train(drawn, tmp_path / "run", TrainConfig(**SETTINGS | setting))
    assert not (tmp_path / "run").exists()


def test_a_validation_split_without_a_box_is_refused_before_training(tmp_path):
    folder = make_box_table(tmp_path / "drawn", {"train": 4, "val": 2})
    table = folder / "boxes.csv"
    lines = [line if "val" not in line else f"{line.split(',')[0]},,,,,,val" for line in table.read_text().splitlines()]
    table.write_text("\n".join(dict.fromkeys(lines)) + "\n")
    with pytest.raises(DataError, match=r"has no boxes of any class, so no model could be chosen"):
        train(folder, tmp_path / "run", TrainConfig(**SETTINGS))
