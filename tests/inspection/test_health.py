"""Planted bugs are named, each with its layer or classes; a network that learnt well is left in peace."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.inspection.filters import filter_findings
from pellucid.inspection.gradients import APART, gradient_findings, gradient_sizes
from pellucid.inspection.health import EXAMINATIONS, health_of
from pellucid.inspection.mixups import agreement, mixup_findings
from pellucid.models.base import AbstractClassifier
from tests.inspection.trained import make_data, spoiled, trained

TASKS = ("classify", "segment", "detect")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """(model file, data) of a task, trained when first asked for."""
    made = {}

    def of(task: str) -> tuple[Path, Path]:
        if task not in made:
            root = tmp_path_factory.mktemp(task)
            data = make_data(task, root / "data")
            made[task] = (trained(task, data, root / "run"), data)
        return made[task]

    return of


def kinds(report) -> dict:
    return {finding.kind: finding for finding in report.findings}


def first_norm(model) -> nn.BatchNorm2d:
    return next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))


def named_norms(model) -> list[tuple[str, nn.BatchNorm2d]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]


def first_convolution(model) -> nn.Conv2d:
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize("task", TASKS)
def test_a_healthy_network_is_left_in_peace(task, networks):
    model, data = networks(task)
    report = health_of(model, data)
    assert report.ok
    assert not [finding for finding in report.findings if finding.level == "error"], report.text()
    assert not kinds(report).keys() & {"duplicate-filter", "empty-filter", "saturated-filter"}
    assert len(report.passed) >= 4


@pytest.mark.parametrize("task", TASKS)
def test_swapped_channels_are_named(task, networks, tmp_path):
    """The first filters as if it had learnt from blue, green, red."""
    model, data = networks(task)

    means = []

    def swap(network, manifest):
        weight = first_convolution(network).weight
        weight.copy_(weight.flip(1))
        means.append([f"{one:.3g}" for one in manifest.preprocess.mean])

    found = kinds(health_of(spoiled(model, tmp_path / "model", swap), data, only="preprocess"))["preprocessing"]
    assert found.where[0].startswith("channels in the order blue, green, red: ")
    assert found.number > found.threshold
    assert "with channels in the order blue, green, red" in found.text
    assert "its first filters with their channels reversed" in found.cure
    assert f"mean ({', '.join(means[0][::-1])})" in found.cure, "which are turned round with the filters"


@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_mean_is_named(task, networks, tmp_path):
    model, data = networks(task)

    def shift(network, manifest):
        mean = tuple(value + 1.5 * (1 - at) for at, value in enumerate(manifest.preprocess.mean))
        return {"preprocess": dataclasses.replace(manifest.preprocess, mean=mean)}

    found = kinds(health_of(spoiled(model, tmp_path / "model", shift), data))
    assert "mean and std of these images" in " ".join(found["preprocessing"].where)
    assert found["batch-norm"].where  # the first layers see it, too


def test_a_second_division_by_255_is_named(networks, tmp_path):
    model, data = networks("classify")

    def divide(network, manifest):
        std = tuple(255 * value for value in manifest.preprocess.std)
        mean = tuple(value * 255 for value in manifest.preprocess.mean)
        return {"preprocess": dataclasses.replace(manifest.preprocess, std=std, mean=mean)}

    assert "preprocessing" in kinds(health_of(spoiled(model, tmp_path / "model", divide), data))


@pytest.mark.parametrize("task", TASKS)
def test_shifted_class_ids_are_named(task, networks, tmp_path):
    """Names one place further on, as when one side counts a background and the other does not."""
    model, data = networks(task)

    def rotate(network, manifest):
        return {"classes": manifest.classes[1:] + manifest.classes[:1]}

    found = kinds(health_of(spoiled(model, tmp_path / "model", rotate), data, only="classes"))["class-ids"]
    assert found.number > found.threshold
    assert ("shifted by" in found.text) or task == "detect"  # of two classes a shift is an exchange
    assert all(" is called " in line for line in found.where)


def test_two_exchanged_classes_are_named_and_the_others_are_not(networks, tmp_path):
    model, data = networks("classify")

    def exchange(network, manifest):
        first, second, *others = manifest.classes
        return {"classes": (second, first, *others)}

    found = kinds(health_of(spoiled(model, tmp_path / "model", exchange), data))["class-ids"]
    assert "2 classes are permuted" in found.text
    assert (
        found.where == ("blue (1) is called green (0)", "green (0) is called blue (1)")[::-1] or len(found.where) == 2
    )


@pytest.mark.parametrize("task", TASKS)
def test_a_dead_layer_is_named(task, networks, tmp_path):
    model, data = networks(task)

    def kill(network, manifest):
        norm = first_norm(network)
        norm.weight.fill_(0)
        norm.bias.fill_(-1)

    found = kinds(health_of(spoiled(model, tmp_path / "model", kill), data, only="activity"))["dead-relu"]
    assert (found.level, found.number) == ("error", 1)
    assert found.where[0].endswith(": 100% never fire")


def test_channels_that_say_nothing_are_named(networks, tmp_path):
    model, data = networks("classify")

    def still(network, manifest):
        norm = first_norm(network)
        norm.weight[2:4] = 0
        norm.bias[2:4] = 1

    found = kinds(health_of(spoiled(model, tmp_path / "model", still), data, only="activity"))["saturated-filter"]
    assert found.number == 2


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["mean", "variance"])
def test_damaged_statistics_are_named_with_their_layer(task, kind, networks, tmp_path):
    model, data = networks(task)
    names = []

    def scale(network, manifest):
        name, norm = named_norms(network)[2]
        names.append(name)
        if kind == "mean":
            norm.running_mean.add_(3 * norm.running_var.sqrt())
        else:
            norm.running_var.mul_(30)

    found = kinds(health_of(spoiled(model, tmp_path / "model", scale), data, only="activity"))["batch-norm"]
    assert found.level == "error"
    assert f"The inputs of {names[0]} lie" in found.text or found.where[0].startswith(names[0])


@pytest.mark.parametrize("task", TASKS)
def test_a_duplicated_and_an_empty_filter_are_named_without_data(task, networks, tmp_path):
    model, _ = networks(task)

    def copy(network, manifest):
        weight = first_convolution(network).weight
        weight[1] = 2 * weight[3]
        weight[0] = 0

    found = kinds(health_of(spoiled(model, tmp_path / "model", copy)))
    assert found["duplicate-filter"].where[0].endswith(": 1 = 3")
    assert found["empty-filter"].number == 1


def test_the_verb_says_it_in_lines_and_exits_with_1(networks, tmp_path, capsys):
    model, data = networks("classify")

    def rotate(network, manifest):
        return {"classes": manifest.classes[1:] + manifest.classes[:1]}

    bad = spoiled(model, tmp_path / "model", rotate)
    assert main(["health", str(model), "--data", str(data)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "ok"
    assert main(["health", str(bad), "--data", str(data), "--only", "classes"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("error: ")
    assert lines[-1] == "not ok"
    again = next(line for line in lines if line.startswith("    again: "))
    assert main([*again.removeprefix("    again: pellucid ").split(), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in found["findings"]] == ["class-ids"]
    assert found["findings"][0]["command"] == again.removeprefix("    again: ")
    assert {"text", "number", "threshold", "where", "cure", "level"} <= found["findings"][0].keys()


def test_looking_changes_nothing(networks):
    model, data = networks("classify")
    before = model.read_bytes()
    health_of(model, data)
    assert model.read_bytes() == before


class Deep(AbstractClassifier):
    """Without normalisation: what its later weights are too small for, its earlier ones do not learn."""

    head = "layers"

    def __init__(self, scale: float):
        super().__init__()
        self.layers = nn.Sequential(*(one for _ in range(8) for one in (nn.Conv2d(4, 4, 1), nn.ReLU())))
        for module in self.layers[2::2]:
            nn.init.constant_(module.weight, scale)

    def forward(self, x):
        return self.layers(x).mean((2, 3))

    def loss(self, outputs, targets):
        return {"distance": ((outputs - targets) ** 2).sum()}


def test_gradients_that_vanish_are_named():
    torch.manual_seed(0)
    x, targets = torch.rand(2, 4, 3, 3), torch.ones(2, 4)
    findings, well = gradient_findings(gradient_sizes(Deep(0.25), x, targets))
    assert findings == []
    assert len(well) == 1
    model = Deep(0.25)
    with torch.no_grad():
        model.layers[6].weight.mul_(1e-12)
        for at in (6, 8, 10, 12, 14):
            model.layers[at].bias.fill_(1.0)
    findings, _ = gradient_findings(gradient_sizes(model, x, targets))
    vanishing = {finding.kind: finding for finding in findings}
    assert "layers.0" in vanishing["vanishing-gradient"].where
    assert vanishing["vanishing-gradient"].number < 1 / APART
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_gradients_that_explode_are_named():
    findings, _ = gradient_findings({"a": 1.0, "b": 2.0, "c": 1e7})
    assert [(one.kind, one.where) for one in findings] == [("exploding-gradient", ("c",))]
    findings, _ = gradient_findings({"a": 1.0, "b": float("nan")})
    assert findings[0].text == "The gradient of the loss in b, beside its weights, is not a number."


def test_a_class_that_takes_everything_is_no_mix_up():
    """A network that has learnt next to nothing is not one whose ids are shifted."""
    counts = torch.tensor([[0, 9, 0], [0, 9, 0], [0, 8, 1]]).numpy()
    assert mixup_findings(counts, ("a", "b", "c"))[0] == []
    shifted = torch.tensor([[0, 9, 0], [1, 0, 8], [9, 0, 0]]).numpy()
    (finding,), _ = mixup_findings(shifted, ("a", "b", "c"))
    assert "shifted by +1" in finding.text
    assert finding.where == ("a (0) is called b (1)", "b (1) is called c (2)", "c (2) is called a (0)")


def test_objects_agree_with_the_surest_candidate_on_them():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 10, 10], [50, 50, 60, 60]]])
    scores = torch.tensor([[[0.9, 0.1], [0.2, 0.95], [0.99, 0.0]]])
    targets = {
        "xyxy": torch.tensor([[[0.0, 0, 10, 10], [80, 80, 90, 90], [0, 0, 10, 10]]]),
        "labels": torch.tensor([[0, 1, -1]]),
        "ignored": torch.zeros(1, 3, dtype=torch.bool),
    }

    class Targets:
        tensors = targets

    assert agreement({"xyxy": boxes, "scores": scores}, Targets, 2).tolist() == [[0, 1], [0, 0]]


def test_small_filters_that_happen_to_point_one_way_are_not_doubles():
    layer = nn.Conv2d(2, 64, 1)
    nn.init.constant_(layer.weight, 1.0)
    assert filter_findings(layer)[0] == []


@pytest.mark.parametrize(
    ("only", "message"),
    [("liver", f"there is {', '.join(EXAMINATIONS)}"), ("classes", "needs images. Give a dataset with --data")],
)
def test_what_cannot_be_examined_is_refused(only, message, networks):
    with pytest.raises(UsageError, match=message):
        health_of(networks("classify")[0], only=only)
    with pytest.raises(UsageError, match="The model is for 'classify'"):
        health_of(networks("classify")[0], networks("segment")[1])
