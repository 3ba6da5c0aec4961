"""At every cut of a pass what crosses it adds up to the number."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from pellucid.catalog import catalogue
from pellucid.inspection.accounting import account
from pellucid.inspection.flows import Flows
from pellucid.inspection.layering import Layers, account_layers
from pellucid.inspection.recording import record
from pellucid.inspection.targets import Class
from tests.inspection.networks import CourseNet, ForeignResNet, Smooth
from tests.inspection.test_accounting import TARGETS, built, images

NAMES = sorted(catalogue("MODELS"))


def assert_closed(found: Layers, limit: float) -> None:
    for layer in found.layers:
        parts = (layer.through, layer.around, layer.biases, found.account.constant)
        assert layer.badge == "EXACT", layer.step.name
        assert sum(parts) == pytest.approx(
            found.account.logit, abs=limit * max(map(abs, (*parts, found.account.logit)))
        ), layer.step.name


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_every_model_closes(name):
    model = built(name)
    x = images(model, 1)
    for target in TARGETS[model.task][:2]:
        found = account_layers(model, x, target)
        assert len(found.layers) > 3
        assert_closed(found, 1e-5)
        assert found.layers[0].step.kind == "input"
        assert found.layers[0].through == pytest.approx(found.account.input_contribution, abs=1e-5 * found.account.size)


def test_in_float64_every_layer_closes_to_twelve_digits():
    torch.manual_seed(0)
    for model in (ForeignResNet(), CourseNet()):
        assert_closed(account_layers(model.double(), torch.randn(1, 3, 32, 32).double(), Class(3, versus=4)), 1e-12)


def test_a_layer_counts_activation_times_gradient():
    """Of the last map of a residual network, by a hook of our own."""
    model = built("resnet18")
    x = images(model, 1)
    kept = {}

    def keep(_module, _arguments, output):
        output.retain_grad()
        kept["map"] = output

    handle = model.layer4.register_forward_hook(keep)
    model.eval()(x)[0, 1].backward()
    handle.remove()
    expected = (kept["map"].detach() * kept["map"].grad)[0].double()
    layer = {one.step.name: one for one in account_layers(model, x, Class(1)).layers}["layer4.1.relu2"]
    assert torch.allclose(layer.channels, expected.sum((1, 2)), atol=1e-7)
    assert torch.allclose(layer.places, expected.sum(0), atol=1e-7)
    assert layer.greatest_channels(1)[0][0] == int(expected.sum((1, 2)).abs().argmax())
    y, x_, value = layer.greatest_places(1)[0]
    assert value == pytest.approx(float(expected.sum(0)[y, x_]), abs=1e-7)


def test_what_goes_around_a_layer_is_the_shortcut():
    model = built("resnet18")
    x = images(model, 1)
    layers = {one.step.name: one for one in account_layers(model, x, Class(1)).layers}
    assert layers["layer1.0.bn2"].around != 0
    assert layers["layer1.0.relu2"].around == 0
    inner, outer = layers["layer1.0.bn2"], layers["layer1.0.relu2"]
    assert inner.through + inner.around == pytest.approx(outer.through, abs=1e-5)


def test_it_is_the_same_account_and_the_model_is_left_as_it_was():
    model, x = CourseNet().train(), torch.randn(1, 3, 32, 32)
    found = account_layers(model, x, Class(2))
    assert found.account.logit == account(model, x, Class(2)).logit
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_layers_are_called_as_a_trace_calls_them():
    torch.manual_seed(0)
    model, x = CourseNet(), torch.randn(1, 3, 32, 32)
    names = {operation.name for operation in record(model, x)}
    assert {layer.step.name for layer in account_layers(model, x, Class(2)).layers} <= names


class Overwriting(nn.Module):
    """Written to in place, without using what the operations give back."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 10)

    def forward(self, x):
        y = self.conv(x)
        z = y + 0
        y.add_(z)
        y.mul_(2)
        functional.relu_(y)
        return self.fc(y.mean((2, 3)))


def test_operations_in_place_are_seen_through():
    torch.manual_seed(0)
    model, x = Overwriting(), torch.randn(1, 3, 8, 8)
    found = account_layers(model, x, Class(2))
    with torch.no_grad():
        assert found.account.logit == pytest.approx(float(model.eval()(x)[0, 2]), rel=1e-6)
    assert_closed(found, 1e-5)


def test_a_wrong_coefficient_is_caught(monkeypatch):
    model, x = built("resnet18"), images(built("resnet18"), 1)
    honest = Flows._count

    def planted(self, maker, user, value, gradient):
        if self.steps[maker].name == "layer2.0.relu1":
            gradient = gradient.clone(memory_format=torch.contiguous_format)
            gradient.view(-1)[(gradient * value).flatten().abs().argmax()] *= 1.5
        honest(self, maker, user, value, gradient)

    monkeypatch.setattr(Flows, "_count", planted)
    badges = {one.step.name: one.badge for one in account_layers(model, x, Class(1)).layers}
    assert badges["layer2.0.relu1"] == "FIRST-ORDER"
    assert badges["layer3.0.bn2"] == "EXACT"


def test_a_smooth_network_is_first_order_before_what_is_smooth_and_exact_behind():
    torch.manual_seed(0)
    layers = {one.step.name: one for one in account_layers(Smooth(), torch.randn(1, 3, 32, 32), Class(3)).layers}
    assert layers["conv"].badge == "FIRST-ORDER"
    assert layers["mean"].badge == "EXACT"


def test_text_and_json_say_the_same():
    torch.manual_seed(0)
    found = account_layers(CourseNet(), torch.randn(1, 3, 32, 32), Class(2))
    told = found.text().splitlines()
    assert len(told) == len(found.layers) + 1
    row = found.layers[1].to_json()
    assert row["output"] == [6, 28, 28]
    assert told[2].split()[1] == "6x28x28"
    assert row["channels"][0]["contribution"] == found.layers[1].greatest_channels(1)[0][1]
    assert "6x28x28" in found._repr_html_()
