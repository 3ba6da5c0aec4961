"""A checkpoint holds all that changes, to the bit and in the layout that arithmetic had."""

import copy

import pytest
import torch
from torch import nn

from pellucid.checkpoint import save_tensors
from pellucid.config import TrainConfig
from pellucid.errors import ModelError
from pellucid.models.base import build_model
from pellucid.training.optim import make_optimizers, set_rate
from pellucid.training.state import Progress, load_progress, save_progress

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def begun(optimizer: str, *, averaged: bool = True, device: str = "cpu", seed: int = 0, width: int = 8) -> Progress:
    torch.manual_seed(seed)
    model = build_model("compact", 3, width=width, side=8).to(device, memory_format=torch.channels_last)
    momentum = {} if optimizer == "adamw" else {"momentum": 0.9}
    settings = TrainConfig(optimizer=optimizer, lr=0.01, weight_decay=0.01, **momentum)
    mean = copy.deepcopy(model) if averaged else None
    return Progress(model, model, mean, make_optimizers(model, settings), steps=100)


def go_on(progress: Progress, steps: int) -> None:
    for _ in range(steps):
        draws = torch.Generator().manual_seed(progress.step)
        x = torch.randn(6, 3, 8, 8, generator=draws).contiguous(memory_format=torch.channels_last)
        x = x.to(next(progress.model.parameters()).device)
        set_rate(progress.optimizers, 1 / (progress.step + 1))
        progress.model.train()(x).square().mean().backward()
        for optimizer in progress.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.step += 1


def tensors(progress: Progress) -> dict[str, torch.Tensor]:
    found = {f"model {name}": value for name, value in progress.model.state_dict().items()}
    if progress.averaged is not None:
        found |= {f"averaged {name}": value for name, value in progress.averaged.state_dict().items()}
    names = {weight: name for name, weight in progress.model.named_parameters()}
    for optimizer in progress.optimizers:
        for weight, state in optimizer.state.items():
            found |= {f"{names[weight]} {key}": value for key, value in state.items()}
    return found


def assert_same(left: Progress, right: Progress) -> None:
    first, second = tensors(left), tensors(right)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
        assert (value.dtype, value.device) == (second[name].dtype, second[name].device), name
        if value.ndim:
            assert value.stride() == second[name].stride(), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
def test_everything_comes_back_and_goes_on_to_the_same_bits(tmp_path, optimizer, device):
    one = begun(optimizer, device=device)
    go_on(one, 3)
    one.elapsed, one.best, one.behind, one.steps = 12.25, {"value": 0.1 + 0.2, "step": 2}, 4, 77
    save_progress(tmp_path / "c", one)
    two = begun(optimizer, device=device, seed=1)  # other weights, to be replaced
    load_progress(tmp_path / "c", two)
    assert (two.step, two.elapsed, two.best, two.behind, two.steps) == (3, 12.25, one.best, 4, 77)
    assert_same(one, two)
    go_on(one, 3)
    go_on(two, 3)
    assert_same(one, two)


def test_the_layout_of_filters_is_channels_last(tmp_path):
    one = begun("sgd")
    go_on(one, 1)
    save_progress(tmp_path / "c", one)
    load_progress(tmp_path / "c", one)
    weight = one.model.get_parameter("units.0.conv.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()
    momentum = one.optimizers[0].state[weight]["momentum_buffer"]
    assert momentum.stride() == weight.stride()
    assert not momentum.requires_grad


def test_a_checkpoint_before_the_first_step(tmp_path):
    one, two = begun("muon"), begun("muon", seed=1)
    save_progress(tmp_path / "c", one)
    load_progress(tmp_path / "c", two)
    assert_same(one, two)
    assert (two.step, two.best) == (0, {})


def test_saving_twice_gives_the_same_bytes(tmp_path):
    one = begun("adamw")
    go_on(one, 2)
    for name in "ab":
        save_progress(tmp_path / name, one)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_network_is_refused(tmp_path):
    save_progress(tmp_path / "c", begun("sgd"))
    with pytest.raises(ModelError, match="does not fit this run's model"):
        load_progress(tmp_path / "c", begun("sgd", width=10))


def test_a_model_file_is_no_checkpoint(tmp_path):
    save_tensors(tmp_path / "m", {}, {"kind": "model"})
    with pytest.raises(ModelError, match="is a model, not a checkpoint"):
        load_progress(tmp_path / "m", begun("sgd"))


@pytest.mark.parametrize("change", ["adamw", "muon", "ema", "freeze"])
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, change):
    one = begun("sgd")
    go_on(one, 1)
    save_progress(tmp_path / "c", one)
    two = begun("sgd" if change in ("ema", "freeze") else change, averaged=change != "ema")
    if change == "freeze":
        two.model.stem.requires_grad_(False)
        two.optimizers = make_optimizers(two.model, TrainConfig(optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=0))
    before = copy.deepcopy(tensors(two))
    with pytest.raises(ModelError, match="another optimizer, freeze or ema"):
        load_progress(tmp_path / "c", two)
    assert all(torch.equal(value, before[name]) for name, value in tensors(two).items())


def test_frozen_weights_have_no_state_and_are_saved(tmp_path):
    one = begun("sgd", averaged=False)
    one.model.stem.requires_grad_(False)
    one.optimizers = make_optimizers(one.model, TrainConfig(optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=0))
    go_on(one, 1)
    save_progress(tmp_path / "c", one)
    two = begun("sgd", averaged=False, seed=1)
    two.model.stem.requires_grad_(False)
    two.optimizers = make_optimizers(two.model, TrainConfig(optimizer="sgd", lr=0.1, momentum=0.9, weight_decay=0))
    load_progress(tmp_path / "c", two)
    assert_same(one, two)


def test_the_averaged_weights_are_judged():
    with_mean, without = begun("sgd"), begun("sgd", averaged=False)
    assert with_mean.judged is with_mean.averaged
    assert without.judged is without.model
    assert isinstance(without.judged, nn.Module)
