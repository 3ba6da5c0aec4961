"""Costs against the published counts, and against those of `ops.counting`."""

import json

import pytest
import torch
from torch import nn

from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.inspection.clock import timed, timings
from pellucid.inspection.costs import cost_of
from pellucid.inspection.recording import record
from pellucid.inspection.roofline import Machine
from pellucid.ops.counting import CONVENTION, cost
from tests.inspection.networks import ForeignResNet

CONVOLUTIONAL = {
    "resnet18": 1_814_073_344,
    "resnet34": 3_663_761_408,
    "resnet50": 4_089_184_256,
    "resnet101": 7_801_405_440,
    "resnet152": 11_513_626_624,
    "vgg16": 15_470_264_320,
    "yolo_v1": 20_073_611_264 + 211_542_016,
}
SMALL = {
    "net": 651_720,
    "resnet20": 40_551_040,
    "resnet32": 68_862_592,
    "resnet44": 97_174_144,
    "resnet56": 125_485_696,
    "resnet110": 252_887_680,
}


@pytest.mark.parametrize("name", [*CONVOLUTIONAL, *SMALL])
def test_macs_are_the_published_counts(name):
    classes = 10 if name in SMALL else 20 if name == "yolo_v1" else 1000
    assert cost_of(name, classes=classes).to_json()["totals"]["macs"] == (CONVOLUTIONAL | SMALL)[name]


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("net", 10, 62_006),
        ("resnet18", 1000, 11_689_512),
        ("vgg16", 1000, 138_357_544),
        ("fcn_resnet50", 21, 35_322_218),
        ("resnet20", 10, 269_722),
        ("yolo_v1", 20, 271_703_550),
    ],
)
def test_parameters_are_the_published_counts(name, classes, parameters):
    """In all, and of the operations together, the last of which use none twice."""
    found = cost_of(name, classes=classes).to_json()
    assert found["totals"]["params"] == parameters
    assert sum(row["params"] for row in found["layers"]) == parameters


def test_rows_say_what_a_layer_is():
    layers = {row["name"]: row for row in cost_of("resnet18").to_json()["layers"]}
    assert layers["conv1"] == {
        "name": "conv1",
        "kind": "conv2d",
        "output": [64, 112, 112],
        "params": 9408,
        "macs": 118_013_952,
        "bytes": 4 * (3 * 224 * 224 + 9408 + 64 * 112 * 112),
        "intensity": pytest.approx(61.3, abs=0.05),
    }
    assert layers["layer2.0.add"]["macs"] == 0
    assert layers["flatten"]["bytes"] == 0


@pytest.mark.parametrize(
    ("model", "layer", "published"),
    [
        ("resnet18", "layer1.0.conv1", 131.9),
        ("resnet18", "layer2.0.conv1", 77.1),
        ("resnet18", "layer2.0.downsample.0", 10.4),
        ("resnet18", "layer4.1.conv2", 24.0),
        ("resnet18", "fc", 0.50),
        ("net", "conv1", 21.4),
        ("net", "conv2", 23.2),
    ],
)
def test_intensities_are_the_published_ones(model, layer, published):
    rows = {row["name"]: row for row in cost_of(model, classes=10 if model == "net" else 1000).to_json()["layers"]}
    assert rows[layer]["intensity"] == pytest.approx(published, abs=0.1)


def test_classes_are_those_of_the_figures_that_people_quote():
    assert cost_of("fcn_resnet50").parameters == 35_322_218
    assert cost_of("resnet18").parameters == 11_689_512


