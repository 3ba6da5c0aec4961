"""Sizes, parameters, multiply-adds and bytes against what is published, and against torch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from pellucid.errors import UsageError
from pellucid.ops import counting, terms
from pellucid.ops.layers import (
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
    layer,
    layers,
)
from pellucid.ops.windows import Axis, Window
from tests.ops import networks
from tests.ops.drawn_arguments import Drawn, convolutions, transposed_convolutions

# The comparison of the course: a neuron that sees everything against a filter that is shared


def test_a_neuron_on_an_image_has_a_weight_for_each_value():
    neuron = Linear(3 * 5 * 5, 1, bias=False)
    assert counting.parameters(neuron) == 75
    assert counting.parameters(Linear(3 * 5 * 5, 1)) == 76
    assert counting.output_shape((Flatten(), neuron), (3, 5, 5)) == (1,)


def test_sharing_weights_saves_a_factor_of_three_thousand():
    conv1 = Conv2d(3, 96, 11, stride=4)
    channels, height, width = counting.output_shape(conv1, (3, 227, 227))
    assert (channels, height, width) == (96, 55, 55)
    neurons, each = channels * height * width, 11 * 11 * 3 + 1
    assert (neurons, each) == (290_400, 364)
    assert neurons * each == 105_705_600
    assert counting.parameters(conv1) == 34_944
    im2col = (11 * 11 * 3, height * width)
    assert im2col == (363, 3025)


def test_three_small_filters_cost_less_than_a_large_one():
    for c in (1, 64):
        assert counting.parameters(Conv2d(c, c, 7, bias=False)) == 49 * c**2
        assert counting.parameters([Conv2d(c, c, 3, bias=False)] * 3) == 27 * c**2


def test_the_deck_convolution_against_a_dense_layer():
    assert counting.parameters(Conv2d(1, 1, 3)) == 10
    assert counting.parameters(Linear(25, 25)) == 650


# Sizes


SIZES = [
    (Conv2d(16, 33, (3, 5), (2, 1), (4, 2), (3, 1)), (16, 50, 100), (33, 26, 100)),
    (ConvTranspose2d(16, 16, 3, 2, 1, output_padding=1), (16, 6, 6), (16, 12, 12)),
    (MaxPool2d(3, 2, 1), (64, 112, 112), (64, 56, 56)),
    (AvgPool2d(2, ceil_mode=True), (1, 3, 3), (1, 2, 2)),
    (Upsample(2), (4, 5, 7), (4, 10, 14)),
    (BatchNorm2d(4), (4, 5, 7), (4, 5, 7)),
    (Flatten(), (4, 5, 7), (140,)),
]


@pytest.mark.parametrize(("one", "shape", "expected"), SIZES)
def test_output_shapes(one, shape, expected):
    assert counting.output_shape(one, shape) == expected


@pytest.mark.parametrize(
    ("i", "k", "p", "s", "d", "o"),
    [
        (4, 3, 0, 1, 1, 2),
        (5, 4, 2, 1, 1, 6),
        (5, 3, 1, 1, 1, 5),
        (5, 3, 2, 1, 1, 7),
        (5, 3, 0, 2, 1, 2),
        (5, 3, 1, 2, 1, 3),
        (6, 3, 1, 2, 1, 3),
        (7, 3, 0, 1, 2, 3),
    ],
)
def test_sizes_of_dumoulin_and_visin(i, k, p, s, d, o):
    assert counting.output_size(Conv2d(1, 1, k, s, p, d), (i, i)) == (o, o)


def test_the_transpose_of_a_strided_convolution_gives_its_input_size_back():
    leftover = Axis(6, 3, 2, (1, 1)).leftover
    assert leftover == 1
    assert counting.output_size(ConvTranspose2d(1, 1, 3, 2, 1, output_padding=leftover), (3, 3)) == (6, 6)


@pytest.mark.parametrize(
    ("i", "k", "s", "p", "leftover"),
    [(32, 5, 1, 0, 0), (224, 7, 2, 3, 1), (112, 3, 2, 1, 1), (6, 3, 2, 1, 1), (10, 3, 2, 0, 1)],
)
def test_leftover_rows(i, k, s, p, leftover):
    assert Axis(i, k, s, (p, p)).leftover == leftover


def test_leftover_is_named():
    window = Window(Axis(10, 3, 2), Axis(9, 3, 4))
    assert window.leftover_text() == "1 row and 2 columns at the end are never read"
    assert Window(Axis(10, 3, 2), Axis(9, 3, 2)).leftover_text() == "1 row at the end is never read"
    assert Window(Axis(9, 3, 2), Axis(9, 3, 2)).leftover_text() == ""
    assert Axis(10, 3, 2).unread() == (9,)
    assert Axis(10, 1, 3).unread() == (1, 2, 4, 5, 7, 8)
    assert Axis(5, 3, 1, (1, 1)).formula() == "⌊(5 + 2·1 − 1·(3 − 1) − 1) / 1⌋ + 1 = 5"
    assert Axis(5, 2, 1, (0, 1)).formula() == "⌊(5 + 0 + 1 − 1·(2 − 1) − 1) / 1⌋ + 1 = 5"


def test_a_vgg_on_a_larger_image():
    assert counting.output_shape(networks.vgg16_features(), (3, 384, 384)) == (512, 12, 12)
    ends = (Conv2d(512, 4096, 7), Conv2d(4096, 4096, 1), Conv2d(4096, 1000, 1))
    assert counting.output_shape((*networks.vgg16_features(), *ends), (3, 384, 384)) == (1000, 6, 6)


FCN_SIDES = {
    224: (211, 106, 53, 27, 14),
    320: (259, 130, 65, 33, 17),
    500: (349, 175, 88, 44, 22),
}


@pytest.mark.parametrize("side", FCN_SIDES)
def test_sizes_of_the_reference_fcn(side):
    """conv1_1 with padding 100, pools with ceil, fc6 of 7x7 without padding, then the transposed convolutions."""
    size, found = counting.output_size(Conv2d(3, 64, 3, padding=100), (side, side)), []
    for _ in range(5):
        size = counting.output_size(MaxPool2d(2, ceil_mode=True), size)
        found.append(size[0])
    assert tuple(found) == FCN_SIDES[side]
    fc6 = counting.output_size(Conv2d(512, 4096, 7), size)
    upscore2 = counting.output_size(ConvTranspose2d(1, 1, 4, 2), fc6)
    upscore4 = counting.output_size(ConvTranspose2d(1, 1, 4, 2), upscore2)
    ends = [
        counting.output_size(ConvTranspose2d(1, 1, k, s), start)[0]
        for k, s, start in ((16, 8, upscore4), (32, 16, upscore2), (64, 32, fc6))
    ]
    expected = {224: (8, 18, 38, 312, 304, 288), 320: (11, 24, 50, 408, 400, 384), 500: (16, 34, 70, 568, 560, 544)}
    assert (fc6[0], upscore2[0], upscore4[0], *ends) == expected[side]


# Parameters


PARAMETERS = {
    "course net": (networks.COURSE_NET, 62_006),
    "lenet": (networks.LENET, 61_706),
    "vgg16 features": (networks.vgg16_features(), 14_714_688),
    "vgg16": (networks.vgg16(), 138_357_544),
    "alexnet": (networks.alexnet(), 61_100_840),
    "resnet18": (networks.resnet(18), 11_689_512),
    "resnet34": (networks.resnet(34), 21_797_672),
    "resnet50": (networks.resnet(50), 25_557_032),
    "resnet101": (networks.resnet(101), 44_549_160),
    "resnet152": (networks.resnet(152), 60_192_808),
    "yolo_v1": (networks.yolo_v1_whole(), 271_703_550),
    "yolo_v1 with batch norm": (networks.yolo_v1_normalised(), 271_716_734),
    "fcn alexnet": (networks.fcn_alexnet(), 56_954_261),
    "fcn_resnet50": (networks.fcn_resnet(50), 32_957_013),
    "fcn_resnet50 with aux": ((*networks.fcn_resnet(50), *networks.fcn_head(1024)), 35_322_218),
    "fcn_resnet101 with aux": ((*networks.fcn_resnet(101), *networks.fcn_head(1024)), 54_314_346),
    **{
        f"cifar resnet{depth}{'ab'[kind]}": (networks.cifar_resnet(depth, projection=bool(kind)), counts[kind])
        for depth, counts in {
            20: (269_722, 272_474),
            32: (464_154, 466_906),
            44: (658_586, 661_338),
            56: (853_018, 855_770),
            110: (1_727_962, 1_730_714),
            1202: (19_421_274, 19_424_026),
        }.items()
        for kind in (0, 1)
    },
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name):
    net, expected = PARAMETERS[name]
    assert counting.parameters(net) == expected


def test_parameters_of_the_course_net_layer_by_layer():
    counts = [counting.parameters(one) for one in networks.COURSE_NET if counting.parameters(one)]
    assert counts == [456, 2_416, 48_120, 10_164, 850]


def test_parameters_as_the_resnet_paper_rounds_them():
    """He et al. 2015, table 6, in millions."""
    published = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7, 1202: 19.4}
    for depth, millions in published.items():
        counted = counting.parameters(networks.cifar_resnet(depth)) / 1e6
        assert round(counted, 1 if depth > 56 else 2) == millions


def test_parameters_of_fcn():
    """VGG-16 with fc6 and fc7 as convolutions, the score layers, and dense transposed convolutions of 21 classes."""
    trunk = [*networks.vgg16_features(), Conv2d(512, 4096, 7), Conv2d(4096, 4096, 1)]
    scores = {"32s": [4096], "16s": [4096, 512], "8s": [4096, 512, 256]}
    ups = {"32s": [64], "16s": [4, 32], "8s": [4, 4, 16]}
    expected = {"32s": 136_152_917, "16s": 134_815_994, "8s": 134_489_759}
    for name, channels in scores.items():
        heads = [Conv2d(c, 21, 1) for c in channels]
        dense = [ConvTranspose2d(21, 21, k, bias=False) for k in ups[name]]
        assert counting.parameters([*trunk, *heads, *dense]) == expected[name]
    assert counting.parameters([*trunk, Conv2d(4096, 21, 1)]) == 134_346_581


# Multiply-adds


MACS = {
    "course net": (networks.COURSE_NET, (3, 32, 32), 651_720),
    "resnet18": (networks.resnet(18), (3, 224, 224), 1_814_073_344),
    "resnet34": (networks.resnet(34), (3, 224, 224), 3_663_761_408),
    "resnet50": (networks.resnet(50), (3, 224, 224), 4_089_184_256),
    "resnet101": (networks.resnet(101), (3, 224, 224), 7_801_405_440),
    "resnet152": (networks.resnet(152), (3, 224, 224), 11_513_626_624),
    "vgg16": (networks.vgg16(), (3, 224, 224), 15_470_264_320),
    "resnet20": (networks.cifar_resnet(20), (3, 32, 32), 40_551_040),
    "resnet32": (networks.cifar_resnet(32), (3, 32, 32), 68_862_592),
    "resnet44": (networks.cifar_resnet(44), (3, 32, 32), 97_174_144),
    "resnet56": (networks.cifar_resnet(56), (3, 32, 32), 125_485_696),
    "resnet110": (networks.cifar_resnet(110), (3, 32, 32), 252_887_680),
    "yolo_v1": (networks.yolo_v1(), (3, 448, 448), 20_073_611_264),
    "yolo_v1 ends": ((Linear(50176, 4096), Linear(4096, 1470)), (50176,), 211_542_016),
    "transposed": (ConvTranspose2d(21, 21, 16, 8, 4, bias=False), (21, 28, 28), 88_510_464),
    "depthwise": (Conv2d(32, 32, 3, padding=1, groups=32), (32, 56, 56), 903_168),
    "d2l": (Conv2d(128, 128, 5, padding=2), (128, 256, 256), 53_687_091_200 // 2),
    "resnet18 conv1": (Conv2d(3, 64, 7, 2, 3, bias=False), (3, 224, 224), 118_013_952),
}


@pytest.mark.parametrize("name", MACS)
def test_macs(name):
    net, shape, expected = MACS[name]
    assert counting.macs(net, shape) == expected


def test_macs_of_the_course_net_layer_by_layer():
    rows = [row for row in counting.cost(networks.COURSE_NET, (3, 32, 32)) if row.macs]
    assert [row.macs for row in rows] == [352_800, 240_000, 48_000, 10_080, 840]
    assert (rows[-1].input_shape, rows[-1].output_shape) == ((84,), (10,))


def test_what_other_tools_print():
    """torch's FlopCounterMode gives FLOPs; torchinfo adds the biases to the MACs, torchvision rounds to GMACs."""
    assert 2 * counting.macs(networks.resnet(18), (3, 224, 224)) == 3_628_146_688
    readme = Conv2d(1, 10, 5)
    channels, height, width = counting.output_shape(readme, (1, 28, 28))
    assert (channels, height, width, counting.parameters(readme)) == (10, 24, 24, 260)
    assert 7 * (counting.macs(readme, (1, 28, 28)) + channels * height * width) == 1_048_320
    published = {"resnet18": 1.814, "resnet34": 3.664, "resnet50": 4.089, "resnet101": 7.801, "resnet152": 11.514}
    for name, billions in (published | {"vgg16": 15.47}).items():
        assert round(MACS[name][2] / 1e9, 3) == billions


def test_padded_zeros_are_no_effective_macs():
    one = Conv2d(1, 1, 3, padding=1)
    assert (counting.macs(one, (1, 5, 5)), counting.effective_macs(one, (1, 5, 5))) == (225, 169)


@settings(max_examples=60)
@given(case=convolutions())
def test_effective_macs_are_the_number_of_terms(case: Drawn):
    explain = terms.conv2d(case.x[:1], case.weight, **case.arguments)
    one = Conv2d(case.x.shape[1], len(case.weight), tuple(case.weight.shape[2:]), **case.arguments)
    shape = counting.output_shape(one, case.x.shape[1:])
    counted = sum(len(explain((0, *place))) for place in np.ndindex(*shape))
    assert counting.effective_macs(one, case.x.shape[1:]) == counted


@settings(max_examples=60)
@given(case=transposed_convolutions())
def test_effective_macs_of_a_transposed_convolution(case: Drawn):
    explain = terms.conv_transpose2d(case.x[:1], case.weight, **case.arguments)
    c_in, per_group, *kernel = case.weight.shape
    one = ConvTranspose2d(c_in, per_group * case.arguments["groups"], tuple(kernel), **case.arguments)
    shape = counting.output_shape(one, case.x.shape[1:])
    assert counting.effective_macs(one, case.x.shape[1:]) == sum(
        len(explain((0, *place))) for place in np.ndindex(*shape)
    )


