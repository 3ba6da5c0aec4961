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
from pellucid.video import VideoWriter, read_frames

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
    expected = predictor.decoded(decoded.pixels.take(range(len(decoded.records))))["probs"]
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
    found = list(predict(model, given))
    assert [result.image for result in found] == [str(path) for path in given]
    assert [place for place, result in enumerate(found) if result.error] == [5, 21]
    alone = next(iter(predict(model, [paths[7]])))
    assert found[8].prediction.probs == pytest.approx(alone.prediction.probs, abs=1e-6)


def test_videos_and_images_in_order_frame_by_frame(model, image_folder, tmp_path):
    """A video's frames are predicted as the same pixels in a file are; damage is said where it comes."""
    clip, image = tmp_path / "clip.mp4", sorted(image_folder.rglob("*.png"))[0]
    with VideoWriter(clip) as writer:
        for number in range(7):
            writer.add(np.full((40, 60, 3), 30 * number, np.uint8), 0.2 * number)
    (tmp_path / "broken.mp4").write_text("nothing")
    found = list(predict(model, [image, clip, tmp_path / "broken.mp4", image], every=3))
    assert [one.place for one in found] == [
        {"image": str(image)},
        *[
            {"image": str(clip), "frame": number, "seconds": pytest.approx(0.2 * number, abs=1e-3)}
            for number in (0, 3, 6)
        ],
        {"image": str(tmp_path / "broken.mp4")},
        {"image": str(image)},
    ]
    assert [one.error is None for one in found] == [True, True, True, True, False, True]
    frames = [frame.pixels for frame in read_frames(clip, 3)]
    expected = [prediction.probs for prediction in load(model)(frames)]
    for one, probs in zip(found[1:4], expected, strict=True):
        assert one.prediction.probs == pytest.approx(probs, abs=1e-6)
    assert found[2].to_json().keys() == {"image", "frame", "seconds", "prediction", "error"}


def test_settings_without_meaning_are_refused(model, image_folder):
    images = [str(image_folder)]
    for setting in ({"threshold": 0.5}, {"agnostic": True}, {"tiles": True}):
        with pytest.raises(UsageError, match="has no effect where the task is to classify"):
            next(predict(model, list_images(images, io.StringIO()), **setting))
    with pytest.raises(UsageError, match="give 1 or more"):
        next(predict(model, images, every=0))


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
