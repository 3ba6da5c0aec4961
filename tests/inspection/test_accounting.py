"""Every number of a network is the sum that is said: of its pixels, its biases, and rounding."""

import dataclasses

import pytest
import torch
from torch import nn

from pellucid.catalog import catalogue
from pellucid.errors import UsageError
from pellucid.inspection.accounting import account
from pellucid.inspection.targets import Box, Class, Pixel
from pellucid.models.base import build_model
from tests.inspection.networks import CourseNet, ForeignResNet, Smooth, narrow, unsettled
from tests.models.kinds import SMALL

NAMES = sorted(catalogue("MODELS"))
TARGETS = {
    "classify": (Class(1), Class(3, versus=0)),
    "segment": (Pixel(10, 20, 2), Pixel(0, 31, 1, versus=4)),
    "detect": (Box(3, 1), Box(2, 0, "left"), Box(5, 2, "bottom")),
}


def built(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return unsettled(narrow(name)).to(dtype)


def images(model: nn.Module, count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    side = model.size if model.fixed_size else min(64, model.size)
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(2), dtype=dtype)


def assert_closed(found, limit: float) -> None:
    """Within the limit of the logit, or where much larger terms cancel in it, of those."""
    assert abs(found.residual) <= limit * found.size, found.target
    assert found.badge == "EXACT"
    assert found.sum == pytest.approx(found.logit, abs=limit * found.size)


@pytest.mark.parametrize("name", NAMES)
def test_in_float64_it_closes_to_twelve_digits(name):
    """Of the scores; sides are decoded in float32."""
    model = built(name, torch.float64)
    assert_closed(account(model, images(model, 1, torch.float64), TARGETS[model.task][0]), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_account_of_every_model_closes_for_twenty_images(name):
    """In its own width, since wider sums round more, and laid out as `load` does: within 1e-5 of the score itself, not
    only of what is summed."""
    torch.manual_seed(0)
    model = unsettled(build_model(name, 5, **SMALL.get(name, {}))).to(memory_format=torch.channels_last)
    score, *others = TARGETS[model.task]
    first, *_ = several = images(model, 20).split(1)
    for target in others:
        assert_closed(account(model, first, target), 1e-5)
    for x in several:
        found = account(model, x, score)
        assert found.badge == "EXACT"
        assert abs(found.residual) <= 1e-5 * abs(found.logit)


def test_the_logit_is_the_network_s_own():
    model, x = built("net"), images(built("net"), 1)
    with torch.no_grad():
        logits = model.eval()(x)[0]
    assert account(model, x, Class(1)).logit == float(logits[1])
    assert account(model, x, Class(3, versus=0)).logit == float(logits[3] - logits[0])


def test_foreign_networks_close_too():
    """In-place ReLUs, sums that overwrite, functional calls, a shared pool."""
    torch.manual_seed(0)
    for model in (unsettled(ForeignResNet()), CourseNet()):
        x = torch.randn(1, 3, 32, 32)
        for name in (0, 7):
            assert_closed(account(model, x, Class(name)), 1e-5)
        assert_closed(account(model.double(), x.double(), Class(3, versus=4)), 1e-12)


def test_the_pixels_are_the_affine_map_that_the_network_is_there():
    """A step so small that no pattern changes moves the logit by the sum of gradients, in float64 to eight digits."""
    torch.manual_seed(0)
    model = unsettled(ForeignResNet()).double()
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    found = account(model, x, Class(2))
    nudged = x.clone()
    nudged[0, 1, 9, 11] *= 1 + 1e-6
    with torch.no_grad():
        change = float(model.eval()(nudged)[0, 2]) - found.logit
    assert change == pytest.approx(1e-6 * float(found.pixels[1, 9, 11]), rel=1e-6)


def test_the_biases_are_those_of_their_layers():
    """Moving one bias of the network by a little moves the logit by its share."""
    torch.manual_seed(0)
    model = unsettled(ForeignResNet()).double()
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    shares = {share.name: share for share in account(model, x, Class(2)).biases}
    norm = model.layer2[0].bn1
    with torch.no_grad():
        shift = float(norm.bias[5] - norm.weight[5] * norm.running_mean[5] / (norm.running_var[5] + norm.eps).sqrt())
        before = float(model.eval()(x)[0, 2])
        norm.bias.data[5] += 1e-7
        change = float(model(x)[0, 2]) - before
    assert change / 1e-7 * shift == pytest.approx(float(shares["layer2.0.bn1"].channels[5]), rel=1e-5)
    assert list(shares)[:2] == ["bn1", "layer1.0.bn1"]
    assert shares["fc"].kind == "linear"


def test_a_layer_that_serves_twice_has_two_shares():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            return self.conv(self.conv(x)).flatten(1)

    model = Twice()
    model.conv.weight.data.fill_(2.0)
    model.conv.bias.data.fill_(3.0)
    found = account(model, torch.full((1, 1, 1, 1), 5.0), Class(0))
    assert found.logit == 29  # 2·(2·5 + 3) + 3
    assert found.input_contribution == 20
    assert [(share.name, share.contribution) for share in found.biases] == [("conv", 6), ("conv#2", 3)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_planted_error_in_one_coefficient_is_caught(dtype):
    """One weight of the affine map, wrong by a thousandth while the account is made."""
    torch.manual_seed(0)
    model = unsettled(ForeignResNet()).to(dtype)
    x = torch.randn(1, 3, 32, 32, dtype=dtype)
    assert account(model, x, Class(2)).badge == "EXACT"

    def spoil(_module, _inputs, output):
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient * coefficient)

    coefficient = torch.ones(1, 16, 1, 1, dtype=dtype)
    coefficient[0, 3] = 1.001
    hook = model.avgpool.register_forward_hook(spoil)
    assert account(model, x, Class(2)).badge == "FIRST-ORDER"
    hook.remove()
    assert account(model, x, Class(2)).badge == "EXACT"


def test_a_planted_error_in_one_number_of_the_account_is_caught():
    model = built("net")
    found = account(model, images(model, 1), Class(1))
    pixels = found.pixels.clone()
    largest = pixels.abs().argmax()
    pixels.view(-1)[largest] *= 1.01
    assert dataclasses.replace(found, pixels=pixels).badge == "FIRST-ORDER"
    assert dataclasses.replace(found, biases=found.biases[1:]).badge == "FIRST-ORDER"


def test_a_network_that_is_not_piecewise_linear_is_not_called_exact():
    torch.manual_seed(0)
    found = account(Smooth(), torch.randn(1, 3, 16, 16), Class(0))
    assert found.badge == "FIRST-ORDER"
    assert abs(found.residual) > 1e-4 * found.size


def test_looking_changes_nothing():
    model = unsettled(ForeignResNet()).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(1, 3, 32, 32)
    given = x.clone()
    account(model, x, Class(1))
    assert model.training
    assert x.equal(given)
    assert not x.requires_grad
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Class("bees"), "No class is called 'bees'. Did you mean 'bee'"),
        (Class(17), "none has the index 17"),
        (Pixel(1, 1, 0), "A pixel is a target of"),
        (Box(0, 0), "A box is a target of detectors"),
    ],
)
def test_a_target_that_is_none_is_refused(target, message):
    with pytest.raises(UsageError, match=message):
        account(CourseNet(), torch.randn(1, 3, 32, 32), target, ("bee", "fly"))


def test_batches_and_other_types_are_refused():
    for x in (torch.randn(2, 3, 32, 32), torch.randn(1, 3, 32, 32, dtype=torch.float16)):
        with pytest.raises(UsageError, match="An account is of one image"):
            account(CourseNet(), x, Class(0))


def test_evidence_is_what_the_scores_are_made_of():
    for name in ("yolo_n", "yolo_v1_fast"):
        model = built(name).eval()
        with torch.no_grad():
            outputs = model(images(model, 2))
            evidence, scores = model.evidence(outputs), model.decode(outputs)["scores"]
        assert evidence.shape == scores.shape
        if name == "yolo_n":
            torch.testing.assert_close(evidence.sigmoid(), scores, rtol=0, atol=0)
        else:
            boxes, probs = model.connected.split(outputs["cells"])
            product = evidence.clamp(0, 1).unflatten(1, (-1, boxes.shape[2])) * probs[:, :, None].clamp(0, 1)
            torch.testing.assert_close(product.flatten(1, 2), scores, rtol=0, atol=0)
