"""A trace is the network: what it says was computed is what is computed."""

import functools

import pytest
import torch
from torch import nn
from torch.nn.functional import relu

from pellucid.catalog import catalogue
from pellucid.errors import UsageError
from pellucid.inspection.recording import INPUT, record
from tests.inspection.networks import CourseNet, ForeignResNet, narrow, unsettled

NAMES = sorted(catalogue("MODELS"))


@functools.cache
def built(name: str) -> nn.Module:
    torch.manual_seed(0)
    return unsettled(narrow(name))


def image(model: nn.Module, side: int = 64) -> torch.Tensor:
    side = model.size if getattr(model, "fixed_size", False) else side
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(2))


def flat(outputs) -> list[torch.Tensor]:
    return list(outputs.values()) if isinstance(outputs, dict) else [outputs]


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_gives_what_was_recorded(name):
    """Made again by itself, from the inputs that were recorded for it."""
    trace = record(built(name), image(built(name)))
    assert len(trace) > 10
    for operation in trace:
        for recorded, again in zip(operation.outputs, operation.again(), strict=True):
            torch.testing.assert_close(recorded, again, rtol=0, atol=0, msg=operation.name)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_gives_what_a_hook_sees(name):
    """The trace against a run without it, layer by layer and in the end."""
    model, x = built(name), image(built(name))
    trace, seen = record(model, x), {}

    def keep(path, _module, _inputs, output):
        seen.setdefault(path, output.clone())  # of a layer that serves several places, the first

    layers = [(path, one) for path, one in model.named_modules() if type(one).__module__.startswith("torch.nn.modules")]
    hooks = [
        one.register_forward_hook(functools.partial(keep, path)) for path, one in layers if not any(one.children())
    ]
    with torch.no_grad():
        outputs = model.eval()(x)
    for hook in hooks:
        hook.remove()
    silent = {path for path, module in model.named_modules() if isinstance(module, nn.Dropout | nn.Identity)}
    for path, output in seen.items():
        if path not in silent:
            torch.testing.assert_close(trace[path].output, output, rtol=0, atol=0, msg=path)
    for recorded, given in zip(flat(trace.result), flat(outputs), strict=True):
        torch.testing.assert_close(recorded, given, rtol=0, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_every_value_comes_from_the_operation_that_it_is_said_to(name):
    """What went in is, to the bit, what the parents gave; every parameter that works is counted, and once."""
    model = built(name)
    trace = record(model, image(model))
    known = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    for operation in trace:
        given = {id(output) for parent in operation.parents for output in trace.operations[parent].outputs}
        tensors = [one for one in leaves((operation.arguments, operation.keywords)) if id(one) not in known]
        assert {id(one) for one in tensors} == given, operation.name
    assert sum(operation.params for operation in trace) == sum(one.numel() for one in model.parameters())


def leaves(tree) -> list[torch.Tensor]:
    return [leaf for leaf in torch.utils._pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def test_in_place_layers_of_a_foreign_model_falsify_nothing():
    torch.manual_seed(0)
    model = unsettled(ForeignResNet()).eval()
    x = image(model)
    trace = record(model, x)
    for operation in trace:
        torch.testing.assert_close(operation.output, operation.again()[0], rtol=0, atol=0, msg=operation.name)
    with torch.no_grad():
        torch.testing.assert_close(trace.result, model(x), rtol=0, atol=0)
        norm = model.bn1(model.conv1(x))
    torch.testing.assert_close(trace["bn1"].output, norm, rtol=0, atol=0)  # before the ReLU wrote over it
    assert (trace["bn1"].output < 0).any()
    assert not (trace["relu"].output < 0).any()
    assert trace["layer1.0.relu"].output.equal(relu(trace["layer1.0.bn1"].output))


def test_a_residual_sum_has_two_parents():
    trace = record(unsettled(ForeignResNet()), torch.randn(1, 3, 32, 32))
    names = [[trace.operations[parent].name for parent in trace[at].parents] for at in ("layer1.0.add", "layer2.0.add")]
    assert names == [["maxpool", "layer1.0.bn2"], ["layer2.0.bn2", "layer2.0.downsample.1"]]
    assert [trace.operations[at].name for at in trace["layer1.1.conv1"].parents] == ["layer1.0.relu#2"]


def test_the_course_net_is_seen_whole():
    trace = record(CourseNet(), torch.randn(2, 3, 32, 32))
    assert [operation.name for operation in trace] == [
        *(INPUT, "conv1", "relu", "pool", "conv2", "relu#2", "pool#2", "view"),
        *("fc1", "relu#3", "fc2", "relu#4", "fc3"),
    ]
    assert [operation.parents for operation in trace][1:] == [(at,) for at in range(12)]
    assert [tuple(trace[name].output.shape) for name in ("pool", "pool#2")] == [(2, 6, 14, 14), (2, 16, 5, 5)]
    assert sum(operation.macs for operation in trace) == 2 * 651_720
    assert sum(operation.params for operation in trace) == 62_006


def test_a_view_that_is_written_to_is_followed():
    class Writer(nn.Module):
        def forward(self, x):
            y = x * 2
            y[:, 0].relu_()
            return y + 1

    trace = record(Writer(), torch.tensor([[-1.0, -2.0]]))
    assert [operation.name for operation in trace] == ["input", "mul", "getitem", "relu", "add"]
    assert trace["mul"].output.tolist() == [[-2, -4]]
    assert trace["add"].output.tolist() == [[1, -3]]
    assert trace.operations[trace["add"].parents[0]].name == "relu"
    assert trace["add"].again()[0].tolist() == [[1, -3]]


def test_looking_changes_nothing():
    model = unsettled(ForeignResNet()).train()
    model.bn1.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    x = torch.randn(1, 3, 32, 32)
    given = x.clone()
    record(model, x)
    assert x.equal(given)
    assert [module.training for module in model.modules()] == modes
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_that_fails_is_left_as_it_was():
    model = CourseNet().train()
    with pytest.raises(RuntimeError):
        record(model, torch.randn(1, 3, 40, 40))
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_name_that_is_none_is_refused_with_the_nearest():
    trace = record(CourseNet(), torch.randn(1, 3, 32, 32))
    with pytest.raises(UsageError, match=r"No operation is called 'conv3'.*Did you mean 'conv"):
        trace["conv3"]
