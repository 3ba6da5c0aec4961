"""FCN-32s, 16s and 8s against the paper and the authors' networks."""

import pytest
import torch
from torch import nn

from pellucid.catalog import catalogue
from pellucid.models.base import build_model
from pellucid.models.vgg import pools
from pellucid.models.weights import inherit_weights
from tests.models.kinds import logits

NAMES = ("fcn32s", "fcn16s", "fcn8s")
SEGMENTERS = sorted(name for name in catalogue("MODELS") if "fcn" in name)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def outputs_of(model: nn.Module, x: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """The shape of what every module gives, by its name; that of the whole is ""."""
    seen: dict[str, tuple[int, ...]] = {}

    def hook(key: str):
        return lambda _module, _inputs, y: seen.update({key: tuple(y.shape)} if isinstance(y, torch.Tensor) else {})

    for key, module in model.named_modules():
        module.register_forward_hook(hook(key))
    model(x)
    return seen


@pytest.mark.parametrize(("name", "count"), [("fcn32s", 136_152_917), ("fcn16s", 134_815_994), ("fcn8s", 134_489_759)])
def test_parameters(name, count):
    with torch.device("meta"):
        assert parameters(build_model(name, 21)) == count


def test_without_deconvolutions_it_is_the_papers_134_million():
    with torch.device("meta"):
        model = build_model("fcn32s", 21)
    assert parameters(model) - parameters(model.classifier.upscore) == 134_346_581


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("fcn32s", {"fc7": (64, 32, -19)}),
        ("fcn16s", {"fc7": (4, 2, 5), "pool4": (32, 16, -27)}),
        ("fcn8s", {"fc7": (4, 2, 5), "pool4": (4, 2, 9), "pool3": (16, 8, -31)}),
    ],
)
def test_kernels_strides_and_crops_are_the_authors(name, layers):
    """They follow from the centres of the cells; the authors' networks state them as numbers."""
    with torch.device("meta"):
        head = build_model(name, 21).classifier
    assert {level: (step.kernel_size, step.stride, step.first) for level, step in head.steps.items()} == layers
    for level, (kernel_size, stride, _) in layers.items():
        layer = head.upscore[level]
        assert (layer.kernel_size, layer.stride, layer.padding) == ((kernel_size,) * 2, (stride,) * 2, (0, 0))
        assert (layer.groups, layer.bias) == (1, None)


@pytest.mark.parametrize(
    ("side", "pooled", "fc6", "upscored", "out"),
    [
        (224, [211, 106, 53, 27, 14], 8, (18, 38), (312, 304, 288)),
        (320, [259, 130, 65, 33, 17], 11, (24, 50), (408, 400, 384)),
        (500, [349, 175, 88, 44, 22], 16, (34, 70), (568, 560, 544)),
    ],
)
def test_sizes_are_the_authors(side, pooled, fc6, upscored, out):
    x = torch.empty(1, 3, side, side, device="meta")
    for name, whole in zip(("fcn8s", "fcn16s", "fcn32s"), out, strict=True):
        with torch.device("meta"):
            model = build_model(name, 21).eval()
        seen = outputs_of(model, x)
        assert seen[""] == (1, 21, side, side)
        assert seen["backbone.fc6"] == seen["backbone.fc7"] == (1, 4096, fc6, fc6)
        given = [seen[f"classifier.upscore.{level}"][2] for level in model.classifier.upscore]
        assert given == [*upscored[: len(given) - 1], whole]
    assert [found.shape[2] for found in pools(model.backbone.layers, x)] == pooled


@pytest.mark.parametrize("name", SEGMENTERS)
def test_what_goes_in_comes_out_to_the_pixel(name):
    with torch.device("meta"):
        model = build_model(name, 2).eval()
        for size in [(1, 1), (2, 9), (33, 32), (70, 45)]:
            outputs = model(torch.empty(1, 3, *size))
            found = outputs.values() if isinstance(outputs, dict) else [outputs]
            assert {tuple(value.shape) for value in found} == {(1, 2, *size)}


@pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s", "fcn8s_resnet18", "fcn_resnet50"])
@pytest.mark.parametrize("size", [(1, 1), (13, 40)])
def test_numbers_come_out_of_any_size(name, size):
    torch.manual_seed(0)
    model = build_model(name, 3, **({"width": 1} if name in NAMES else {})).eval()
    with torch.no_grad():
        assert logits(model(torch.randn(1, 3, *size))).isfinite().all()


def test_the_first_convolution_pads_by_100_and_pools_round_up():
    with torch.device("meta"):
        layers = build_model("fcn8s", 2).backbone.layers
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [layer.padding[0] for layer in convolutions] == [100] + [1] * 12
    assert all(layer.ceil_mode for layer in layers if isinstance(layer, nn.MaxPool2d))


def test_on_7x7_cells_the_convolutions_are_vggs_linear_layers():
    torch.manual_seed(0)
    vgg, model = (build_model(name, 5, width=2).double().eval() for name in ("vgg16", "fcn8s"))
    left = inherit_weights(model, vgg.state_dict())
    assert left
    assert all(name.startswith("classifier.") for name in left)
    cells = torch.rand(3, 16, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        fc6, linear6 = model.backbone.fc6(cells), vgg.classifier[0](cells.flatten(1))
        torch.testing.assert_close(fc6.flatten(1), linear6, rtol=1e-12, atol=1e-14)
        fc7, linear7 = model.backbone.fc7(fc6.relu()), vgg.classifier[3](linear6.relu())
        torch.testing.assert_close(fc7.flatten(1), linear7, rtol=1e-12, atol=1e-14)


def test_before_training_no_class_is_preferred_anywhere():
    torch.manual_seed(0)
    model = build_model("fcn8s", 3, width=1).eval()
    assert not model(torch.randn(1, 3, 20, 20)).any()
