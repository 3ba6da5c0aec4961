"""VGG-16 against the paper's and torchvision's figures."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pellucid.errors import UsageError
from pellucid.models.base import build_model
from pellucid.models.weights import fit_weights


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def torchvision_shapes(classes: int, width: int) -> dict[str, tuple[int, ...]]:
    """The entries of torchvision's state dict in its order, for `width` instead of 64 channels."""
    shapes, before = {}, 3
    places = {0: 1, 2: 1, 5: 2, 7: 2, 10: 4, 12: 4, 14: 4, 17: 8, 19: 8, 21: 8, 24: 8, 26: 8, 28: 8}
    for place, multiple in places.items():
        after = multiple * width
        shapes |= {f"features.{place}.weight": (after, before, 3, 3), f"features.{place}.bias": (after,)}
        before = after
    for place, (outputs, inputs) in {0: (64, 8 * 49), 3: (64, 64), 6: (0, 64)}.items():
        outputs = outputs * width or classes
        shapes |= {f"classifier.{place}.weight": (outputs, inputs * width), f"classifier.{place}.bias": (outputs,)}
    return shapes


def test_parameters_work_and_names_are_torchvisions():
    with torch.device("meta"):
        model, x = build_model("vgg16", 1000).eval(), torch.empty(1, 3, 224, 224)
    assert parameters(model) == 138_357_544
    assert parameters(model.layers) == 14_714_688
    with FlopCounterMode(display=False) as counter:
        model(x)
    assert counter.get_total_flops() == 2 * 15_470_264_320
    names = [name.replace("layers", "features") for name in model.state_dict()]
    assert names == list(torchvision_shapes(1000, 64))


def test_published_names_and_shapes_fit():
    generator = torch.Generator().manual_seed(0)
    theirs = {name: torch.randn(shape, generator=generator) for name, shape in torchvision_shapes(7, 2).items()}
    model = build_model("vgg16", 7, width=2)
    assert fit_weights(model, theirs) == []
    assert torch.equal(model.layers[28].weight, theirs["features.28.weight"])
    assert torch.equal(model.classifier[6].bias, theirs["classifier.6.bias"])


def test_the_work_and_size_of_column_d():
    """Thirteen convolutions and three linear layers, 224 -> 112 -> … -> 7."""
    with torch.device("meta"):
        model = build_model("vgg16", 10).eval()
        stages = model.stages(torch.empty(1, 3, 224, 224))
    assert [tuple(stage.shape[1:]) for stage in stages.values()] == [
        (64, 112, 112),
        (128, 56, 56),
        (256, 28, 28),
        (512, 14, 14),
        (512, 7, 7),
    ]
    assert list(stages) == ["pool1", "pool2", "pool3", "pool4", "pool5"]
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == 16


def test_random_weights_have_the_deviations_they_should():
    torch.manual_seed(0)
    model = build_model("vgg16", 10, width=16)
    assert float(model.layers[28].weight.detach().var()) == pytest.approx(2 / (128 * 9), rel=0.05)
    assert float(model.classifier[0].weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    biases = [value for name, value in model.named_parameters() if name.endswith("bias")]
    assert not any(bias.any() for bias in biases)


@pytest.mark.parametrize("size", [(32, 32), (95, 50)])
def test_other_sizes_are_pooled_to_7x7(size):
    model = build_model("vgg16", 4, width=1).eval()
    assert model(torch.zeros(1, 3, *size)).shape == (1, 4)


@pytest.mark.parametrize("name", ["vgg16", "fcn8s"])
def test_no_width_is_refused(name):
    with pytest.raises(UsageError, match="VGG of width 0: the first stage has at least one channel"):
        build_model(name, 4, width=0)
