"""A number of a network as a state of the page Arithmetic: what is in the address adds up to the number."""

import itertools
from urllib.parse import unquote

import numpy as np
import pytest
import torch

from pellucid.errors import UsageError
from pellucid.inspection.recording import record
from pellucid.inspection.targets import Class
from pellucid.inspection.terms_of import explain
from pellucid.models.base import build_model
from pellucid.ops.arithmetic import conv2d, max_pool2d
from pellucid.studio.hops import Hop, followed, hops_of, path_text, starts
from pellucid.studio.window import CHANNELS, arithmetic_address
from tests.inspection.networks import CourseNet, ForeignResNet, unsettled

NETWORKS = {
    "resnet20": lambda: build_model("resnet20", 3),
    "fcn8s_resnet18": lambda: build_model("fcn8s_resnet18", 3),
    "yolo_n": lambda: build_model("yolo_n", 3, share=1 / 4),
    "course": CourseNet,
    "foreign": ForeignResNet,
}


def state_of(address: str) -> dict[str, str]:
    page, _, fragment = address.partition("#")
    assert page == "/arithmetic"
    return {key: unquote(value) for key, _, value in (part.partition("=") for part in fragment.split("&"))}


def grid(text: str) -> np.ndarray:
    return np.array(
        [[[float(value) for value in row.split(",")] for row in plane.split("/")] for plane in text.split(";")]
    )


def total(state: dict[str, str]) -> float:
    """What the page computes at its one output."""
    x = grid(state["x"])[None]
    match state.get("operation", "conv2d"):
        case "relu":
            return max(0.0, x.item())
        case "max_pool2d":
            return float(max_pool2d(x, x.shape[2:]).item())
    dilation = tuple(map(int, state["dilation"].split(","))) if "dilation" in state else (1, 1)
    weight = grid(state["weight"])[None]
    return float(conv2d(x, weight, np.array([float(state["bias"])]), dilation=dilation)[0, 0, 0, 0])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_address_of_every_kind_adds_up(name):
    torch.manual_seed(0)
    network, rng = unsettled(NETWORKS[name]()), np.random.default_rng(0)
    trace = record(network, torch.randn(1, 3, 32, 32))
    opened = set()
    for operation in trace.operations[1:]:
        for _ in range(3):
            at = tuple(int(rng.integers(side)) for side in operation.output.shape[1:])
            try:
                found = explain(trace, operation.name, at)
            except UsageError:
                continue
            state = state_of(arithmetic_address(trace, Hop(operation.name, at), found))
            assert total(state) == pytest.approx(found.value, abs=max(found.bound, 1e-12)), (operation.name, at)
            assert float(state["network"]) == found.value
            assert len(grid(state["x"])) <= CHANNELS
            assert max(grid(state["x"]).shape[1:]) <= 16
            opened.add(operation.kind)
    assert "conv2d" in opened


def test_channels_that_are_left_out_are_counted():
    torch.manual_seed(0)
    trace = record(unsettled(build_model("resnet20", 3)), torch.randn(1, 3, 32, 32))
    found = explain(trace, "layer3.1.conv1", (5, 4, 4))
    state = state_of(arithmetic_address(trace, Hop("layer3.1.conv1", (5, 4, 4)), found))
    assert state["more"] == str(64 - CHANNELS)
    own = found.terms.bias
    assert float(state["bias"]) == pytest.approx(own + float(state["rest"]))
    drawn = [int(name.rpartition("[")[2][:-1]) for name in state["channels"].split(" · ")]
    weight = trace["layer3.1.conv1"].arguments[1].detach().double().numpy()[5, drawn]
    np.testing.assert_array_equal(grid(state["weight"]), weight)


def test_a_path_is_read_as_it_was_written():
    torch.manual_seed(0)
    network = unsettled(build_model("resnet20", 3))
    trace = record(network, torch.randn(1, 3, 32, 32))
    first = starts(network, trace, Class(1, 2), ())
    assert [(hop.said, hop.factor) for hop in first] == [("fc[1]", 1.0), ("fc[2]", -1.0)]
    path = followed(trace, first[:1])
    assert path[-1].name == "input"
    assert hops_of(path_text(path), trace) == path
    for hop, term in itertools.pairwise(path):
        terms = [one for one in explain(trace, hop.name, hop.at).terms if one.source != "a constant"]
        largest = max(terms, key=lambda one: abs(one.coefficient * one.value))
        assert (largest.source, largest.index[1:]) == (term.name, term.at)


@pytest.mark.parametrize("text", ["fc", "fc@3", "fc@x", "fc@0,0", "none@0", "conv1@0,32,0", ""])
def test_a_hop_that_cannot_be_meant_is_refused(text):
    trace = record(unsettled(build_model("resnet20", 3)), torch.randn(1, 3, 32, 32))
    with pytest.raises(UsageError):
        hops_of(text, trace)
