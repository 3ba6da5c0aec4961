"""Receptive fields against what is published, and against the support of torch's gradient."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pellucid.errors import UsageError
from pellucid.ops.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Branches,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Upsample,
)
from pellucid.ops.receptive import receptive_field, seen
from tests.ops import networks

MODES = ("zeros", "reflect")


def after_each(layers) -> list[tuple[int, int]]:
    """(size, jump) behind every layer that is no activation."""
    kept = [one for one in layers if not isinstance(one, ReLU)]
    fields = [receptive_field(kept[: place + 1]) for place in range(len(kept))]
    return [(int(field.size), int(field.jump)) for field in fields]


def test_the_course_net():
    convolutional = networks.COURSE_NET[:6]
    assert after_each(convolutional) == [(5, 1), (6, 2), (14, 2), (16, 4)]
    mask = seen(convolutional, (32, 32), (2, 2))
    assert mask[8:24, 8:24].all()
    assert mask.sum() == 16 * 16


def test_vgg16_and_fcn():
    features = networks.vgg16_features()
    pools = [place + 1 for place, one in enumerate(features) if isinstance(one, MaxPool2d)]
    fields = [receptive_field(features[:place]) for place in pools]
    assert [field.size for field in fields] == [6, 16, 44, 100, 212]
    assert (fields[-1].jump, fields[-1].padding) == (32, 90)
    assert receptive_field([*features, Conv2d(512, 4096, 7)]).size == 404


def test_alexnet():
    steps = ((11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1), (3, 2))
    assert [size for size, _ in after_each(networks.path(*steps))] == [11, 19, 51, 67, 99, 131, 163, 195]
    assert receptive_field(networks.path(*steps, (6, 1))).size == 355


RESNETS = {
    18: (43, 99, 211, 435),
    34: (59, 179, 547, 899),
    50: (35, 91, 267, 427),
    101: (35, 91, 811, 971),
    152: (35, 155, 1291, 1451),
}
PADDINGS = {18: 217, 34: 449, 50: 213, 101: 485, 152: 725}


def stage_fields(stages):
    return [receptive_field(list(itertools.chain(*stages[: end + 1]))) for end in range(1, len(stages))]


@pytest.mark.parametrize("depth", RESNETS)
def test_resnets(depth):
    fields = stage_fields(networks.resnet_stages(depth))
    assert tuple(field.size for field in fields) == RESNETS[depth]
    assert [field.jump for field in fields] == [4, 8, 16, 32]
    assert all(field.aligned for field in fields)
    assert fields[-1].padding == PADDINGS[depth]
    if depth == 50:
        assert (fields[2].jump, fields[2].padding) == (16, 133)


@pytest.mark.parametrize(("depth", "expected"), [(50, (35, 99, 291, 483)), (101, (35, 99, 835, 1027))])
def test_resnets_whose_stride_comes_last(depth, expected):
    fields = stage_fields(networks.slim_resnet(depth))
    assert tuple(field.size for field in fields) == expected


def test_other_published_networks():
    assert receptive_field(networks.mobilenet_v1()).size == 315
    assert receptive_field(networks.inception_v4()).size == 2071
    assert receptive_field([*networks.googlenet(), *networks.path((7, 1))]).size == 907
    field = receptive_field(networks.yolo_v1())
    assert (field.size, field.jump) == (749, 64)
    for depth, size in ((20, 81), (56, 249)):
        field = receptive_field(networks.cifar_resnet_trunk(depth, projection=True))
        assert (field.size, field.jump) == (size, 4)


def test_where_a_unit_of_inception_resnet_is_centred():
    rows = receptive_field(networks.inception_resnet_v2(), axis=0)
    columns = receptive_field(networks.inception_resnet_v2(), axis=1)
    assert (rows.size, rows.jump, rows.padding) == (3039, 32, 1482)
    assert (rows.start, columns.start + 2 * columns.jump) == (37, 101)


def test_what_sees_everything():
    for last in (Flatten(), Linear(4, 2), AdaptiveAvgPool2d(1)):
        assert receptive_field([Conv2d(1, 1, 3), last]).size == math.inf
        assert seen([Conv2d(1, 1, 3), last], (6, 5), (0, 0)).all()


def test_dilation_leaves_holes():
    mask = seen(Conv2d(1, 1, 3, dilation=2), (9, 9), (1, 0))
    assert np.argwhere(mask).tolist() == [[row, column] for row in (1, 3, 5) for column in (0, 2, 4)]
    assert receptive_field(Conv2d(1, 1, 3, dilation=2)).size == 5


def test_reflected_padding_reads_the_input_again():
    zeros, reflected = (seen(Conv2d(1, 1, 3, padding=1, padding_mode=mode), (5, 5), (0, 0)) for mode in MODES)
    np.testing.assert_array_equal(zeros, reflected)  # row -1 shows row 1, which is read anyhow
    wide = seen(Conv2d(1, 1, 1, stride=3, padding=2, padding_mode="reflect"), (5, 5), (0, 0))
    assert np.argwhere(wide).tolist() == [[2, 2]]


def test_a_transposed_convolution_divides_the_jump():
    field = receptive_field([Conv2d(1, 1, 3, 2, 1), ConvTranspose2d(1, 1, 4, 2, 1)])
    assert field.jump == 1
    assert receptive_field(ConvTranspose2d(1, 1, 4, 2, 1)).jump == Fraction(1, 2)


def test_branches_that_meet():
    shifted = Branches((tuple(networks.path((3, 1))), (Conv2d(1, 1, 3, padding=2),)))
    field = receptive_field(shifted)
    assert not field.aligned
    assert (field.low, field.high) == (-2, 1)
    assert not receptive_field([shifted, Conv2d(1, 1, 3)]).aligned
    with pytest.raises(UsageError, match="Branches with strides of 1, 2 meet"):
        receptive_field(Branches((networks.path((3, 2)), ())))


@st.composite
def stacks(draw) -> list:
    """Layers one after another, a branch now and then; every one keeps at least one unit of 24x24."""
    found, jump = [], 1
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "pool", "up", "branches", "transposed", "norm"]))
        k, d = draw(st.integers(1, 3)), draw(st.integers(1, 2))
        s = draw(st.integers(1, 2)) if jump < 4 else 1
        match kind:
            case "conv":
                found.append(Conv2d(1, 1, k, s, draw(st.integers(0, 2)), d))
            case "pool":
                found.append(AvgPool2d(k, s, draw(st.integers(0, k // 2))))
            case "up":
                found.append(Upsample(2))
            case "branches":
                found.append(Branches(((Conv2d(1, 1, 3, s, 1), ReLU()), (Conv2d(1, 1, 1, s),))))
            case "transposed":
                found.append(ConvTranspose2d(1, 1, k + 1, s, 0, dilation=d))
            case "norm":
                found.append(BatchNorm2d(1))
        jump *= s if kind in ("conv", "pool", "branches") else 1
    return found


class Net(nn.Module):
    """The layers in torch, with weights above 0 so that no gradient cancels, and without the ReLU's corners."""

    def __init__(self, layers) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x):
        for one in self.layers:
            x = self.step(one, x)
        return x

    def step(self, one, x):
        match one:
            case Conv2d() | ConvTranspose2d() | AvgPool2d():
                names = [name for name in one.__slots__ if name not in ("bias", "in_channels", "out_channels")]
                arguments = {name: getattr(one, name) for name in names}
                if isinstance(one, AvgPool2d):
                    return nn.AvgPool2d(**arguments)(x)
                module = getattr(nn, type(one).__name__)(1, 1, **arguments, bias=False)
                nn.init.constant_(module.weight, 1.0)
                return module(x)
            case Upsample():
                return nn.functional.interpolate(x, scale_factor=one.scale_factor, mode="bilinear")
            case Branches():
                return sum(Net(path)(x) for path in one.paths)
        return x


@settings(max_examples=150)
@given(layers=stacks(), data=st.data())
def test_what_a_unit_sees_is_where_its_gradient_is(layers, data):
    x = torch.zeros(1, 1, 24, 24, requires_grad=True)
    output = Net(layers)(x)
    unit = tuple(data.draw(st.integers(0, size - 1)) for size in output.shape[2:])
    output[(0, 0, *unit)].backward()
    touched = (x.grad[0, 0] != 0).numpy()
    np.testing.assert_array_equal(seen(layers, (24, 24), unit), touched)
    for axis, place in enumerate(unit):
        field = receptive_field(layers, axis)
        reached = np.flatnonzero(touched.any(axis=1 - axis))
        assert all(field.jump * place + field.low <= row <= field.jump * place + field.high for row in reached)
