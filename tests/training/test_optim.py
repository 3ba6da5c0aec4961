"""The optimisers against plain NumPy, and the learning rate over a run."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim import SGD, AdamW

from pellucid.config import TrainConfig
from pellucid.models.base import build_model
from pellucid.training.optim import Muon, make_optimizers, orthogonalise, rate_factor, set_rate

FILLED = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.02}


@settings(max_examples=40)
@given(rows=st.integers(1, 96), ratio=st.sampled_from([1.5, 2.0, 5.0]), tall=st.booleans(), seed=st.integers(0, 99))
def test_orthogonalised_matrices_keep_directions_and_lose_lengths(rows, ratio, tall, seed):
    matrix = torch.randn(rows, math.ceil(rows * ratio), generator=torch.Generator().manual_seed(seed))
    matrix = matrix.mT if tall else matrix
    (found,) = orthogonalise([matrix])
    assert found.shape == matrix.shape
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    middle = left.mT @ found @ right.mT  # diagonal: the directions are those of the matrix
    assert float((middle - middle.diag().diag()).abs().max()) < 1e-3
    assert float(middle.diag().min()) > 0.6
    assert float(middle.diag().max()) < 1.3


def test_orthogonalising_does_not_see_the_scale():
    matrix = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
    small, plain, large, nothing = orthogonalise([matrix * 1e-3, matrix, matrix * 1e4, torch.zeros(3, 4)])
    torch.testing.assert_close(small, plain, atol=1e-3, rtol=0)
    torch.testing.assert_close(large, plain, atol=1e-3, rtol=0)
    assert torch.equal(nothing, torch.zeros(3, 4))


def test_matrices_are_orthogonalised_as_each_would_be_alone():
    shapes = [(8, 20), (20, 8), (8, 8), (12, 30), (8, 40), (1, 5)]
    matrices = [torch.randn(shape, generator=torch.Generator().manual_seed(at)) for at, shape in enumerate(shapes)]
    for matrix, found in zip(matrices, orthogonalise(matrices), strict=True):
        torch.testing.assert_close(found, orthogonalise([matrix])[0], atol=1e-5, rtol=0)


def numpy_muon(weight, gradients, lr, momentum, decay):
    """Jordan et al. 2024 in float64, filter banks as matrices."""
    mean = np.zeros_like(weight)
    for gradient in gradients:
        mean = momentum * mean + (1 - momentum) * gradient
        ahead = (1 - momentum) * gradient + momentum * mean
        matrix = ahead.reshape(len(ahead), -1)
        x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
        x = x / (np.linalg.norm(x) + 1e-7)
        for _ in range(5):
            gram = x @ x.T
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
        direction = x.T if matrix.shape[0] > matrix.shape[1] else x
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        weight = weight * (1 - lr * decay) - lr * scale * direction.reshape(weight.shape)
    return weight


@pytest.mark.parametrize("shape", [(8, 4, 3, 3), (64, 3, 3, 3), (6, 6, 1, 1), (5, 2, 1, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_muon_is_its_reference(shape, layout, momentum):
    generator = np.random.default_rng(0)
    start, gradients = generator.normal(size=shape), generator.normal(size=(4, *shape))
    weight = nn.Parameter(torch.tensor(start, dtype=torch.float32).contiguous(memory_format=layout))
    optimizer = Muon([weight], lr=0.1, momentum=momentum, weight_decay=0.05)
    for gradient in gradients:
        weight.grad = torch.tensor(gradient, dtype=torch.float32).contiguous(memory_format=layout)
        before = weight.grad.clone()
        optimizer.step()
        assert torch.equal(weight.grad, before)
    expected = numpy_muon(start, gradients, 0.1, momentum, 0.05)
    np.testing.assert_allclose(weight.detach().numpy(), expected, atol=2e-4)
    assert weight.is_contiguous(memory_format=layout)


def test_muon_leaves_weights_without_a_gradient():
    weight = nn.Parameter(torch.ones(2, 2, 1, 1))
    Muon([weight], 0.1, 0.9, 0.5).step()
    assert torch.equal(weight, torch.ones(2, 2, 1, 1))


def parameters_of(optimizers) -> list[nn.Parameter]:
    return [weight for optimizer in optimizers for group in optimizer.param_groups for weight in group["params"]]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("name", ["net", "compact", "resnet20"])
def test_every_trained_parameter_has_one_optimizer_and_offsets_do_not_decay(name, optimizer):
    model = build_model(name, 3)
    model.get_parameter(next(name for name, _ in model.named_parameters())).requires_grad_(False)
    momentum = {} if optimizer == "adamw" else {"momentum": 0.9}
    settings = TrainConfig(optimizer=optimizer, lr=0.1, weight_decay=0.02, **momentum)
    optimizers = make_optimizers(model, settings)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert sorted(map(id, parameters_of(optimizers))) == sorted(map(id, trained))
    for one in optimizers:
        for group in one.param_groups:
            assert group["params"]
            kinds = {weight.ndim > 1 for weight in group["params"]}
            assert len(kinds) == 1
            assert (group["weight_decay"] > 0) == kinds.pop()


def test_which_optimizer_is_which():
    model = build_model("compact", 3, in_channels=1)

    def made(name: str):
        momentum = {} if name == "adamw" else {"momentum": 0.8}
        return make_optimizers(model, TrainConfig(optimizer=name, lr=0.3, weight_decay=0.02, **momentum))

    assert [type(one) for one in made("sgd")] == [SGD]
    assert [type(one) for one in made("adamw")] == [AdamW]
    muon, beside = made("muon")
    assert (type(muon), type(beside)) == (Muon, SGD)
    assert (muon.defaults["lr"], muon.defaults["momentum"], beside.defaults["momentum"]) == (0.3, 0.8, 0.8)
    names = {id(weight): name for name, weight in model.named_parameters()}
    filters = {names[id(weight)] for weight in parameters_of([muon])}
    assert "stem.conv.weight" not in filters  # one input channel: a row a filter, but of 9 values
    assert filters == {name for name in names.values() if "conv" in name} - {"stem.conv.weight"}


@pytest.mark.parametrize("frozen", ["filters", "others"])
def test_muon_where_one_of_the_two_kinds_is_frozen(frozen):
    model = build_model("compact", 3)
    for weight in model.parameters():
        weight.requires_grad_((weight.ndim == 4) != (frozen == "filters"))
    (only,) = make_optimizers(model, TrainConfig(optimizer="muon", **FILLED))
    assert type(only) is (SGD if frozen == "filters" else Muon)


def test_sgd_without_momentum_is_plain():
    weight = nn.Parameter(torch.ones(3))
    layer = nn.Module()
    layer.weight = weight
    (optimizer,) = make_optimizers(layer, TrainConfig(optimizer="sgd", lr=0.5, momentum=0.0, weight_decay=0.1))
    weight.grad = torch.tensor([1.0, 2.0, 4.0])
    optimizer.step()
    assert weight.tolist() == [0.5, 0.0, -1.0]


SCHEDULES = st.sampled_from(["one-cycle", "cosine"])


@given(steps=st.integers(1, 5000), warmup=st.floats(0, 0.9), schedule=SCHEDULES)
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(steps, warmup, schedule):
    settings = TrainConfig(warmup=warmup, schedule=schedule)
    rates = [rate_factor(step, steps, settings) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rate_factor(steps, steps, settings) == 0
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    ideal = warmup * (steps + 1)
    assert abs((top + 1) - max(1.0, ideal)) <= 1
    jump = max(abs(a - b) for a, b in zip([0, *rates], [*rates, 0], strict=True)) if warmup > 0.01 else 0
    assert jump <= 2 / (min(max(warmup, 0.01), 1 - warmup) * (steps + 1)) + 1e-9  # no step in it


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_the_peak_is_one_and_half_way_down_is_a_half(schedule):
    settings = TrainConfig(warmup=0.25, schedule=schedule)
    assert rate_factor(24, 99, settings) == 1
    assert rate_factor(11, 99, settings) == pytest.approx(0.48)
    assert rate_factor(61, 99, settings) == pytest.approx(0.5, abs=0.02)
    quarter = rate_factor(42, 99, settings)
    assert quarter == pytest.approx(0.76 if schedule == "one-cycle" else 0.5 * (1 - math.cos(math.pi * 0.76)))


def test_rates_are_shares_of_each_optimizers_own_peak():
    first, second = (SGD([nn.Parameter(torch.ones(1))], lr=lr) for lr in (0.4, 0.1))
    assert set_rate([first, second], 0.5) == pytest.approx(0.2)
    assert second.param_groups[0]["lr"] == pytest.approx(0.05)
    assert set_rate([first, second], 1.0) == pytest.approx(0.4)
