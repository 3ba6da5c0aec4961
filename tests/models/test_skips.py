"""Upsampling by transposed convolutions, and maps of several strides laid over each other."""

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pellucid.models.base import AbstractSegmenter, Backbone, Feature, build_model
from pellucid.models.fcn import ConvolutionalVGG
from pellucid.models.resnet import resnet_backbone
from pellucid.models.resnet_small import SmallResNet
from pellucid.models.skips import SkipHead, bilinear_filter, overlap, score, steps, upscore
from pellucid.models.vgg import VGG

THIN = {name: {"width": 1} for name in ("fcn32s", "fcn16s", "fcn8s")}
NETWORKS = [*THIN, "fcn32s_resnet18", "fcn16s_resnet18", "fcn8s_resnet18"]


def segmenter(name: str, classes: int = 2) -> AbstractSegmenter:
    torch.manual_seed(0)
    return build_model(name, classes, in_channels=1, **THIN.get(name, {})).eval()


def fill_scores(model: nn.Module) -> None:
    """As after training: no score is 0."""
    for layer in model.classifier.score.values():
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)


# --- filters ---


def test_published_filters():
    line = torch.tensor([1.0, 3, 3, 1])
    assert torch.equal(bilinear_filter(4) * 16, torch.outer(line, line))
    line = torch.tensor([1.0, 2, 1])
    assert torch.equal(bilinear_filter(3) * 4, torch.outer(line, line))


@pytest.mark.parametrize(("kernel_size", "total"), [(3, 4), (4, 4), (16, 64), (32, 256), (63, 1024), (64, 1024)])
def test_a_filter_adds_up_to_the_square_of_its_factor(kernel_size, total):
    assert float(bilinear_filter(kernel_size).sum()) == pytest.approx(total)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("factor", [2, 3, 4, 8, 16, 32])
def test_cells_between_pixels_are_interpolated_as_torch_does(factor, groups):
    """`align_corners=False`, equal in the interior; at the border torch repeats what we leave out."""
    step = steps([Feature("only", 3, factor, (factor - 1) / 2)], margin=0)["only"]
    assert (step.kernel_size, step.first) == (2 * factor - factor % 2, -(factor // 2))
    layer = upscore(3, step, groups=groups, learnt=False).double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(factor))
    start = -step.first
    ours = layer(x)[:, :, start : start + 4 * factor, start : start + 5 * factor]
    expected = functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = slice(factor, -factor)
    torch.testing.assert_close(ours[:, :, inner, inner], expected[:, :, inner, inner], rtol=0, atol=1e-6)
    assert float((ours - expected).detach().abs().max()) > 0.01


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32])
def test_cells_on_pixels_are_interpolated_as_torch_does(factor):
    """`align_corners=True` over the pixels from the first cell to the last, borders included."""
    head = SkipHead([Feature("only", 1, factor)], 1, groups=1, margin=1).double()
    nn.init.ones_(head.score["only"].weight)
    x = torch.randn(1, 1, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(factor))
    size = (3 * factor + 1, 4 * factor + 1)
    expected = functional.interpolate(x, size, mode="bilinear", align_corners=True)
    torch.testing.assert_close(head({"only": x}, size), expected, rtol=0, atol=1e-6)


def test_scores_do_not_fade_towards_the_border():
    level = [Feature("only", 1, 8)]
    x = torch.ones(1, 1, 3, 4)
    for margin, faded in ((0, True), (1, False)):
        head = SkipHead(level, 1, groups=1, margin=margin)
        nn.init.ones_(head.score["only"].weight)
        logits = head({"only": x}, (24, 32))
        assert bool((logits < 0.2).any()) == faded
        assert bool((logits == 1).all()) != faded


def test_scores_begin_at_zero_and_upsampling_as_bilinear_on_the_class_diagonal():
    model = segmenter("fcn8s", 3)
    assert not any(parameter.any() for parameter in model.classifier.score.parameters())
    for layer in model.classifier.upscore.values():
        size = layer.kernel_size[0]
        expected = torch.zeros(3, 3, size, size)
        for at in range(3):
            expected[at, at] = bilinear_filter(size)
        assert torch.equal(layer.weight, expected)
        assert layer.bias is None


def test_a_score_is_a_1x1_convolution_with_bias():
    layer = score(7, 3)
    assert (layer.kernel_size, layer.in_channels, layer.out_channels) == ((1, 1), 7, 3)
    assert layer.bias is not None


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_upsampling_is_fixed_and_all_else_is_learnt(name):
    model = segmenter(name)
    fixed = [key for key, value in model.named_parameters() if not value.requires_grad]
    *_, last = model.classifier.upscore
    assert fixed == [f"classifier.upscore.{last}.weight"]


# --- one map over the other ---


@pytest.mark.parametrize(
    ("upper", "lower", "first", "length", "cells"),
    [(5, 6, 2, 4, (0, 2)), (18, 27, 5, 18, (0, 5)), (6, 3, -2, 3, (2, 0)), (4, 9, -1, 3, (1, 0)), (5, 5, 0, 5, (0, 0))],
)
def test_overlap(upper, lower, first, length, cells):
    above, below = (torch.arange(float(size)).expand(1, 1, size, size) for size in (upper, lower))
    above, below = overlap(above, below, first)
    assert above.shape == below.shape == (1, 1, length, length)
    assert (float(above[0, 0, 0, 0]), float(below[0, 0, 0, 0])) == cells


def test_overlap_takes_either_axis_for_itself():
    above, below = overlap(torch.zeros(1, 1, 4, 9), torch.zeros(1, 1, 8, 5), 1)
    assert above.shape == below.shape == (1, 1, 4, 4)


# --- any size ---


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_heads_cover_every_pixel_of_every_size(stride):
    """Maps of the sizes that the backbones give, as residual networks round up and as VGG pads by 100 before."""
    padded = [Feature("pool3", 1, 8, -95.5), Feature("pool4", 1, 16, -91.5), Feature("fc7", 1, 32, 12.5)]
    plain = [Feature("layer2", 1, 8), Feature("layer3", 1, 16), Feature("layer4", 1, 32)]
    for levels, margin, around in ((padded, 0, 198), (plain, 1, 0)):
        levels = [level for level in levels if level.stride >= stride]
        head = SkipHead(levels, 1, groups=1, margin=margin)
        nn.init.ones_(head.score[levels[-1].name].bias)
        for side in range(1, 135):
            cells = {level.name: -(-(side + around) // level.stride) - 6 * (level.name == "fc7") for level in levels}
            logits = head({name: torch.zeros(1, 1, count, count) for name, count in cells.items()}, (side, side))
            assert logits.shape == (1, 1, side, side)
            assert (logits > 0.1).all()


# --- streams ---


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("fcn32s", ["fc7"]),
        ("fcn16s", ["fc7", "pool4"]),
        ("fcn8s", ["fc7", "pool4", "pool3"]),
        ("fcn32s_resnet18", ["layer4"]),
        ("fcn16s_resnet18", ["layer4", "layer3"]),
        ("fcn8s_resnet18", ["layer4", "layer3", "layer2"]),
    ],
)
@pytest.mark.parametrize("size", [(64, 64), (45, 70)])
def test_the_logits_are_the_sum_of_their_streams(name, levels, size):
    model = segmenter(name).double()
    fill_scores(model)
    x = torch.randn(2, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        streams, logits = model.streams(x), model(x)
        assert list(streams) == levels
        assert all(stream.shape == logits.shape and stream.any() for stream in streams.values())
        torch.testing.assert_close(sum(streams.values()), logits, rtol=0, atol=1e-12)
        for layer in list(model.classifier.score.values())[1:]:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        torch.testing.assert_close(model(x), streams[levels[0]], rtol=0, atol=1e-12)


# --- every pixel stays where it is ---


def symmetrised(network: nn.Module) -> nn.Module:
    """Every kernel the same from left and right, from above and below; norms that are not the identity."""
    generator = torch.Generator().manual_seed(4)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            weight = module.weight.data
            weight = weight + 0.1 * weight.std() * torch.randn(weight.shape, generator=generator)
            weight = weight + weight.flip(2)
            module.weight.data = (weight + weight.flip(3)) / 4
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.3, 0.9, generator=generator)
            module.bias.data.uniform_(-0.3, 0.3, generator=generator)
    return network.double().eval()


def flip_gap(function, x: Tensor) -> float:
    """The greatest difference between the picture of a mirrored image and the mirrored picture, relative."""
    with torch.no_grad():
        there = function(x)
        return max(
            float((function(x.flip(axis)).flip(axis) - there).abs().max() / there.abs().max()) for axis in (2, 3)
        )


SYMMETRIC = {"vgg": (58, 122), "resnet": (65, 97)}
"""Sizes for which the cells lie symmetrically: H + 198 = 32 m, and H = 32 m + 1."""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_mirrored_image_gives_mirrored_logits(name):
    """So it is only if every upsampled map is centred; half a pixel off, at any level, and it is not."""
    model = segmenter(name)
    fill_scores(model)
    model = symmetrised(model)
    size = SYMMETRIC["resnet" if "resnet" in name else "vgg"]
    x = torch.randn(1, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert flip_gap(model, x) < 1e-10
    for level, step in model.classifier.steps.items():
        off = copy.deepcopy(model)
        off.classifier.steps[level] = dataclasses.replace(step, first=step.first + 1)
        assert flip_gap(off, x) > 1e-4


@pytest.mark.parametrize(
    ("backbone", "size"),
    [
        (lambda: ConvolutionalVGG(1, 1), (58, 122)),
        (lambda: VGG(1, in_channels=1, width=1), (96, 64)),
        (lambda: resnet_backbone(18, 1), (65, 97)),
        (lambda: resnet_backbone(18, 1, output_stride=8), (33, 65)),
        (lambda: SmallResNet(1, 20, in_channels=1), (33, 41)),
    ],
    ids=["fcn", "vgg16", "resnet18", "dilated", "resnet20"],
)
def test_cells_are_centred_where_their_features_say(backbone, size):
    """Where cells lie symmetrically, mirrored images give mirrored cells, and the middle one is in the middle."""
    torch.manual_seed(0)
    backbone = symmetrised(backbone())
    assert isinstance(backbone, Backbone)
    x = torch.randn(1, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        stages = backbone.stages(x)
    assert list(stages) == [feature.name for feature in backbone.features]
    for feature in backbone.features:
        cells = stages[feature.name]
        assert cells.shape[1] == feature.channels
        for pixels, count in zip(size, cells.shape[2:], strict=True):
            assert feature.centre + feature.stride * (count - 1) / 2 == (pixels - 1) / 2
        assert flip_gap(lambda x, name=feature.name: backbone.stages(x)[name], x) < 1e-10


def narrowed(model: nn.Module) -> nn.Module:
    """A network that sees no further than its strides and pools: of every kernel the middle alone is left, positive."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            middle = module.kernel_size[0] // 2
            nn.init.zeros_(module.weight)
            module.weight.data[:, :, middle, middle] = 1 / module.in_channels
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return model.double().eval()


@pytest.mark.parametrize(("side", "axis"), [(128, 3), (131, 2)])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_answer_to_a_line_is_centred_on_it(name, side, axis):
    """Over every place of one period, the answers to a lit line weigh as much on one side of it as on the other."""
    model = narrowed(segmenter(name, 1))
    places = torch.arange(47, 47 + 32)
    x = torch.zeros(32, 1, 9, side, dtype=torch.float64)
    x[torch.arange(32), 0, :, places] = 1
    with torch.no_grad():
        answers = model(x.transpose(3, axis)).transpose(3, axis)[:, 0].sum(1)
    distances = torch.arange(side) - places[:, None]
    assert (answers >= 0).all()
    assert abs(float((answers * distances).sum() / answers.sum())) < 1e-9
    assert float((answers * distances.abs()).sum() / answers.sum()) > 2


@pytest.mark.parametrize("size", [(97, 65), (99, 70), (128, 77)])
@pytest.mark.parametrize("name", ["fcn32s_resnet18", "fcn16s_resnet18", "fcn8s_resnet18"])
def test_a_lit_pixel_in_the_middle_of_a_cell_is_the_brightest(name, size):
    """In a residual network cells are centred on pixels, whatever the size of the image."""
    model = narrowed(segmenter(name, 1))
    x = torch.zeros(1, 1, *size, dtype=torch.float64)
    x[0, 0, 64, 32] = 1
    with torch.no_grad():
        answer = model(x)[0, 0]
    assert divmod(int(answer.argmax()), size[1]) == (64, 32)
    assert int((answer == answer.max()).sum()) == 1
    near = answer[64 - 5 : 64 + 6, 32 - 12 : 32 + 13]
    torch.testing.assert_close(near, near.flip(0))
    torch.testing.assert_close(near, near.flip(1))


@pytest.mark.parametrize("name", NETWORKS)
def test_an_object_moved_by_the_stride_moves_its_logits_by_as_much(name):
    """On a strip so long that no answer reaches an end, and without biases, so that nothing else answers."""
    model = segmenter(name).double()
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    for layer in model.classifier.score.values():
        nn.init.normal_(layer.weight)
    x = torch.zeros(2, 1, 9, 800, dtype=torch.float64)
    x[0, 0, :, 380:388] = torch.randn(9, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x[1] = x[0].roll(32, 2)
    with torch.no_grad():
        here, there = model(x)
    assert here[:, :, 380:388].any()
    torch.testing.assert_close(there, here.roll(32, 2), rtol=1e-9, atol=1e-12 * float(here.abs().max()))
    assert not torch.allclose(there, here)
