"""Fully convolutional residual networks: torchvision's by name and number, the skips by the levels they read."""

import pytest
import torch
from torch import nn

from pellucid.models.base import build_model
from pellucid.models.weights import fit_weights
from tests.models.test_resnet import torchvision_names
from tests.models.test_skips import narrowed

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def torchvision_fcn_names(depth: int, heads: tuple[str, ...]) -> list[str]:
    names = [f"backbone.{name}" for name in torchvision_names(depth) if not name.startswith("fc.")]
    for head in heads:
        names += [f"{head}.0.weight", *(f"{head}.1.{part}" for part in NORM), f"{head}.4.weight", f"{head}.4.bias"]
    return names


@pytest.mark.parametrize(
    ("depth", "aux", "count"), [(50, True, 35_322_218), (50, False, 32_957_013), (101, True, 54_314_346)]
)
def test_dilated_ones_are_torchvisions(depth, aux, count):
    with torch.device("meta"):
        model = build_model(f"fcn_resnet{depth}", 21, aux=aux)
    assert parameters(model) == count
    heads = ("classifier", "aux_classifier") if aux else ("classifier",)
    assert list(model.state_dict()) == torchvision_fcn_names(depth, heads)


def test_shapes_of_some_published_tensors():
    with torch.device("meta"):
        state = build_model("fcn_resnet50", 21).state_dict()
    assert {name: tuple(state[name].shape) for name in state if name.endswith("r.0.weight")} == {
        "classifier.0.weight": (512, 2048, 3, 3),
        "aux_classifier.0.weight": (256, 1024, 3, 3),
    }
    assert state["classifier.4.weight"].shape == (21, 512, 1, 1)
    assert state["aux_classifier.4.bias"].shape == (21,)
    assert state["backbone.layer4.0.downsample.0.weight"].shape == (2048, 1024, 1, 1)


def test_logits_lie_at_an_eighth_before_they_are_resized():
    with torch.device("meta"):
        model = build_model("fcn_resnet50", 21).eval()
        stages = model.backbone.stages(torch.empty(1, 3, 520, 390))
    assert stages["layer3"].shape[2:] == stages["layer4"].shape[2:] == (65, 49)


def test_both_heads_give_logits_of_the_full_size_and_one_alone_a_tensor():
    with torch.device("meta"):
        x = torch.empty(2, 3, 33, 20)
        outputs = build_model("fcn_resnet50", 4).eval()(x)
        assert {name: tuple(value.shape) for name, value in outputs.items()} == dict.fromkeys(
            ("out", "aux"), (2, 4, 33, 20)
        )
        assert build_model("fcn_resnet50", 4, aux=False).eval()(x).shape == (2, 4, 33, 20)


def test_other_classes_leave_the_last_layer_of_both_heads_new():
    with torch.device("meta"):
        theirs, model = build_model("fcn_resnet50", 21).state_dict(), build_model("fcn_resnet50", 4)
    left = fit_weights(model, theirs, new_head=True)
    assert left == [f"{head}.4.{part}" for head in ("classifier", "aux_classifier") for part in ("weight", "bias")]


def test_published_upsampling_moves_everything_by_3_5_pixels():
    """As documented: cells centred on 0, 8, 16, … are taken for cells centred on 3.5, 11.5, 19.5, …."""
    torch.manual_seed(0)
    model = narrowed(build_model("fcn_resnet50", 1, in_channels=1, aux=False))
    x = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    x[0, 0, 32, 24] = 1
    with torch.no_grad():
        answer = model(x)[0, 0]
    answer = answer - answer[0, 0]
    places = torch.arange(64.0, dtype=torch.float64)
    assert float((answer.sum(1) * places).sum() / answer.sum()) == pytest.approx(35.5)
    assert float((answer.sum(0) * places).sum() / answer.sum()) == pytest.approx(27.5)


@pytest.mark.parametrize("depth", [18, 34, 50])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_skips_read_the_levels_down_to_their_stride(depth, stride):
    with torch.device("meta"):
        model = build_model(f"fcn{stride}s_resnet{depth}", 21)
        backbone = build_model(f"resnet{depth}", 21)
    levels = {feature.name: feature for feature in backbone.features if feature.stride >= stride}
    scores = model.classifier.score
    assert list(scores) == list(reversed(levels))
    assert {name: layer.in_channels for name, layer in scores.items()} == {n: f.channels for n, f in levels.items()}
    assert levels[list(scores)[-1]].stride == stride


def test_each_class_is_upsampled_by_itself():
    """The paper's dense kernels would hold 100 million zeros at 150 classes."""
    with torch.device("meta"):
        model = build_model("fcn32s_resnet18", 150)
    layer = model.classifier.upscore["layer4"]
    assert (layer.kernel_size, layer.groups, layer.weight.numel()) == ((63, 63), 150, 150 * 63 * 63)


def test_the_backbone_has_no_classifier():
    with torch.device("meta"):
        model = build_model("fcn8s_resnet18", 3)
    assert [name for name, _ in model.backbone.named_children()] == [
        *("conv1", "bn1", "relu", "maxpool"),
        *("layer1", "layer2", "layer3", "layer4"),
    ]
