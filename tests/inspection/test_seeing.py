"""Effective fields, objects beside them, what the network sees, one number: from files and from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pellucid.checkpoint import Manifest, save_model
from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.image import read_image
from pellucid.inspection.effective import effective_field
from pellucid.inspection.numbers import number_of_file
from pellucid.inspection.seeing import fields_of
from pellucid.inspection.sees import what_the_network_sees, write_seen
from pellucid.models.base import build_model
from pellucid.network import load_predictor
from pellucid.preprocess import Preprocess
from tests.drawn import make_box_table, make_mask_folder
from tests.inspection.networks import unsettled

MODELS = {
    "classify": ("compact", {"width": 4}, "stretch"),
    "segment": ("fcn_compact", {"width": 12}, "scale"),
    "detect": ("yolo_n", {"share": 1 / 4}, "letterbox"),
}
CLASSES = {"classify": ("bee", "fly", "wasp"), "segment": ("background", "disc", "bar"), "detect": ("bar", "square")}


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
        model = unsettled(build_model(name, len(CLASSES[task]), **arguments))
        preprocess = Preprocess((64, 64), rule, 3, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
        manifest = Manifest(task, CLASSES[task], preprocess, learnt={"threshold": 1e-4})
        save_model(tmp_path / "model.safetensors", model, manifest)
        return tmp_path / "model.safetensors"

    return make


def uniform(*sizes: int) -> nn.Module:
    """Convolutions of ones, one channel, one after the other."""
    layers = [nn.Conv2d(1, 1, size, padding=size // 2, bias=False) for size in sizes]
    for layer in layers:
        nn.init.ones_(layer.weight)
    return nn.Sequential(*layers)


def test_the_effective_field_of_means_is_their_convolution():
    """Of n kernels of ones, of side k: σ² = n(k² - 1)/12 along each axis, whatever the images are."""
    found = effective_field(uniform(3, 3, 3, 5), iter(torch.randn(4, 1, 1, 31, 31)), "3")
    profile = np.ones(1)
    for size in (3, 3, 3, 5):
        profile = np.convolve(profile, np.ones(size))
    expected = np.zeros((31, 31))
    expected[10:21, 10:21] = np.outer(profile, profile)
    np.testing.assert_allclose(found.share, expected / expected.sum(), rtol=1e-5, atol=1e-9)
    assert (found.at, found.images, found.centre) == ((15, 15), 4, (pytest.approx(15), pytest.approx(15)))
    assert found.sigma == (pytest.approx((3 * 8 / 12 + 24 / 12) ** 0.5, rel=1e-5),) * 2
    assert found.side(1.0) == 11
    assert found.side() == next(side for side in range(1, 12, 2) if _held(expected, side) >= 0.95 * expected.sum())


def _held(plane: np.ndarray, side: int) -> float:
    middle, half = 15, side // 2
    return float(plane[middle - half : middle + half + 1, middle - half : middle + half + 1].sum())


def test_a_dead_unit_has_no_effective_field():
    model = uniform(3)
    nn.init.zeros_(model[0].weight)
    with pytest.raises(UsageError, match="No pixel of 1 images changes '0' at \\(4, 4\\): it is dead"):
        effective_field(model, [torch.ones(1, 1, 9, 9)], "0")
    for name, at, message in (("9", None, "No operation is called '9'"), ("0", (99, 0), "no unit \\(99, 0\\)")):
        with pytest.raises(UsageError, match=message):
            effective_field(model, [torch.ones(1, 1, 9, 9)], name, at)


@pytest.mark.parametrize("task", ["segment", "detect"])
def test_fields_stand_beside_the_sizes_of_objects(task, make_model, tmp_path):
    """Shares counted by hand from the labels."""
    splits = {"train": 8, "val": 2, "test": 2}
    data = make_mask_folder(tmp_path / "d", splits) if task == "segment" else make_box_table(tmp_path / "d", splits)
    found = fields_of(str(make_model(task)), data=str(data), images=2)
    assert all(one.effective is not None for one in found.looked)
    rows = {one.name: one for one in found.compared}
    assert set(rows) == {one.field.name for one in found.looked}
    sides = _sides(task, data)
    for one in found.looked:
        row = rows[one.field.name]
        assert row.objects == len(sides)
        assert row.median == np.median(sides)
        assert row.larger == (sides > float(one.field.rows.size)).mean()
        assert row.larger_effective == (sides > one.effective.side()).mean()
        assert 0 < one.effective.side() <= 2 * max(one.mask.shape)


def _sides(task: str, data: Path) -> np.ndarray:
    if task == "detect":
        rows = [line.split(",") for line in (data / "boxes.csv").read_text().splitlines()[1:]]
        boxes = np.array([[float(cell) for cell in row[2:6]] for row in rows if row[6] == "train"])
        return (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    found = []
    for path in sorted((data / "train" / "masks").glob("*.png")):
        mask = np.asarray(Image.open(path))
        for label in set(np.unique(mask).tolist()) - {0}:
            rows, columns = np.nonzero(mask == label)
            found.append(max(np.ptp(rows), np.ptp(columns)) + 1)
    return np.array(found)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_field_is_drawn_on_the_photo(suffix, make_model, photo, tmp_path, capsys):
    model, out = make_model("segment"), tmp_path / f"field.{suffix}"
    words = ["field", str(model), "--image", str(photo), "--operation", "score", "--at", "10", "20", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    (unit,) = json.loads(capsys.readouterr().out)["units"]
    assert unit["at"] == [10, 20]
    assert unit["effective"]["images"] == 1
    left, top, right, bottom = unit["box"]
    assert left <= 20 < right
    assert top <= 10 < bottom
    if suffix == "png":
        assert min(read_image(out).pixels.shape[:2]) > 300
    else:
        assert "score, unit 10,20, sees" in out.read_text()


def test_the_verb_lists_every_operation(capsys):
    assert main(["field", "resnet18"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("resnet18 at 224x224: what a unit sees")
    assert lines[2].split() == ["conv1", "conv2d", "112x112", "7", "2", "0"]
    assert "layer4.1.relu2, unit 3,3, sees 0..224 across" in lines[-1]
    assert next(line for line in lines if line.startswith("fc ")).split() == ["fc", "linear", "1x1", "all"]
    with pytest.raises(UsageError, match="resnet18 has no weights"):
        fields_of("resnet18", data="somewhere")


@pytest.mark.parametrize("task", ["classify", "segment", "detect"])
def test_what_the_network_sees_is_what_it_is_given(task, make_model, photo, tmp_path):
    model = make_model(task)
    seen = what_the_network_sees(model, photo)
    predictor = load_predictor(model, "cpu")
    given = predictor.preprocess.normalise(torch.from_numpy(seen.pixels).permute(2, 0, 1)[None])
    assert (seen.pixels == predictor.preprocess.pixels(read_image(photo).pixels)).all()
    for at, channel in enumerate(seen.channels):
        assert channel.given_mean == pytest.approx(float(given[0, at].mean()), abs=1e-5)
        assert channel.given_mean == pytest.approx(
            (channel.mean - channel.trained_mean) / channel.trained_std, abs=1e-4
        )
        assert channel.given_std == pytest.approx(channel.std / channel.trained_std, rel=1e-4)
    write_seen(tmp_path / "sees.png", seen)
    drawn = read_image(tmp_path / "sees.png").pixels
    factor = drawn.shape[1] // seen.pixels.shape[1]
    height = seen.pixels.shape[0] * factor
    assert (drawn[:height][::factor, ::factor] == seen.pixels).all()  # the very bytes
    with pytest.raises(UsageError, match="is drawn as"):
        write_seen(tmp_path / "sees.jpg", seen)


def test_the_verb_draws_what_is_seen(make_model, photo, tmp_path, capsys):
    out = tmp_path / "input.png"
    assert main(["health", str(make_model("detect")), "--sees", str(photo), "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("photo.png as 64x64 (letterbox)")
    assert lines[1].startswith("red 0.")
    assert out.is_file()


@pytest.mark.parametrize(
    ("task", "operation", "at"),
    [("classify", "units.0.conv", "1,5,6"), ("segment", "score", "2,3,4"), ("detect", "heads.0.logits", "1,2,3")],
)
@pytest.mark.parametrize("what", ["output", "gradient", "weight"])
def test_one_number_of_a_model_file(task, operation, at, what, make_model, photo):
    name = operation
    if task == "classify":
        name = next(n for n, m in build_model("compact", 3, width=4).named_modules() if isinstance(m, nn.Conv2d))
    place = "1,2,0,0" if what == "weight" else at
    if what == "weight" and task == "segment":
        place = "1,0,0,0"
    found = number_of_file(make_model(task), photo, name, place, what=what)
    assert found.badge == "EXACT"


def test_the_verb_lists_the_terms(make_model, photo, capsys):
    model = make_model("segment")
    words = ["terms", str(model), str(photo), "score", "2,3,4"]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["badge"] == "EXACT"
    assert len(found["terms"]) == found["count"]
    assert main([*words, "--gradient", "--target", "pixel:3,4:disc"]) == 0
    assert capsys.readouterr().out.startswith("∂score[2, 3, 4]")
    assert main(["terms", str(model), str(photo), "score", "2.3"]) != 0
