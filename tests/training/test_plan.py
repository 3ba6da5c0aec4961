"""What was left open is filled in, with a reason, and what was given is kept."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.config import TrainConfig
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.tasks.segment import Segment
from pellucid.training.plan import Plan, augment_of, epochs_for, fill_settings, steps_for

SMALL, LARGE = 100_000, 25_000_000
OPEN = {"optimizer", "lr", "momentum", "weight_decay", "ema", "shift", "zoom", "smoothing", "color"}
TASK = Classify(("a", "b"))


def filled(parameters=SMALL, steps=5000, **given) -> TrainConfig:
    return fill_settings(TrainConfig(**{"batch": 128, "size": 32} | given), TASK, parameters=parameters, steps=steps)[0]


@pytest.mark.parametrize("parameters", [SMALL, LARGE])
def test_everything_open_is_filled_with_its_reason(parameters):
    asked = TrainConfig(batch=128, size=32)
    settings, reasons = fill_settings(asked, TASK, parameters=parameters, steps=5000)
    assert set(reasons) == OPEN
    for name in OPEN:
        value = getattr(settings, name)
        assert value is not None
        assert reasons[name].startswith(f"{value:g}" if isinstance(value, float) else str(value))
    changed = {name for name, value in settings.to_json().items() if value != asked.to_json()[name]}
    assert changed == OPEN


@pytest.mark.parametrize("parameters", [SMALL, LARGE])
def test_what_is_given_stays(parameters):
    given = {"optimizer": "sgd", "lr": 0.0, "momentum": 0.0, "weight_decay": 0.0, "ema": 0.0, "shift": 0.0, "zoom": 0.9}
    given |= {"smoothing": 0.0, "color": 0.1}
    settings, reasons = fill_settings(TrainConfig(batch=128, size=32, **given), TASK, parameters=parameters, steps=5000)
    assert {name: getattr(settings, name) for name in given} == given
    assert reasons == {}


def test_the_optimizer_follows_size_and_weights():
    assert filled().optimizer == "muon"
    assert filled(LARGE).optimizer == "sgd"
    assert filled(weights="resnet18-imagenet").optimizer == "sgd"
    assert filled(optimizer="adamw").momentum is None


def test_the_rate_of_sgd_follows_batch_and_weights():
    assert filled(LARGE, batch=256).lr == pytest.approx(0.2)
    assert filled(LARGE, batch=32).lr == pytest.approx(0.025)
    assert filled(LARGE, batch=32, weights="x").lr == pytest.approx(0.005)
    assert filled(SMALL, batch=32).lr == filled(SMALL, batch=256).lr


def test_averaging_and_augmentation_follow_steps_and_size():
    assert filled(steps=999).ema == 0
    assert filled(steps=1000).ema == pytest.approx(0.9)
    assert filled(steps=50_000).ema == pytest.approx(0.998)
    assert (filled(size=64).shift, filled(size=64).zoom) == (pytest.approx(1 / 28), 1.0)
    assert (filled(size=65).shift, filled(size=65).zoom) == (0.0, 0.6)


@given(st.integers(1, 10**7))
def test_more_images_need_fewer_passes_and_more_updates(images):
    task = Classify(("a", "b"))
    assert 12 <= epochs_for(images, task) <= 100
    assert epochs_for(images + 1, task) <= epochs_for(images, task)
    assert epochs_for(2 * images, task) * 2 * images > epochs_for(images, task) * images
    assert epochs_for(60_000, task) == 12
    assert 2 * epochs_for(images, Segment(("a", "b"))) == pytest.approx(epochs_for(images, task), abs=1)


@given(epochs=st.integers(1, 100), images=st.integers(1, 10**6), batch=st.integers(1, 2000))
def test_steps_reach_the_last_image_and_no_further(epochs, images, batch):
    steps = steps_for(epochs, images, batch)
    assert steps * batch >= epochs * images
    assert (steps - 1) * batch < epochs * images


def test_augmentation_is_that_of_the_settings():
    settings = filled(rotate=7.0, color=0.2, cutmix=1.0)
    preprocess = Preprocess((32, 32), "stretch", 3, (0.4,) * 3, (0.2,) * 3)
    augment = augment_of(Plan(settings, preprocess, 100), Classify(("a", "b")))
    for name in ("hflip", "shift", "zoom", "rotate", "color", "erase", "mixup", "cutmix", "multi_scale"):
        assert getattr(augment, name) == getattr(settings, name)
    assert (augment.mosaic, augment.wide, augment.view) == (0.0, False, 1.0)


def test_mosaics_end_before_the_run_does():
    plan = Plan(filled(mosaic=0.5), Preprocess((32, 32), "stretch", 3, (0.4,) * 3, (0.2,) * 3), 100)
    found = [augment_of(plan, Classify(("a", "b")), done).mosaic for done in (0.0, 0.84, 0.85, 1.0)]
    assert found == [0.5, 0.5, 0.0, 0.0]


def test_a_plan_goes_through_json():
    preprocess = Preprocess((32, 32), "crop", 3, (0.4,) * 3, (0.2,) * 3, 0.875)
    plan = Plan(filled(freeze=("conv1", "layer1")), preprocess, 77, 12.5, {"lr": "0.1: so"})
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan
