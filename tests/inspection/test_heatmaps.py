"""Heat maps: what the papers' equations give, on networks that hooks of modules see and on those they do not."""

import math

import pytest
import torch
from captum.attr import IntegratedGradients, LayerGradCam, Occlusion
from torch import nn

from pellucid.errors import UsageError
from pellucid.inspection.heatmaps import METHODS, Subject, heat_map, square_numbers
from pellucid.inspection.targets import Box, Class, Pixel
from pellucid.inspection.trials import area, rank_correlation, try_map
from tests.inspection.networks import CourseNet, ForeignResNet, Smooth, unsettled
from tests.inspection.test_accounting import built, images


def foreign() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    return unsettled(ForeignResNet()).eval(), torch.randn(1, 3, 64, 64)


def test_grad_cam_is_captum_s_where_that_sees_the_layer():
    model, x = foreign()
    found = heat_map(model, x, Class(2), method="grad-cam")
    expected = LayerGradCam(model, model.layer2[1]).attribute(x, target=2, relu_attributions=False)[0, 0]
    assert found.layer == "layer2.1.relu#2"
    assert torch.allclose(found.cells, expected.detach().double(), atol=1e-6)
    assert found.logit == pytest.approx(float(model(x)[0, 2].detach()), rel=1e-6)


def test_grad_cam_of_a_pooled_map_is_the_exact_class_map():
    """With a mean and one linear layer behind the map, its cells and the bias add up to the logit."""
    model, x = foreign()
    found = heat_map(model, x, Class(2), method="grad-cam")
    assert float(found.cells.sum()) + float(model.fc.bias[2].detach()) == pytest.approx(found.logit, abs=1e-5)


def test_layer_cam_weighs_place_by_place():
    model, x = foreign()
    kept = {}
    handle = model.layer2.register_forward_hook(lambda _m, _a, output: kept.update(map=output))
    number = model(x)[0, 2]
    handle.remove()
    (gradient,) = torch.autograd.grad(number, kept["map"])
    expected = (gradient.clamp(min=0) * kept["map"]).sum(1)[0].detach().double()
    found = heat_map(model, x, Class(2), method="layer-cam")
    assert torch.allclose(found.cells, expected, atol=1e-6)
    assert (found.cells >= 0).all()


def test_functional_layers_are_found_where_hooks_see_none():
    torch.manual_seed(0)
    found = heat_map(CourseNet(), torch.randn(1, 3, 32, 32), Class(2), method="grad-cam")
    assert found.layer == "relu#2"
    assert found.cells.shape == (10, 10)
    assert found.cells.abs().max() > 0
    assert (found.cells < 0).any(), "the sign stays"


def test_occlusion_is_captum_s_for_squares_that_divide_the_image():
    torch.manual_seed(0)
    model, wide = Smooth().eval(), torch.randn(1, 3, 28, 28)
    found = heat_map(model, wide, Class(2), method="occlusion")
    expected = Occlusion(model).attribute(wide, target=2, sliding_window_shapes=(3, 2, 2), strides=(3, 2, 2))
    assert found.cells.shape == (14, 14)
    assert torch.allclose(found.pixels, expected[0, 0].detach().double(), atol=1e-6)
    assert found.badge == "MEASURED"


def test_integrated_gradients_are_complete_and_captum_s():
    torch.manual_seed(0)
    model, x = CourseNet().eval(), torch.randn(1, 3, 32, 32)
    found = heat_map(model, x, Class(2), method="integrated-gradients")
    with torch.no_grad():
        rise = float(model(x)[0, 2] - model(torch.zeros_like(x))[0, 2])
    assert float(found.cells.sum()) == pytest.approx(rise + found.gap, abs=1e-6)
    assert abs(found.gap) < 0.5 * abs(rise)
    expected = IntegratedGradients(model).attribute(x, target=2, n_steps=32)[0].sum(0).detach().double()
    assert torch.allclose(found.cells, expected, atol=1e-5)
    assert float(found.coarse.sum()) == pytest.approx(float(found.cells.sum()), abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("name", "target", "layer"),
    [
        ("net", Class(1, versus=0), "relu#2"),
        ("fcn8s_resnet18", Pixel(10, 20, 2), "backbone.layer4.1.relu2"),
        ("fcn_compact", Pixel(10, 20, 2), "down.3.1.relu"),
        ("yolo_n", Box(3, 1), "pyramid.down.0.relu"),
        ("yolo_n", Box(83, 2, "bottom"), "pyramid.up.1.relu"),
    ],
)
def test_every_task_has_every_map(name, target, layer, method):
    model = built(name)
    x = images(model, 1) if model.fixed_size else images(model, 1)[..., :48]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = heat_map(model, x, target, method=method)
    assert found.pixels.shape == x.shape[2:]
    assert found.badge == ("MEASURED" if method == "occlusion" else "HEURISTIC")
    if found.layer:
        assert found.layer == layer
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("candidate", "layer", "cell"), [(3, "down.0", (0, 3)), (71, "up.0", (1, 3)), (82, "up.1", (1, 0))]
)
def test_a_box_is_mapped_on_its_own_level_around_its_cell(candidate, layer, cell):
    """Candidates of 64 pixels: 8x8 cells of stride 8, 4x4 of 16, 2x2 of 32."""
    model, kept = built("yolo_n").eval(), {}
    x = images(model, 1)
    module = model.get_submodule(f"pyramid.{layer}.relu")
    handle = module.register_forward_hook(lambda _m, _a, output: kept.update(map=output))
    number = Box(candidate, 1).number(model, model(x), ())
    handle.remove()
    (gradient,) = torch.autograd.grad(number, kept["map"])
    cam = (gradient.mean((2, 3), keepdim=True) * kept["map"]).sum(1)[0]
    strength = gradient[0].square().sum(0).sqrt()
    found = heat_map(model, x, Box(candidate, 1))
    assert found.layer == f"pyramid.{layer}.relu"
    expected = cam.clamp(max=0) + cam.clamp(min=0) * strength / strength.max()
    assert torch.allclose(found.cells, expected.detach().double(), atol=1e-7)
    for row, column in (found.cells > 0).nonzero().tolist():
        assert max(abs(row - cell[0]), abs(column - cell[1])) <= 1, "a 3x3 convolution lies between cell and map"


