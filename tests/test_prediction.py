"""Predictions come in order, in the photo's own pixels, and through the very pixels that training saw."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.checkpoint import Manifest, save_model
from pellucid.data.cache import decode
from pellucid.data.dataset import open_dataset
from pellucid.errors import UsageError
from pellucid.models.base import build_model
from pellucid.prediction import list_images, load, predict
from pellucid.preprocess import Preprocess

PREPROCESS = Preprocess((32, 32), "crop", 3, (0.4,) * 3, (0.25,) * 3, 0.875)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_model(path, build_model("net", 3), Manifest("classify", ("bars", "columns", "disc"), PREPROCESS))
    return path


def test_the_predictor_sees_the_bits_that_the_loader_sees(model, tmp_path):
    """Odd sizes, grey, 16 bits, a turned photo: network pixels and logits are equal to the last bit."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "odd"
    for place, (height, width) in enumerate([(33, 61), (200, 47), (32, 32), (5, 300)]):
        target = folder / "train" / ("disc" if place % 2 else "bars") / f"{place}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(target)
    grey = Image.fromarray(generator.integers(0, 256, (40, 50), dtype=np.uint8))
    grey.save(folder / "train" / "disc" / "grey.png")
    exif = Image.Exif()
    exif[274] = 6
    grey.convert("RGB").save(folder / "train" / "disc" / "turned.jpg", exif=exif)
    dataset = open_dataset(folder, val=0, test=0)
    decoded = decode(dataset, "train", PREPROCESS, dataset.digests())
    predictor = load(model)
    stored = torch.from_numpy(decoded.pixels.take(range(len(decoded.records)))).permute(0, 3, 1, 2)
    expected = predictor.decoded(stored)["probs"]
    for place, record in enumerate(decoded.records):
        photo = dataset.image(record).pixels
        assert np.array_equal(PREPROCESS.pixels(photo), decoded.pixels.take([place])[0])
    found = predictor([dataset.image(record).pixels for record in decoded.records])
    assert [prediction.probs for prediction in found] == [tuple(row) for row in expected.tolist()]


def test_order_is_kept_over_batches_and_errors(model, image_folder, tmp_path):
    paths = sorted(image_folder.rglob("*.png"))
    broken = tmp_path / "broken.png"
    broken.write_bytes(paths[0].read_bytes()[:60])
    given = [*paths[:5], broken, *paths[5:20], tmp_path / "none.png"]
    found = list(predict(model, given, batch=4))
    assert [result.image for result in found] == [str(path) for path in given]
    assert [place for place, result in enumerate(found) if result.error] == [5, 21]
    alone = next(iter(predict(model, [paths[7]])))
    assert found[8].prediction.probs == pytest.approx(alone.prediction.probs, abs=1e-6)


def test_no_photo_no_prediction(model):
    assert load(model)([]) == []


def test_what_is_meant_by_files_folders_globs_and_lists(image_folder):
    everything = sorted(str(path) for path in image_folder.rglob("*.png"))
    assert list_images([str(image_folder)], io.StringIO()) == everything
    assert list_images([str(image_folder / "*" / "*.png")], io.StringIO()) == everything
    assert list_images(["-"], io.StringIO("\n".join(everything) + "\r\n\n")) == everything
    assert list_images(["named.whatever"], io.StringIO()) == ["named.whatever"]
    with pytest.raises(UsageError, match="No image in"):
        list_images([str(image_folder / "*.tiff")], io.StringIO())
