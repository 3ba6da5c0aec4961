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
from pellucid.inspection.explaining import explain_file
from pellucid.inspection.picture import squares, write_picture
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


def test_pictures_say_what_the_account_says(photo, make_model, tmp_path):
    found = explain_file(make_model("classify"), photo)
    write_picture(tmp_path / "why.png", found.account, found.pixels)
    height, width, _ = read_image(tmp_path / "why.png").pixels.shape
    assert width == 512
    assert height > 512  # with the legend
    write_picture(tmp_path / "why.svg", found.account, found.pixels)
    root = ElementTree.parse(tmp_path / "why.svg").getroot()
    titles = [float(one.text) for one in root.iter("{http://www.w3.org/2000/svg}title") if one.text[0] in "+-"]
    assert len(titles) == 32 * 32
    assert sum(titles) == pytest.approx(found.account.input_contribution, abs=1e-5)
    with pytest.raises(UsageError, match=r"drawn as \.png or \.svg"):
        write_picture(tmp_path / "why.gif", found.account, found.pixels)


def test_a_name_of_a_class_cannot_break_the_svg(photo, make_model, tmp_path):
    found = explain_file(make_model("classify"), photo, "class:bee")
    odd = dataclasses.replace(found.account, target='class:<a & "b">')
    write_picture(tmp_path / "why.svg", odd, found.pixels)
    root = ElementTree.parse(tmp_path / "why.svg").getroot()
    assert root[0].text.startswith('class:<a & "b">')
