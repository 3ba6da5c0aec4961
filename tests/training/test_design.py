"""What is chosen before training from a glance at the images, and what of it can be given instead."""

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.config import TrainConfig
from pellucid.data.cache import decode
from pellucid.data.dataset import open_dataset
from pellucid.errors import DataError, UsageError
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks import classify
from pellucid.tasks.classify import Classify
from pellucid.training import design
from pellucid.training.design import Draft, Look, draft, look, settle, with_statistics
from pellucid.training.start import Origin

PREPROCESS = Preprocess((8, 8), "stretch", 3, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(autouse=True)
def measured(monkeypatch) -> list:
    """A device whose precision is known; what was measured."""
    asked = []

    def fast_precision(device):
        asked.append(device)
        return "bf16", 2.0

    monkeypatch.setattr(design, "fast_precision", fast_precision)
    return asked


def opened(folder):
    return open_dataset(folder, val=0, test=0)


def drafted(dataset, settings=None, origin=None, seconds=None) -> Draft:
    return draft(dataset, Classify(dataset.classes), settings or TrainConfig(), origin, seconds)


def test_a_look_at_drawn_images(image_folder, make_image_folder, tmp_path):
    assert look(opened(image_folder)) == Look(32, True, 3)
    make_image_folder(image_folder, classes=("odd",), per_class=9, size=48)
    assert look(opened(image_folder)) == Look(32, False, 3)
    for path in image_folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert look(opened(image_folder), most=1000).channels == 1


def test_a_look_leaves_out_what_cannot_be_read(image_folder):
    paths = sorted(image_folder.rglob("*.png"))
    for path in paths[1:]:
        path.write_bytes(b"no image")
    assert look(opened(image_folder)) == Look(32, True, 3)
    paths[0].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"None of 36 images looked at .* See `pellucid check`"):
        look(opened(image_folder))


def test_small_images_get_the_small_network_at_their_own_size(image_folder):
    found = drafted(opened(image_folder))
    assert found.architecture == {"name": "compact", "in_channels": 3, "side": 32, "width": 32}
    assert (found.settings.size, found.settings.batch, found.settings.precision) == (32, 8, "bf16")
    assert found.preprocess == dataclasses.replace(PREPROCESS, size=(32, 32))
    assert set(found.reasons) == {"threads", "precision", "model", "size", "batch"}
    assert "typically 32 px" in found.reasons["model"]


def test_many_images_get_a_wider_network(image_folder, monkeypatch):
    monkeypatch.setattr(classify, "MANY", 36)
    assert drafted(opened(image_folder)).architecture["width"] == 64
    assert "width" not in drafted(opened(image_folder), TrainConfig(model="resnet20")).architecture


def test_large_photos_get_a_residual_network_and_their_centre(make_image_folder):
    folder = make_image_folder(per_class=4, size=90)
    make_image_folder(folder, classes=("odd",), per_class=4, size=70)
    found = drafted(opened(folder))
    assert found.architecture == {"name": "resnet18", "in_channels": 3}
    assert (found.preprocess.size, found.preprocess.rule, found.preprocess.crop) == ((224, 224), "crop", 0.875)


def test_what_is_given_is_taken_and_has_no_reason(image_folder):
    given = TrainConfig(model="resnet20", size=40, batch=6, accumulate=3, threads=1, precision="fp32")
    found = drafted(opened(image_folder), given)
    assert found.settings == given
    assert found.reasons == {}
    assert found.preprocess.size == (40, 40)


@pytest.mark.parametrize("accumulate", [1, 3, 7, 64])
def test_a_derived_batch_can_be_accumulated(image_folder, accumulate):
    batch = drafted(opened(image_folder), TrainConfig(accumulate=accumulate)).settings.batch
    assert batch % accumulate == 0
    assert batch >= accumulate


def test_a_network_of_one_size_is_given_no_other(image_folder):
    dataset = opened(image_folder)
    assert drafted(dataset, TrainConfig(model="net")).settings.size == 32
    with pytest.raises(UsageError, match=r"--size is 48, but net takes 32 only\. Leave --size out"):
        drafted(dataset, TrainConfig(model="net", size=48))


def test_precision_is_measured_on_the_device_that_trains(image_folder, measured, monkeypatch):
    monkeypatch.setattr(design, "best_device", lambda wanted: torch.device("cuda" if wanted is None else wanted))
    drafted(opened(image_folder))
    drafted(opened(image_folder), TrainConfig(device="cpu"))
    drafted(opened(image_folder), TrainConfig(precision="fp32"))
    assert measured == [torch.device("cuda"), torch.device("cpu")]


