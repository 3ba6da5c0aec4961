"""From files to the account of one number, and its picture."""

import dataclasses
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.checkpoint import Manifest, save_model
from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.image import read_image
from pellucid.inspection.explaining import explain_file, map_file
from pellucid.inspection.heatmaps import METHODS
from pellucid.inspection.picture import account_svg, squares
from pellucid.inspection.writing import write_explanation
from pellucid.models.base import build_model
from pellucid.network import load_predictor
from pellucid.preprocess import Preprocess
from tests.inspection.networks import unsettled

CLASSES = ("bee", "fly", "wasp")
MODELS = {
    "classify": ("compact", {"width": 4}, "stretch"),
    "segment": ("fcn_compact", {"width": 4}, "scale"),
    "detect": ("yolo_n", {"share": 1 / 4}, "letterbox"),
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def make_model(tmp_path: Path):
    def make(task: str) -> Path:
        torch.manual_seed(0)
        name, arguments, rule = MODELS[task]
        model = unsettled(build_model(name, 3, **arguments))
        preprocess = Preprocess((64, 64), rule, 3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
        save_model(tmp_path / "model", model, Manifest(task, CLASSES, preprocess, learnt={"threshold": 1e-4}))
        return tmp_path / "model"

    return make


@pytest.mark.parametrize(
    ("task", "target"),
    [
        ("classify", None),
        ("classify", "class:fly"),
        ("segment", None),
        ("segment", "pixel:3,50"),
        ("segment", "pixel:3,50:wasp"),
        ("detect", None),
        ("detect", "box:2"),
        ("detect", "box:2:right"),
    ],
)
def test_the_verb_prints_one_object(task, target, photo, make_model, capsys):
    flags = [] if target is None else ["--target", target]
    assert main(["explain", str(make_model(task)), str(photo), *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["badge"] == "EXACT"
    whole = found["input_contribution"] + found["bias_contribution"] + found["constant"]
    assert whole == pytest.approx(found["sum"], rel=1e-12)
    assert found["residual"] == pytest.approx(found["sum"] - found["logit"], abs=1e-12)
    assert found["sum"] == pytest.approx(found["logit"], rel=1e-4)
    assert sum(one["contribution"] for one in found["biases"]) == pytest.approx(found["bias_contribution"])


def test_the_class_is_the_predicted_one_and_its_logit_the_predictor_s(photo, make_model):
    path = make_model("classify")
    predictor = load_predictor(path, "cpu")
    pixels = read_image(photo).pixels
    logits = predictor.decoded(predictor.preprocess.pixels(pixels)[None])["logits"][0]
    found = explain_file(path, photo).account
    assert found.target == f"class:{CLASSES[logits.argmax()]}"
    assert found.logit == pytest.approx(logits.max(), rel=1e-5)
    contrast = explain_file(path, photo, "class:bee", "fly").account
    assert contrast.target == "class:bee against fly"
    assert contrast.logit == pytest.approx(logits[0] - logits[1], rel=1e-4)


def test_a_box_is_the_one_that_is_predicted(photo, make_model):
    """Its right side in network pixels is the predicted one in the photo's, at the scale of the letterbox."""
    path = make_model("detect")
    box = next(iter(load_predictor(path, "cpu")([read_image(photo).pixels]))).to_json()["boxes"][1]
    found = explain_file(path, photo, "box:1:right").account
    assert min(found.logit * 60 / 64, 60) == pytest.approx(box["xyxy"][2], rel=1e-4)
    score = explain_file(path, photo, "box:1").account
    assert 1 / (1 + np.exp(-score.logit)) == pytest.approx(box["score"], rel=1e-4)
    assert box["label"] in score.target


@pytest.mark.parametrize(
    ("task", "target", "versus", "message"),
    [
        ("classify", "box:0", None, "the task is to classify. Give class:NAME"),
        ("classify", "class:be", None, "No class is called 'be'. Did you mean 'bee'"),
        ("segment", "pixel:40,0", None, "Pixel 40,0 lies outside of a photo of 40 rows"),
        ("segment", "class:bee", None, "Give pixel:Y,X"),
        ("detect", "box:9999", None, "There is no box 9999"),
        ("detect", "box:0:middle", None, "the task is to detect"),
        ("detect", "box:0", "fly", "--versus compares classes"),
    ],
)
def test_a_target_that_cannot_be_meant_is_refused(task, target, versus, message, photo, make_model):
    with pytest.raises(UsageError, match=message):
        explain_file(make_model(task), photo, target, versus)


def test_squares_are_sums_of_their_pixels():
    pixels = np.arange(2 * 5 * 7, dtype=float).reshape(2, 5, 7)
    found = squares(pixels, 3)
    assert found.shape == (2, 3)
    assert found[0, 0] == pixels[:, :3, :3].sum()
    assert found[1, 2] == pixels[:, 3:, 6:].sum()
    assert found.sum() == pixels.sum()


def test_layers_are_printed_and_add_up(photo, make_model, capsys):
    assert main(["explain", str(make_model("classify")), str(photo), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for layer in found["layers"]:
        whole = layer["through"] + layer["around"] + layer["bias_contribution"] + found["constant"]
        assert whole == pytest.approx(found["logit"], rel=1e-4)
        assert layer["badge"] == "EXACT"
    assert found["layers"][0]["through"] == pytest.approx(found["input_contribution"], rel=1e-6)
    assert len(found["layers"][1]["positions"]) == 5


def test_pictures_say_what_the_account_says(photo, make_model, tmp_path):
    found = explain_file(make_model("classify"), photo)
    write_explanation(tmp_path / "why.png", found)
    height, width, _ = read_image(tmp_path / "why.png").pixels.shape
    assert width == 512
    assert height > 512  # with the legend
    write_explanation(tmp_path / "why.svg", found)
    root = ElementTree.parse(tmp_path / "why.svg").getroot()
    titles = [float(one.text) for one in root.iter("{http://www.w3.org/2000/svg}title") if one.text[0] in "+-"]
    assert len(titles) == 32 * 32
    assert sum(titles) == pytest.approx(found.account.input_contribution, abs=1e-5)
    write_explanation(tmp_path / "why.json", found)
    assert json.loads((tmp_path / "why.json").read_text()) == json.loads(json.dumps(found.to_json()))
    with pytest.raises(UsageError, match=r"written as \.html, \.png, \.svg or \.json"):
        write_explanation(tmp_path / "why.gif", found)


def test_a_name_of_a_class_cannot_break_the_svg(photo, make_model):
    found = explain_file(make_model("classify"), photo, "class:bee")
    odd = dataclasses.replace(found.account, target='class:<a & "b">')
    root = ElementTree.fromstring(account_svg(odd, found.pixels))
    assert root[0].text.startswith('class:<a & "b">')


@pytest.mark.parametrize("method", METHODS)
def test_a_map_has_its_trials_beside_it(method, photo, make_model, tmp_path, capsys):
    flags = ["--method", method, "--target", "class:fly", "--json"]
    assert main(["explain", str(make_model("classify")), str(photo), *flags, "--out", str(tmp_path / "map.png")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "class:fly"
    assert found["badge"] == ("MEASURED" if method == "occlusion" else "HEURISTIC")
    assert (found["layer"] is None) == (method in ("occlusion", "integrated-gradients"))
    assert (found["completeness"] is None) == (method != "integrated-gradients")
    assert found["trials"]["areas"].keys() == {"deletion", "random_deletion", "insertion", "random_insertion"}
    assert {one.split()[0] for one in found["trials"]["randomised"]} == {"upper", "all"}
    assert np.array(found["map"]).ndim == 2
    assert read_image(tmp_path / "map.png").pixels.shape[1] == 512
    write_explanation(tmp_path / "map.svg", map_file(make_model("classify"), photo, "class:fly", method=method))
    assert ElementTree.parse(tmp_path / "map.svg").getroot()[0].text.startswith("class:fly")


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_the_other_tasks_have_maps_too(task, photo, make_model, capsys):
    assert main(["explain", str(make_model(task)), str(photo), "--method", "grad-cam"]) == 0
    assert "HEURISTIC" in capsys.readouterr().out


@pytest.fixture
def truth(tmp_path, photo) -> Path:
    """A dataset that says that there are two bees and a fly in the photo."""
    folder = tmp_path / "marked"
    folder.mkdir()
    photo.rename(folder / "photo.png")
    rows = ["image,left,top,right,bottom,label", "photo.png,2,3,30,36,bee", "photo.png,31,2,58,20,fly"]
    for other in ("b.png", "c.png", "d.png"):
        Image.new("RGB", (60, 40)).save(folder / other)
        rows.append(f"{other},5,5,20,20,wasp")
    (folder / "boxes.csv").write_text("\n".join(rows))
    return folder


def test_with_the_truth_every_cell_has_its_lesson(truth, make_model, capsys):
    model = str(make_model("detect"))
    assert main(["explain", model, str(truth / "photo.png"), "--truth", str(truth), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["detection"]
    assert [one["label"] for one in found["objects"]] == ["bee", "fly"]
    assert found["objects"][0]["xyxy"] == pytest.approx([2, 3, 30, 36], abs=1e-3)
    assert found["loss"].keys() == {"class", "box"}
    assert all(set(row["lesson"]["terms"]) == {"class", "box"} for row in found["rows"])


def test_truth_that_says_nothing_of_the_photo_is_refused(truth, make_model, tmp_path):
    model = make_model("detect")
    Image.new("RGB", (60, 40)).save(tmp_path / "other.png")
    with pytest.raises(UsageError, match="no images are called"):
        explain_file(model, tmp_path / "other.png", truth=truth)
    with pytest.raises(UsageError, match="this model finds none"):
        explain_file(make_model("classify"), truth / "photo.png", truth=truth)


def test_truth_beside_a_map_is_refused(photo, make_model, capsys):
    assert main(["explain", str(make_model("detect")), str(photo), "--method", "grad-cam", "--truth", "x"]) == 2
    assert "--truth has no effect" in capsys.readouterr().err
