"""Parameters, names and work of the residual networks, against the paper and torchvision's figures."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pellucid.errors import UsageError
from pellucid.models.base import build_model
from pellucid.models.layers import BasicBlock, Bottleneck, PaddedShortcut
from pellucid.models.resnet import resnet_backbone

# torchvision's weight metadata: parameters at 1,000 classes; work at 224 by torch's counter, FLOPs = 2 MACs
LARGE = {
    18: (11_689_512, 1_814_073_344, 122),
    34: (21_797_672, 3_663_761_408, 218),
    50: (25_557_032, 4_089_184_256, 320),
    101: (44_549_160, 7_801_405_440, 626),
    152: (60_192_808, 11_513_626_624, 932),
}
# table 6 of the paper in full digits, shortcut A and B; MACs at 32x32 with A
SMALL = {
    20: (269_722, 272_474, 40_551_040),
    32: (464_154, 466_906, 68_862_592),
    44: (658_586, 661_338, 97_174_144),
    56: (853_018, 855_770, 125_485_696),
    110: (1_727_962, 1_730_714, 252_887_680),
}


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def macs(model: nn.Module, side: int) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        model.eval()(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() // 2


def torchvision_names(depth: int) -> list[str]:
    """The keys of torchvision's state dict in its order, written down from its source."""
    blocks = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}[depth]
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["conv1.weight", *(f"bn1.{part}" for part in norm)]
    for layer, count in enumerate(blocks, 1):
        for block in range(count):
            start = f"layer{layer}.{block}"
            for at in range(1, 3 if depth < 50 else 4):
                names += [f"{start}.conv{at}.weight", *(f"{start}.bn{at}.{part}" for part in norm)]
            if block == 0 and (layer > 1 or depth >= 50):
                names += [f"{start}.downsample.0.weight", *(f"{start}.downsample.1.{part}" for part in norm)]
    return [*names, "fc.weight", "fc.bias"]


@pytest.mark.parametrize("depth", LARGE)
def test_large_ones_are_torchvisions(depth):
    count, work, entries = LARGE[depth]
    with torch.device("meta"):
        model = build_model(f"resnet{depth}", 1000)
    assert parameters(model) == count
    assert macs(model, 224) == work
    assert list(model.state_dict()) == torchvision_names(depth)
    assert len(model.state_dict()) == entries


def test_bottleneck_has_its_stride_in_the_3x3_convolution():
    block = Bottleneck(256, 128, stride=2)
    assert [layer.stride for layer in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize("depth", SMALL)
def test_small_ones_are_the_papers(depth):
    a, b, work = SMALL[depth]
    with torch.device("meta"):
        model = build_model(f"resnet{depth}", 10)
        assert parameters(model) == parameters(build_model(f"resnet{depth}", 10, shortcut="A")) == a
        assert parameters(build_model(f"resnet{depth}", 10, shortcut="B")) == b
    assert macs(model, 32) == work
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_shortcut_c_projects_in_every_block():
    model = build_model("resnet20", 10, shortcut="C")
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock)]
    assert all(isinstance(block.downsample, nn.Sequential) for block in blocks)
    assert parameters(model) == 272_474 + 3 * (16 * 16 + 2 * 16) + 2 * (32 * 32 + 2 * 32) + 2 * (64 * 64 + 2 * 64)


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(UsageError, match=r"shortcut is 'D'; it must be 'A', 'B' or 'C'"):
        build_model("resnet20", 10, shortcut="D")


def test_padded_shortcut_keeps_every_second_pixel_in_the_middle_channels():
    x = torch.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4)
    y = PaddedShortcut(2, 4, 2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert y[0, 0].tolist() == y[0, 3].tolist() == [[0, 0], [0, 0]]
    assert y[0, 1].tolist() == [[0, 2], [8, 10]]
    assert y[0, 2].tolist() == [[12, 14], [20, 22]]


def test_every_block_begins_as_its_shortcut():
    block = build_model("resnet18", 10).layer1[0].eval()
    x = torch.rand(1, 64, 4, 4)
    assert torch.equal(block(x), x)


def test_filters_begin_with_the_variance_of_he():
    """2 / (out_channels · kernel area)."""
    torch.manual_seed(0)
    weight = build_model("resnet34", 10).layer3[0].conv2.weight
    assert float(weight.detach().var()) == pytest.approx(2 / (256 * 9), rel=0.02)


@pytest.mark.parametrize("side", [33, 40, 64])
def test_sizes_other_than_the_designed_one_work(side):
    with torch.device("meta"):
        assert build_model("resnet20", 10).eval()(torch.empty(1, 3, side, side)).shape == (1, 10)
        assert build_model("resnet50", 10).eval()(torch.empty(1, 3, side, side)).shape == (1, 10)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("size", [(64, 64), (75, 42)])
def test_a_dilated_network_computes_the_plain_one_between_its_cells_too(depth, output_stride, size):
    """Every second or fourth cell of the dilated network is a cell of the plain one, of the same weights."""
    torch.manual_seed(0)
    plain, dilated = resnet_backbone(depth, 3), resnet_backbone(depth, 3, output_stride=output_stride)
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.9)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    dilated.load_state_dict(plain.state_dict(), strict=True)
    assert [feature.stride for feature in dilated.features] == [min(2**at, output_stride) for at in range(1, 6)]
    x = torch.randn(1, 3, *size)
    with torch.no_grad():
        sparse, dense = plain.eval().stages(x), dilated.eval().stages(x)
    for few, many in zip(plain.features, dilated.features, strict=True):
        step = few.stride // many.stride
        torch.testing.assert_close(dense[many.name][:, :, ::step, ::step], sparse[few.name], rtol=1e-4, atol=1e-5)


def test_dilations_follow_torchvision():
    """The first block of a dilated stage still has the dilation of the stage before."""
    with torch.device("meta"):
        network = resnet_backbone(50, 3, output_stride=8)
    found = [[block.conv2.dilation[0] for block in getattr(network, f"layer{at}")] for at in (1, 2, 3, 4)]
    assert found == [[1] * 3, [1] * 4, [1, 2, 2, 2, 2, 2], [2, 4, 4]]
    assert [getattr(network, f"layer{at}")[0].conv2.stride[0] for at in (1, 2, 3, 4)] == [1, 2, 1, 1]