@pytest.fixture
def origin() -> Origin:
    model = build_model("net", 7)
    return Origin("old.safetensors", model.architecture, dataclasses.replace(PREPROCESS, size=(32, 32)), {})


def test_weights_bring_their_network_and_input(image_folder, origin):
    found = drafted(opened(image_folder), TrainConfig(weights="old"), origin)
    assert found.architecture == {"name": "net", "in_channels": 3}  # the classes are the data's
    assert found.preprocess == origin.preprocess
    assert "of these weights" in found.reasons["model"]
    with pytest.raises(UsageError, match="belongs to 'net', not to --model compact"):
        drafted(opened(image_folder), TrainConfig(weights="old", model="compact"), origin)
    with pytest.raises(UsageError, match="net takes 32 only"):
        drafted(opened(image_folder), TrainConfig(weights="old", size=40), origin)


def test_reasons_are_given_only_for_what_was_derived(image_folder, origin):
    wide = dataclasses.replace(origin, architecture=build_model("resnet20", 7).architecture)
    found = drafted(opened(image_folder), TrainConfig(weights="old", size=40, model="resnet20"), wide)
    assert found.preprocess.size == (40, 40)
    assert not {"size", "model"} & set(found.reasons)


def test_minutes_choose_the_network_by_measured_speed(image_folder, monkeypatch):
    speeds = iter([1e6, 1e6, 1e6, 1.0])
    monkeypatch.setattr(design, "measure_rate", lambda *_arguments: next(speeds))
    found = drafted(opened(image_folder), TrainConfig(minutes=1), seconds=50.0)
    assert found.architecture == {"name": "compact", "in_channels": 3, "width": 32, "side": 32}
    assert "images/s measured" in found.reasons["model"]
    assert found.settings.batch == 8


def test_statistics_are_those_of_the_pixels(image_folder):
    dataset = opened(image_folder)
    for cap in (None, 0):
        train = decode(dataset, "train", PREPROCESS, dataset.digests(), cap=cap)
        pixels = train.pixels.take(range(36)).reshape(-1, 3) / 255
        found = with_statistics(PREPROCESS, train)
        assert found.mean == pytest.approx(pixels.mean(0), abs=6e-5)
        assert found.std == pytest.approx(pixels.std(0), abs=6e-5)
        assert found.size == PREPROCESS.size
        some = with_statistics(PREPROCESS, train, most=4)
        few = train.pixels.take([0, 9, 18, 27]).reshape(-1, 3) / 255
        assert some.mean == pytest.approx(few.mean(0), abs=6e-5)


def test_a_channel_that_never_varies_can_be_divided_by(image_folder):
    for path in image_folder.rglob("*.png"):
        pixels = np.array(Image.open(path))
        pixels[:, :, 1] = 200
        Image.fromarray(pixels).save(path)
    dataset = opened(image_folder)
    found = with_statistics(PREPROCESS, decode(dataset, "train", PREPROCESS, dataset.digests()))
    assert (found.mean[1], found.std[1]) == (0.7843, 1.0)


def settled(settings: TrainConfig, pace=None, images: int = 1000):
    given = Draft({}, PREPROCESS, dataclasses.replace(settings, size=32), {"model": "compact: so"})
    return settle(given, Classify(("a", "b")), PREPROCESS, images, build_model("net", 2), pace=pace)


def test_the_length_of_a_run():
    given = settled(TrainConfig(batch=64, epochs=3))
    assert (given.steps, given.seconds) == (47, None)
    assert "epochs" not in given.reasons
    derived = settled(TrainConfig(batch=64), images=60_000)
    assert derived.settings.epochs == 24  # twice the 12 that are wanted where minutes count
    assert derived.steps == 22_500  # 24 x 60,000 / 64
    assert settled(TrainConfig(batch=64)).settings.epochs == 100
    timed = settled(TrainConfig(batch=64, minutes=2), pace=(100.0, 320.0))
    assert (timed.steps, timed.seconds, timed.settings.epochs) == (500, 100.0, None)
    assert timed.reasons["epochs"].startswith("32.0: 320 images/s measured")
    assert timed.reasons["model"] == "compact: so"
    assert settled(TrainConfig(batch=64, minutes=2), pace=(1.0, 1.0)).steps == 10
