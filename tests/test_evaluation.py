"""An evaluation judges what the names say, whatever order a dataset holds its classes in."""

import json

import numpy as np
import pytest
import torch

from pellucid.checkpoint import Manifest, save_model
from pellucid.config import TrainConfig
from pellucid.data.dataset import open_dataset
from pellucid.errors import DataError, UsageError
from pellucid.evaluation import evaluate, match_classes
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.training.run import train

PREPROCESS = Preprocess((32, 32), "stretch", 3, (0.4,) * 3, (0.25,) * 3)


def model_file(path, classes, seed=0, task="classify"):
    torch.manual_seed(seed)
    save_model(path, build_model("net", len(classes)), Manifest(task, classes, PREPROCESS))
    return path


@pytest.fixture
def tested(make_image_folder):
    return make_image_folder(splits={"train": 4, "test": 10})


def test_labels_follow_the_names_of_the_model(tested, tmp_path):
    """The same weights under class names in another order make the same mistakes under the other names."""
    straight = evaluate(model_file(tmp_path / "a.safetensors", ("bars", "columns", "disc")), tested).to_json()
    turned = evaluate(model_file(tmp_path / "b.safetensors", ("disc", "bars", "columns")), tested).to_json()
    matrix, other = np.array(straight["confusion"]), np.array(turned["confusion"])
    # Row of a target moves with its name; the columns are outputs of the same network and stay.
    assert np.array_equal(other, matrix[[2, 0, 1]])


def test_a_model_may_know_more_classes_than_the_data_has(tested, tmp_path):
    row = evaluate(model_file(tmp_path / "m.safetensors", ("disc", "ring", "bars", "columns")), tested).to_json()
    assert {entry["class"]: entry["count"] for entry in row["per_class"]} == {
        "disc": 10,
        "ring": 0,
        "bars": 10,
        "columns": 10,
    }


def test_names_that_are_numbers_match_by_position(tested):
    dataset = open_dataset(tested).renamed(("0", "1", "2"), lambda label: label)
    assert match_classes(dataset, Classify(("x", "y", "z"))).classes == ("x", "y", "z")


def test_an_unknown_class_is_named(tested, tmp_path):
    with pytest.raises(UsageError, match=r"does not know: disc\. The model knows: bars, columns, square\."):
        evaluate(model_file(tmp_path / "m.safetensors", ("bars", "columns", "square")), tested)


def test_another_task_is_refused(tested, tmp_path):
    predictor_path = model_file(tmp_path / "m.safetensors", ("bars", "columns", "disc"))
    import dataclasses

    from pellucid.evaluation import judge
    from pellucid.prediction import load

    dataset = dataclasses.replace(open_dataset(tested), task="segment")
    with pytest.raises(UsageError, match=r"The model is for 'classify'; .* is labelled for 'segment'"):
        judge(load(predictor_path), dataset, "test")


def test_two_models_are_compared_image_by_image(tested, tmp_path):
    first = model_file(tmp_path / "a.safetensors", ("bars", "columns", "disc"))
    second = model_file(tmp_path / "b.safetensors", ("bars", "columns", "disc"), seed=1)
    row = evaluate(first, tested, against=second).to_json()
    found = row["comparison"]
    assert found["difference"] == pytest.approx(found["value"] - found["against"])
    assert found["interval"][0] <= found["difference"] <= found["interval"][1]
    assert 0 < found["p"] <= 1
    json.dumps(row, allow_nan=False)


def test_unreadable_images_are_counted_not_judged(tested, tmp_path):
    for path in sorted((tested / "test" / "disc").glob("*.png"))[:3]:
        path.write_bytes(b"broken")
    row = evaluate(model_file(tmp_path / "m.safetensors", ("bars", "columns", "disc")), tested).to_json()
    assert (row["count"], row["refused"]) == (27, 3)
    for path in (tested / "test").rglob("*.png"):
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match="No image of the 'test' split"):
        evaluate(tmp_path / "m.safetensors", tested)


@pytest.mark.parametrize("cut", [{"split_seed": 5}, {"test": 0.25, "val": 0.2}, {"seed": 9}])
def test_what_training_cut_off_is_what_is_judged(cut, image_folder, tmp_path):
    """No image that a model has learnt from may be in the test that its file is judged by."""
    settings = TrainConfig(model="net", epochs=1, threads=1, precision="fp32", **cut)
    metrics = train(image_folder, tmp_path / "run", settings).metrics["test"]
    again = evaluate(tmp_path / "run" / "model.safetensors", image_folder).to_json()
    assert again["count"] == metrics["count"]
    assert again["metrics"] == metrics["metrics"]


def test_models_of_other_cuts_are_not_compared(image_folder, tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        settings = TrainConfig(model="net", epochs=1, threads=1, precision="fp32", split_seed=seed)
        train(image_folder, tmp_path / name, settings)
    files = [tmp_path / name / "model.safetensors" for name in "ab"]
    with pytest.raises(UsageError, match="trained on other cuts of the data"):
        evaluate(files[0], image_folder, against=files[1])
