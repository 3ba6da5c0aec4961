"""The network that the budget turns: its halvings, widths and limits."""

import pytest
import torch
from torch import nn

from pellucid.errors import UsageError
from pellucid.models.base import build_model


@pytest.mark.parametrize(
    ("side", "stride", "halvings"), [(8, 1, 1), (16, 1, 2), (28, 1, 3), (32, 1, 3), (64, 1, 4), (96, 2, 4), (224, 2, 5)]
)
def test_three_cells_or_so_are_left(side, stride, halvings):
    with torch.device("meta"):
        model = build_model("compact", 5, width=16, side=side).eval()
    assert model.stem.conv.stride == (stride, stride)
    assert [feature.stride for feature in model.features] == [stride * 2 ** (place + 1) for place in range(halvings)]
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == halvings
    last = model.stages(torch.empty(1, 3, side, side, device="meta"))[model.features[-1].name]
    assert 2 <= last.shape[2] <= 5
    assert last.shape[1] == model.features[-1].channels == model.fc.in_features


def test_widths():
    def widths(side: int) -> list[int]:
        return [feature.channels for feature in build_model("compact", 5, width=24, side=side).features]

    assert widths(32) == [24, 48, 48]
    assert widths(224) == [24, 48, 96, 96, 96]
    assert build_model("compact", 5, width=24).stem.conv.out_channels == 12


def test_the_head_takes_the_largest_value_of_each_channel():
    torch.manual_seed(0)
    model = build_model("compact", 4, width=4, side=16).eval()
    x = torch.randn(2, 3, 16, 16)
    last = model.stages(x)[model.features[-1].name]
    torch.testing.assert_close(model(x), model.fc(last.flatten(2).max(2).values))


@pytest.mark.parametrize("side", [8, 33, 50])
def test_other_sizes_than_its_own(side):
    assert build_model("compact", 4, width=4, side=28).eval()(torch.zeros(1, 3, side, side + 5)).shape == (1, 4)


@pytest.mark.parametrize("arguments", [{"width": 1}, {"width": 0}, {"side": 0}, {"side": -3}])
def test_what_cannot_be_built_is_refused(arguments):
    with pytest.raises(UsageError, match="the width is at least 2, the side at least 1"):
        build_model("compact", 4, **arguments)