def test_measured_times_stand_beside_what_the_machine_allows(capsys):
    assert main(["cost", "resnet20", "--measure", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    machine = found["machine"]
    assert machine["peak"] > machine["bandwidth"] > 0
    assert machine["ridge"] == machine["peak"] / machine["bandwidth"]
    for row in found["layers"]:
        limits = (2 * row["macs"] / machine["peak"], row["bytes"] / machine["bandwidth"])
        assert row["predicted_ms"] == pytest.approx(1e3 * max(limits))
        assert row["measured_ms"] > 0
        assert row["bound"] == ("compute" if limits[0] >= limits[1] else "memory") or not any(limits)
    assert found["measured_ms"] > 0


MACHINE = Machine(peak=1e11, bandwidth=1e10, launch=1e-6, convolution_launch=1e-5, threads=1)


@pytest.mark.parametrize(
    ("layer", "seconds", "why"),
    [
        (nn.Conv2d(3, 64, 3), 1.0, "3 input channels do not fill vectors"),
        (nn.Conv2d(64, 64, 3, groups=64), 1.0, "depthwise: 1 input channels a filter"),
        (nn.Conv2d(64, 64, 3, groups=4), 1.0, "4 groups: 16 input channels a filter"),
        (nn.Conv2d(64, 2, 3), 1.0, "2 output channels do not fill"),
        (nn.ConvTranspose2d(64, 64, 3), 1.0, "transposed: what overlaps is summed"),
        (nn.Conv2d(64, 64, 3), 1.0, "no simple one"),
        (nn.Conv2d(64, 64, 1), 3e-5, "launch overhead: a call that has nothing to do takes 10 µs"),
        (nn.MaxPool2d(2), 1.0, "compares or sums, which are no MACs"),
    ],
)
def test_what_is_far_from_the_roofline_is_said_with_the_reason(layer, seconds, why):
    channels = getattr(layer, "in_channels", 64)
    trace = record(layer, torch.randn(1, channels, 8, 8))
    (name,) = (one.name for one in trace.operations[1:])
    assert timings(trace, {name: seconds}, MACHINE)[name].why.startswith(why)
    allowed = MACHINE.predicted(trace.operations[1].macs, trace.operations[1].bytes)
    near = timings(trace, {name: 2.9 * allowed}, MACHINE)[name]
    assert near.why == ""
    assert near.times == pytest.approx(2.9)


def test_the_roofline_is_the_lower_of_two_lines():
    assert MACHINE.ridge == 10
    assert (MACHINE.predicted(10**9, 10**6), MACHINE.bound(10**9, 10**6)) == (0.02, "compute")
    assert (MACHINE.predicted(10**6, 10**9), MACHINE.bound(10**6, 10**9)) == (0.1, "memory")


def test_every_operation_is_timed_under_its_own_name():
    model = ForeignResNet()
    x = torch.randn(1, 3, 32, 32)
    seconds, whole = timed(model, x, rounds=2)
    assert list(seconds) == [operation.name for operation in record(model, x)][1:]
    assert 0 < max(seconds.values()) < 10 * whole


def test_transposed_convolutions_count_at_their_inputs():
    layer = nn.ConvTranspose2d(21, 21, 16, stride=8, padding=4)
    assert record(layer, torch.randn(1, 21, 28, 28)).operations[1].macs == 88_510_464


LAYERS = (
    nn.Conv2d(4, 8, 3, 2, 1, groups=2),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.ConvTranspose2d(8, 6, 4, 2, 1, groups=2),
    nn.AvgPool2d(2),
    nn.Upsample(scale_factor=2, mode="bilinear"),
    nn.AdaptiveAvgPool2d(3),
)


def test_every_layer_costs_what_counting_says():
    trace = record(nn.Sequential(*LAYERS, nn.Flatten(), nn.Linear(54, 5)), torch.randn(1, 4, 20, 24))
    counted = cost([*LAYERS, nn.Flatten(), nn.Linear(54, 5)], (4, 20, 24))
    for one, row in zip(trace.operations[1:], counted, strict=True):
        assert tuple(one.output.shape[1:]) == row.output_shape
        assert (one.params, one.macs) == (row.parameters, row.macs), one.name
        if one.kind != "flatten":  # a view
            assert one.bytes == row.bytes, one.name


def test_attention_is_said_to_be_unknown():
    class Attention(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x)

    assert record(Attention(), torch.randn(1, 2, 4, 8)).operations[1].macs is None


def test_the_verb_prints_one_object(capsys):
    assert main(["cost", "resnet20", "--size", "48x32", "--classes", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["size"] == [48, 32]
    assert found["convention"] == CONVENTION
    assert found["layers"][0]["output"] == [16, 48, 32]
    assert found["totals"]["macs"] == sum(row["macs"] for row in found["layers"])


def test_the_table_says_the_convention_first(capsys):
    assert main(["cost", "net", "--classes", "10"]) == 0
    head, columns, *rows, total = capsys.readouterr().out.splitlines()
    assert head == f"net at 32x32. {CONVENTION}"
    assert columns.split() == ["operation", "kind", "output", "params", "MACs", "bytes", "FLOP/B"]
    assert rows[2].split()[:3] == ["pool", "max_pool2d", "6x14x14"]
    assert total.split()[:3] == ["total", "62,006", "651,720"]


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        ("resnet18", "224", "--size '224': give height and width"),
        ("resnet18", "0x3", "--size '0x3'"),
        ("net", "40x40", "net takes no image of 40x40. Its size is 32x32"),
        ("vgg16", "16x16", "vgg16 takes no image of 16x16"),
        ("resnet17", None, "Did you mean 'resnet1"),
        ("gone.safetensors", None, "No file gone.safetensors"),
    ],
)
def test_what_cannot_be_counted_is_refused(model, size, message):
    with pytest.raises(UsageError, match=message):
        cost_of(model, size)