# Bytes


INTENSITY = [
    (Conv2d(3, 64, 7, 2, 3, bias=False), (3, 224, 224), 61.3),
    (Conv2d(64, 64, 3, padding=1, bias=False), (64, 56, 56), 131.9),
    (Conv2d(64, 128, 3, 2, 1, bias=False), (64, 56, 56), 77.1),
    (Conv2d(64, 128, 1, 2, bias=False), (64, 56, 56), 10.4),
    (Conv2d(512, 512, 3, padding=1, bias=False), (512, 7, 7), 24.0),
    (Conv2d(32, 32, 3, padding=1, groups=32, bias=False), (32, 56, 56), 2.25),
    (Linear(512, 1000), (512,), 0.50),
    (Conv2d(3, 6, 5, bias=False), (3, 32, 32), 21.4),
    (Conv2d(6, 16, 5, bias=False), (6, 14, 14), 23.2),
]


@pytest.mark.parametrize(("one", "shape", "expected"), INTENSITY)
def test_arithmetic_intensity(one, shape, expected):
    found = 2 * counting.macs(one, shape) / counting.bytes_moved(one, shape)
    assert found == pytest.approx(expected, abs=0.051)


def test_bytes_of_many_layers_are_the_sum():
    net = networks.COURSE_NET
    assert counting.bytes_moved(net, (3, 32, 32)) == sum(row.bytes for row in counting.cost(net, (3, 32, 32)))
    assert counting.bytes_moved(net, (3, 32, 32), item=2) * 2 == counting.bytes_moved(net, (3, 32, 32))