def test_squares_cover_every_pixel_once():
    for size in ((224, 224), (37, 100), (5, 9), (1, 30)):
        numbers, (rows, columns) = square_numbers(size)
        assert numbers.unique().tolist() == list(range(rows * columns))
        assert max(rows, columns) == min(14, max(size))


def test_refusals():
    model, x = CourseNet(), torch.randn(1, 3, 32, 32)
    with pytest.raises(UsageError, match="of one image, not of 2"):
        heat_map(model, torch.cat([x, x]), Class(0))
    with pytest.raises(UsageError, match="No heat map is called 'lrp'"):
        heat_map(model, x, Class(0), method="lrp")
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    with pytest.raises(UsageError, match="take occlusion, or account"):
        heat_map(linear, x, Class(0))


# Trials


class Corner(nn.Module):
    """Its number is the sum of the left upper quarter, so that the right map is known."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, bias=False)
        self.conv.weight.data.fill_(1.0)

    def forward(self, x):
        return torch.relu(self.conv(x))[:, :, :14, :14].sum((2, 3)).repeat(1, 2)


def test_the_right_map_deletes_at_once_and_inserts_at_once():
    model, x = Corner(), torch.ones(1, 1, 28, 28)
    found = heat_map(model, x, Class(0), method="occlusion")
    trials = try_map(model, x, Class(0), (), found)
    assert trials.deletion[0] == 1
    assert trials.deletion[-1] == 0
    assert trials.areas["deletion"] == pytest.approx(0.125, abs=0.03), "a quarter of the squares hold all of it"
    assert trials.areas["insertion"] == pytest.approx(0.875, abs=0.03)
    assert trials.areas["random_deletion"] == pytest.approx(0.5, abs=0.05)
    assert trials.areas["random_insertion"] == pytest.approx(0.5, abs=0.05)


def test_a_map_of_the_image_alone_is_found_out():
    """A network whose map no weight changes keeps its ranks; another one does not."""
    model, x = Corner(), torch.rand(1, 1, 28, 28)
    found = heat_map(model, x, Class(0), method="occlusion")
    assert dict(try_map(model, x, Class(0), (), found).randomised)["all layers"] == pytest.approx(1, abs=1e-6)
    torch.manual_seed(0)
    net, photo = CourseNet(), torch.randn(1, 3, 32, 32)
    trials = try_map(net, photo, Class(1), (), heat_map(net, photo, Class(1), method="occlusion"))
    assert abs(dict(trials.randomised)["all layers"]) < 0.5


def test_trials_leave_the_model_as_it_was():
    torch.manual_seed(0)
    model, x = CourseNet(), torch.randn(1, 3, 32, 32)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = heat_map(model, x, Class(1))
    first, second = (try_map(model, x, Class(1), (), found) for _ in range(2))
    assert first == second, "orders and weights come from a seed"
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_number_that_no_image_changes_has_no_curves():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model[0].weight.data.zero_()
    model[0].bias.data.fill_(1.0)
    x = torch.rand(1, 1, 28, 28)
    trials = try_map(model, x, Class(0), (), heat_map(model, x, Class(0), method="occlusion"))
    assert math.isnan(trials.areas["deletion"])
    assert trials.to_json()["areas"]["deletion"] is None


def test_rank_correlation_is_spearman_s():
    a = torch.tensor([1.0, 2.0, 2.0, 4.0], dtype=torch.float64)
    b = torch.tensor([10.0, 30.0, 20.0, 40.0], dtype=torch.float64)
    assert rank_correlation(a, b) == pytest.approx(0.9486832980505138)  # scipy.stats.spearmanr
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert math.isnan(rank_correlation(a, torch.ones(4, dtype=torch.float64)))
    assert area((1.0, 0.5, 0.0)) == 0.5


def test_numbers_of_many_images_are_those_of_each():
    torch.manual_seed(0)
    model, x = CourseNet().eval(), torch.randn(3, 3, 32, 32)
    subject = Subject(model, x[:1], Class(4), ())
    with torch.no_grad():
        assert torch.allclose(subject.numbers(x), model(x)[:, 4])
        assert torch.allclose(subject.numbers_of(x.split(1)), model(x)[:, 4])
