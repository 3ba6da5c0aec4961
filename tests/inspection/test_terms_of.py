"""Every number of a pass is the sum of its terms, forward and backward, within the bound of its arithmetic."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.inspection.recording import record
from pellucid.inspection.terms_of import explain, explain_gradient, explain_weight
from pellucid.ops.terms.value import Terms
from tests.inspection.networks import CourseNet, ForeignResNet, unsettled
from tests.inspection.test_recording import NAMES, built, image

WEIGHTED = ("conv2d", "linear")


def total(outputs) -> torch.Tensor:
    """A number that every output has a part in, each another one."""
    found = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    return sum((one * torch.linspace(-1, 2, one.numel()).reshape(one.shape)).sum() for one in found)


def somewhere(tensor, generator) -> tuple[int, ...]:
    return tuple(int(generator.integers(side)) for side in tensor.shape[1:])


class Everything(nn.Module):
    """Every kind that has terms, with arguments that are not the usual ones."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, (3, 2), (2, 1), (1, 2), (1, 2), groups=2)
        self.up = nn.ConvTranspose2d(8, 6, 3, 2, 1, 1, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.mirror = nn.Conv2d(6, 4, 3, padding=1, padding_mode="reflect", bias=False)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        y = self.norm(self.up(functional.leaky_relu(self.conv(x), 0.1)))
        y = functional.max_pool2d(functional.pad(y, (1, 0, 2, 1)), 3, 2, 1, ceil_mode=True)
        z = functional.avg_pool2d(self.mirror(y), 2, 1, 1, count_include_pad=False)
        small = functional.adaptive_avg_pool2d(z, (3, 2))
        large = functional.interpolate(small, size=z.shape[2:], mode="bilinear")
        large = functional.interpolate(large, scale_factor=2.0)[:, :, : z.shape[2], 1 : 1 + z.shape[3]]
        y = torch.cat([3 - large, z.relu() + large, 2 * z], dim=1)
        y = y.mean((2, 3)) + y.amax((2, 3))
        return self.fc(y.view(1, 3, 4)[:, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_kind_of_operation_forward_and_backward(dtype):
    torch.manual_seed(0)
    model = unsettled(Everything()).to(dtype)
    trace = record(model, torch.randn(1, 4, 12, 15, dtype=dtype), total)
    generator = np.random.default_rng(0)
    kinds = {operation.kind for operation in trace}
    assert len(kinds) > 17
    for operation in trace.operations:
        for _ in range(6):
            at = somewhere(operation.output, generator)
            if operation.index:
                found = explain(trace, operation.name, at)
                assert found.badge == "EXACT", found.text()
            found = explain_gradient(trace, operation.name, at)
            assert found.badge == "EXACT", found.text()
            if operation.kind in WEIGHTED:
                place = tuple(int(generator.integers(side)) for side in operation.arguments[1].shape)
                assert explain_weight(trace, operation.name, place).badge == "EXACT"


@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_every_model(name):
    """At places drawn by chance in operations drawn by chance, forward and backward."""
    trace = record(built(name), image(built(name)), total)
    generator = np.random.default_rng(1)
    for index in generator.integers(1, len(trace), 24):
        operation = trace.operations[index]
        at = somewhere(operation.output, generator)
        assert explain(trace, operation.name, at).badge == "EXACT", operation.name
        if operation.gradients[0] is not None:
            found = explain_gradient(trace, operation.name, at)
            assert found.badge == "EXACT", found.text()


def test_terms_lead_to_the_pixels():
    """Hop by hop along the largest term, each value is the number that is explained next, to the bit."""
    trace = record(unsettled(ForeignResNet()), torch.randn(1, 3, 32, 32))
    name, at, hops = "fc", (4,), []
    while name != "input":
        found = explain(trace, name, at)
        term = next(iter(found.largest(1)))
        assert term.value == float(trace[term.source].output[term.index])
        name, at = term.source, term.index[1:]
        hops.append(name)
    assert len(hops) > 10
    assert hops[-2:] == ["conv1", "input"]


def test_the_course_s_own_network():
    """Functional ReLUs, one pool for two places: 75 products and a bias make an output of the first layer."""
    model = CourseNet()
    x = torch.randn(1, 3, 32, 32)
    trace = record(model, x, lambda logits: logits[0, 3])
    found = explain(trace, "conv1", (2, 5, 6))
    assert len(found.terms) == 75
    assert found.value == float(trace["conv1"].output[0, 2, 5, 6])
    assert found.terms.bias == pytest.approx(model.conv1.bias[2].item())
    assert explain(trace, "pool#2", (2, 1, 1)).terms.parts[0].source == "relu#2"
    assert explain_gradient(trace, "fc3", (3,)).value == 1
    gradients = explain_weight(trace, "conv1", (2, 1, 0, 4))
    trace.result.sum()
    model.zero_grad()
    model.eval()(x)[0, 3].backward()
    assert gradients.value == pytest.approx(float(model.conv1.weight.grad[2, 1, 0, 4]), rel=1e-4)
    assert len(gradients.terms) == 28 * 28


def test_a_wrong_coefficient_is_not_called_exact():
    trace = record(CourseNet(), torch.randn(1, 3, 32, 32))
    found = explain(trace, "conv2", (0, 1, 1))
    (part,) = found.terms.parts
    wrong = part.coefficient.copy()
    wrong[np.abs(found.terms.products).argmax()] *= 1.001
    spoiled = Terms((dataclasses.replace(part, coefficient=wrong),), found.terms.bias)
    assert dataclasses.replace(found, terms=spoiled).badge == "INEXACT"


def test_the_words_and_the_plain_values_say_the_same():
    trace = record(CourseNet(), torch.randn(1, 3, 32, 32))
    found = explain(trace, "conv1", (0, 3, 3))
    lines = found.text(5).splitlines()
    assert lines[0].startswith("conv1[0, 3, 3]  Σ ")
    assert "EXACT, 75 terms" in lines[0]
    assert lines[-1] == "  and 70 smaller ones"
    plain = found.to_json()
    assert plain["sum"] == pytest.approx(
        plain["bias"] + sum(one["coefficient"] * one["value"] for one in plain["terms"])
    )
    largest = found.to_json(3)["terms"]
    assert [abs(one["coefficient"] * one["value"]) for one in largest] == sorted(
        (abs(one["coefficient"] * one["value"]) for one in plain["terms"]), reverse=True
    )[:3]


@pytest.mark.parametrize(
    ("name", "at", "message"),
    [("conv1", (0, 99, 0), "outside of the shape"), ("conv9", (0,), "No operation is called 'conv9'")],
)
def test_what_is_none_is_refused(name, at, message):
    with pytest.raises(UsageError, match=message):
        explain(record(CourseNet(), torch.randn(1, 3, 32, 32)), name, at)


def test_what_has_no_terms_or_no_gradient_is_said():
    class Smooth(nn.Module):
        def forward(self, x):
            return functional.gelu(x)

    trace = record(Smooth(), torch.randn(1, 1, 2, 2))
    with pytest.raises(UsageError, match=r"No terms are known of 'gelu', a gelu\."):
        explain(trace, "gelu", (0, 0, 0))
    with pytest.raises(UsageError, match="has no gradient"):
        explain_gradient(trace, "input", (0, 0, 0))
    with pytest.raises(UsageError, match="A trace of 2 images"):
        explain(record(Smooth(), torch.randn(2, 1, 2, 2)), "gelu", (0, 0, 0))
