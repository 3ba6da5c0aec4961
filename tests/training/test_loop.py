"""The loop: it learns, it says what happens, and it stops where it must."""

import math

import numpy as np
import pytest
import torch

from pellucid.config import TrainConfig
from pellucid.data.cache import decode
from pellucid.data.dataset import open_dataset
from pellucid.data.loader import Loader
from pellucid.errors import NonFiniteError, UsageError
from pellucid.models.base import build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.training.events import Evaluated, Finished, Replanned, Saved, Started, Stepped, Stopped
from pellucid.training.loop import fit
from pellucid.training.plan import Plan, fill_settings

PREPROCESS = Preprocess((32, 32), "stretch", 3, (0.4,) * 3, (0.25,) * 3)


@pytest.fixture
def loaders(image_folder):
    dataset = open_dataset(image_folder)
    task = Classify(dataset.classes).counted(dataset.split("train"), np.zeros((0, 0), int))
    decoded = {name: decode(dataset, name, PREPROCESS, dataset.digests()) for name in ("train", "val")}
    return Loader(decoded["train"], task, 8, seed=1), Loader(decoded["val"], task, 50)


def plan_of(steps=20, seconds=None, **settings) -> Plan:
    settings = {"precision": "fp32", "hflip": 0.0, "size": 32, "batch": 8} | settings
    filled, _ = fill_settings(TrainConfig(**settings), Classify(("a", "b")), parameters=100_000, steps=steps)
    return Plan(filled, PREPROCESS, steps, seconds)


def model_of(name="compact"):
    torch.manual_seed(0)
    return build_model(name, 3)


def events_of(loaders, plan, model=None, **more):
    train, val = loaders
    return list(fit(model or model_of(), train.task, train, val, plan, **more))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_every_optimizer_learns_the_drawn_images(loaders, optimizer, schedule):
    events = events_of(loaders, plan_of(60, optimizer=optimizer, schedule=schedule, smoothing=0.0))
    losses = [event.losses["cross_entropy"] for event in events if isinstance(event, Stepped)]
    assert sum(losses[-5:]) < 0.25 * sum(losses[:5])
    assert events[-1].best["value"] >= 0.6


def test_events_in_their_order(loaders, tmp_path):
    events = events_of(loaders, plan_of(8, save_seconds=0.0), checkpoint=tmp_path / "c.safetensors")
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    assert [event.step for event in events if isinstance(event, Stepped)] == list(range(1, 9))
    images = events[0].images
    ends = [step for step in range(1, 9) if step * 8 // images > (step - 1) * 8 // images]
    assert len(ends) == 2
    assert [event.step for event in events if isinstance(event, Evaluated)] == sorted({*ends, 8})
    assert len([event for event in events if isinstance(event, Saved)]) == 9


def test_the_last_step_is_always_judged(loaders):
    for steps in (1, 5, 8):
        judged = [event.step for event in events_of(loaders, plan_of(steps)) if isinstance(event, Evaluated)]
        assert judged[-1] == steps


def test_stop_is_asked_before_every_step(loaders, tmp_path):
    path, asked = tmp_path / "c.safetensors", iter(["", "", "SIGTERM"])
    events = events_of(loaders, plan_of(20), checkpoint=path, stop=lambda: next(asked))
    assert isinstance(events[-1], Stopped)
    assert (events[-1].step, events[-1].reason) == (2, "SIGTERM")
    assert path.exists()


def test_frozen_parts_keep_every_bit(loaders):
    model = model_of("resnet20")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    events_of(loaders, plan_of(6, freeze=("conv1", "bn1", "layer1"), ema=0.5), model)
    for name, value in model.state_dict().items():
        frozen = name.split(".")[0] in ("conv1", "bn1", "layer1")
        assert torch.equal(value, before[name]) == frozen, name


def test_an_unknown_part_to_freeze_is_refused(loaders):
    with pytest.raises(UsageError, match=r"--freeze steem: the model has no such part\. Did you mean 'stem'\?"):
        events_of(loaders, plan_of(freeze=("steem",)))
    with pytest.raises(UsageError, match="nothing is left to train"):
        events_of(loaders, plan_of(freeze=("stem", "units", "fc")))


def test_patience_ends_the_run(loaders):
    events = events_of(loaders, plan_of(400, optimizer="sgd", lr=0.0, ema=0.0, patience=3))
    assert events[-1].reason == "no better figure on the validation split in 3 evaluations"
    assert events[-1].step < 40


def test_a_loss_that_is_not_a_number_names_step_layer_and_batch(loaders, tmp_path):
    model, path = model_of(), tmp_path / "c.safetensors"
    with torch.no_grad():
        model.units[1].conv.weight[0, 0, 0, 0] = math.inf
    with pytest.raises(NonFiniteError, match=r"Step 1: .*'units\.1\.conv'.*The batch: .*\.png.*--lr"):
        events_of(loaders, plan_of(), model, checkpoint=path)


def test_a_run_that_explodes_keeps_its_last_good_state(loaders, tmp_path):
    path = tmp_path / "c.safetensors"
    with pytest.raises(NonFiniteError, match=r"step \d+.*layer.*--lr|Step \d+.*layer.*--lr"):
        events_of(loaders, plan_of(60, optimizer="sgd", lr=1e6, clip=None), model_of("net"), checkpoint=path)
    from pellucid.checkpoint import load_tensors

    tensors, facts = load_tensors(path)
    assert facts["step"] >= 1
    assert all(torch.isfinite(value).all() for name, value in tensors.items() if name.startswith("model/"))


def test_minutes_change_the_number_of_steps(loaders, monkeypatch):
    monkeypatch.setattr("pellucid.training.loop.LOOK_SECONDS", 0.05)
    events = events_of(loaders, plan_of(100_000, seconds=1.5))
    assert any(isinstance(event, Replanned) for event in events)
    assert events[-1].step < 100_000
    judged = [event.step for event in events if isinstance(event, Evaluated)]
    assert judged[-1] == events[-1].step


def test_balanced_class_weights_lift_the_rare_class(make_image_folder):
    root = make_image_folder()
    for path in sorted((root / "disc").glob("*.png"))[3:]:
        path.unlink()
    dataset = open_dataset(root, val=0, test=0)
    task = Classify(dataset.classes).counted(dataset.split("train"), np.zeros((0, 0), int))
    rows = task.soften(torch.tensor([0, 2]), TrainConfig(class_weights="balanced", smoothing=0.0))
    assert rows[1].sum() == pytest.approx(4 * rows[0].sum().item())
