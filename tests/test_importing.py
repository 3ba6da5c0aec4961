"""Foreign weights become model files: strictly, and judged exactly as published."""

import json

import pytest
import torch

from pellucid.checkpoint import load_model
from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.importing import class_names, import_weights, published_preprocess
from pellucid.models.base import build_model
from pellucid.prediction import load

CIFAR = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"


@pytest.mark.parametrize(
    ("file", "correct"), [("resnet20-12fca82f.th", 455), ("resnet56-4bfd9763.th", 470)], ids=["resnet20", "resnet56"]
)
def test_reference_weights_by_the_command_line(file, correct, shared, tmp_path, capsys):
    out = tmp_path / "model.safetensors"
    weights = shared / "weights" / "cifar10-resnet-akamaster" / file
    words = ["import", weights, "--model", file.split("-")[0], "--classes", CIFAR, "--out", out]
    assert main([*map(str, words), "--mean", "0.485,0.456,0.406", "--std", "0.229", "0.224", "0.225"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(out), str(shared / "cifar10-bin"), "--split", "test", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["correct"], row["count"]) == (correct, 500)
    assert row["metrics"]["top5"] == 1.0


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    torch.save(build_model("net", 3).state_dict(), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_the_model_file_holds_classes_and_preprocess(weights, tmp_path):
    path = import_weights(
        weights, model="net", classes=["a", "b", "c"], mean=(0.5,) * 3, std=(0.2,) * 3, out=tmp_path / "m.safetensors"
    )
    predictor = load(path)
    assert predictor.task.classes == ("a", "b", "c")
    assert predictor.manifest.preprocess.size == (32, 32)
    assert predictor.manifest.origin["imported"] == "net.pt"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model": None}, "--model says which network"),
        ({"classes": ()}, "--classes gives the names"),
        ({"classes": ["a,b,a"]}, "names 'a' twice"),
        ({"mean": ()}, "--mean and --std are part of a network"),
        ({"model": "nett"}, "No model named 'nett'. Did you mean 'net'?"),
        ({"out": "."}, "is a folder"),
    ],
)
def test_what_is_missing_is_asked_for(weights, more, message):
    given = {"model": "net", "classes": ["a,b,c"], "mean": (0.5,) * 3, "std": (0.2,) * 3} | more
    with pytest.raises(UsageError, match=None) as raised:
        import_weights(weights, **given)
    assert message in str(raised.value)


def test_class_names_from_words_commas_and_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("hot dog\nnot hot dog\n\n")
    assert class_names(["a,b, c"]) == class_names(["a", "b", "c"]) == class_names(["a,", "b,", "c"]) == ("a", "b", "c")
    assert class_names([str(tmp_path / "names.txt")]) == ("hot dog", "not hot dog")


def test_published_weights_carry_their_preprocess():
    preprocess = published_preprocess("resnet18-imagenet")
    assert (preprocess.size, preprocess.rule, preprocess.crop) == ((224, 224), "crop", 0.875)
    assert preprocess.frame(480, 640).scale[0] == pytest.approx(256 / 480)


@pytest.mark.parametrize(("name", "rule"), [("fcn_resnet50-coco", "scale"), ("vgg16-imagenet", "crop")])
def test_published_segmenters_are_shown_whole_photos(name, rule):
    assert published_preprocess(name).rule == rule


@pytest.mark.parametrize(("model", "rule"), [("fcn_compact", "scale"), ("yolo_n", "letterbox"), ("net", "stretch")])
def test_foreign_weights_see_photos_as_their_task_does(model, rule, tmp_path):
    torch.save(build_model(model, 2).state_dict(), tmp_path / "w.pt")
    given = {"model": model, "classes": ["a,b"], "mean": (0.5,) * 3, "std": (0.25,) * 3}
    out = import_weights(tmp_path / "w.pt", **given, out=tmp_path / "m.safetensors")
    assert load_model(out)[1].preprocess.rule == rule
    if model != "net":
        with pytest.raises(UsageError, match="--crop has no effect on a network made to"):
            import_weights(tmp_path / "w.pt", **given, crop=0.9)