# torch's own modules


MODULES = [
    nn.Conv2d(4, 6, (3, 2), (2, 1), "valid", groups=2),
    nn.Conv2d(4, 6, 3, padding="same", bias=False, padding_mode="reflect"),
    nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2),
    nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    nn.AvgPool2d(3, 2),
    nn.BatchNorm2d(4),
    nn.ReLU(),
    nn.Upsample(scale_factor=2),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_modules_of_torch_are_layers(module):
    x = torch.zeros(1, 4, 9, 8)
    assert counting.output_shape(module, (4, 9, 8)) == tuple(module(x).shape[1:])
    assert counting.parameters(module) == sum(math.prod(one.shape) for one in module.parameters())
    assert layer(layer(module)) == layer(module)


def test_a_sequential_is_its_layers():
    net = nn.Sequential(nn.Conv2d(3, 6, 5), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))
    assert [type(one).__name__ for one in layers(net)] == ["Conv2d", "ReLU", "MaxPool2d"]
    assert counting.output_shape(net, (3, 32, 32)) == (6, 14, 14)


# Refusals


def test_refusals_name_the_layer_and_the_number():
    with pytest.raises(UsageError, match=r"No layer is called GELU\. There is: AdaptiveAvgPool2d"):
        counting.parameters(nn.GELU())
    with pytest.raises(UsageError, match="Conv2d has in_channels=3, and what comes in has 4"):
        counting.output_shape(Conv2d(3, 6, 5), (4, 32, 32))
    with pytest.raises(UsageError, match="Linear has in_features=400, and what comes in has 256"):
        counting.output_shape(networks.COURSE_NET, (3, 28, 28))
    with pytest.raises(UsageError, match="cannot be joined by add"):
        counting.output_shape(Branches(((Conv2d(3, 6, 1),), ())), (3, 8, 8))
    with pytest.raises(UsageError, match="give paths and add or concat"):
        Branches((), "add")


def test_branches_along_the_channels():
    one = Branches(((Conv2d(3, 6, 1), ReLU()), (Conv2d(3, 2, 3, padding=1),)), "concat")
    assert counting.output_shape(one, (3, 8, 8)) == (8, 8, 8)
    assert [type(row.layer).__name__ for row in counting.cost(one, (3, 8, 8))] == ["Conv2d", "ReLU", "Conv2d"]
