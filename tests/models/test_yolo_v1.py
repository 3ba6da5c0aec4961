"""YOLO v1 against the paper: counts, receptive field, equation 3 on the worked example, the responsible predictor."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.models.base import build_model
from pellucid.models.grid import NARROW, GridHead, signed_root
from pellucid.models.yolo_v1 import FAST, FIGURE_3
from pellucid.ops.receptive import receptive_field
from tests.models.kinds import box_targets


def head(grid: int = 2, boxes: int = 2, classes: int = 2, side: int = 100) -> GridHead:
    torch.manual_seed(0)
    return GridHead(4, 4, classes, grid=grid, boxes=boxes, side=side)


def worked_example() -> tuple[Tensor, dict[str, Tensor]]:
    """Group 21 of the formula reference."""
    cells = torch.zeros(1, 2, 2, 12)
    cells[..., 4], cells[..., 9] = 0.1, 0.2
    cells[0, 1, 0] = torch.tensor([0.5, 0.5, 0.49, 0.25, 0.6, 0.7, 0.3, 0.16, 0.36, 0.3, 0.3, 0.7])
    return cells, box_targets(torch.tensor([[[10.0, 60, 50, 80]]]), torch.tensor([[1]]), side=100)


@pytest.mark.parametrize(("norm", "parameters"), [(False, 271_703_550), (True, 271_716_734)])
def test_parameters_of_the_paper(norm, parameters):
    with torch.device("meta"):
        model = build_model("yolo_v1", 20, norm=norm)
    assert sum(weight.numel() for weight in model.parameters()) == parameters
    assert model(torch.empty(2, 3, 448, 448, device="meta"))["cells"].shape == (2, 7, 7, 30)


@pytest.mark.parametrize(("layout", "convolutions"), [(FIGURE_3, 24), (FAST, 9)])
def test_number_of_convolutions(layout, convolutions):
    assert sum(not isinstance(one, str) for one in layout) == convolutions


def test_receptive_field():
    field = receptive_field(build_model("yolo_v1", 2, width=1 / 64).layers)
    assert (field.size, field.jump) == (749, 64)


def test_multiply_accumulates():
    """Those of the convolutions and of the connected layers, from the shapes that pass through them."""
    with torch.device("meta"):
        model = build_model("yolo_v1", 20)
    macs = {nn.Conv2d: 0, nn.Linear: 0}
    for module in model.modules():
        if type(module) in macs:
            module.register_forward_hook(
                lambda one, _x, y: macs.update({type(one): macs[type(one)] + y.numel() * one.weight[0].numel()})
            )
    model(torch.empty(1, 3, 448, 448, device="meta"))
    assert macs == {nn.Conv2d: 20_073_611_264, nn.Linear: 211_542_016}


def test_the_worked_example():
    cells, targets = worked_example()
    terms = head().loss(cells, targets)
    expected = {"xy": 0.1, "wh": 0.036743, "object": 0.006679, "no_object": 0.12, "class": 0.18}
    assert {name: round(float(term), 6) for name, term in terms.items()} == expected
    assert round(float(sum(terms.values())), 6) == 0.443422
    decoded = head().decode(cells)
    torch.testing.assert_close(decoded["scores"][0, 4], torch.tensor([0.18, 0.42]))
    torch.testing.assert_close(decoded["xyxy"][0, 4], torch.tensor([0.5, 62.5, 49.5, 87.5]))


def test_an_object_counts_what_its_weight_says():
    """Its own four terms; what a box without an object costs is not its."""
    cells, targets = worked_example()
    terms = head().loss(cells, targets)
    weighted = head().loss(cells, targets | {"weights": torch.tensor([[3.0]])})
    for name, term in terms.items():
        assert float(weighted[name]) == pytest.approx((1 if name == "no_object" else 3) * float(term), rel=1e-6), name


def test_the_first_object_of_a_cell_is_learnt():
    """The second one has another size and class; it is as if it were not there."""
    cells, targets = worked_example()
    both = {key: torch.cat([value, value], dim=1) if key != "size" else value for key, value in targets.items()}
    both["xyxy"][0, 1] = torch.tensor([20.0, 52, 26, 60])
    both["labels"][0, 1] = 0
    assert head().loss(cells, both) == head().loss(cells, targets)


def test_the_confidence_target_is_a_number():
    """No gradient flows through the IoU that the confidence should be."""
    cells, targets = worked_example()
    cells.requires_grad_()
    head().loss(cells, targets)["object"].backward()
    assert cells.grad.nonzero().tolist() == [[0, 1, 0, 4]]


def test_the_nearest_is_responsible_where_no_box_meets_the_object():
    cells, targets = worked_example()
    cells[0, 1, 0, :10] = torch.tensor([0.6, -1.0, 0.02, 0.02, 0.5, 0.6, 1.2, 0.02, 0.02, 0.5])
    cells.requires_grad_()
    terms = head().loss(cells, targets)
    (gradient,) = torch.autograd.grad(terms["xy"], cells)
    assert gradient.nonzero()[:, 3].tolist() == [6]
    assert float(terms["object"].detach()) == pytest.approx(0.25)


@given(st.floats(-1, 1, width=32))
def test_the_root_is_safe(width):
    x = torch.tensor(width, dtype=torch.float64, requires_grad=True)
    root = signed_root(x[None])[0]
    if width >= NARROW:
        assert float(root.detach()) == pytest.approx(width**0.5, rel=1e-9)
    assert float(root.detach()) * width >= 0
    (gradient,) = torch.autograd.grad(root, x)
    assert 0 < float(gradient) <= 1 / NARROW**0.5 + 1e-6


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 3))
def test_decoding_inverts_the_coding_at_every_cell(seed, grid, boxes):
    """An object in each cell: what the outputs should be is decoded to the object itself, and costs nothing."""
    generator = torch.Generator().manual_seed(seed)
    one = head(grid, boxes, 3, 448)
    y, x = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    within = 0.05 + 0.9 * torch.rand(grid * grid, 2, generator=generator)
    middles = (torch.stack([x, y], dim=-1).reshape(-1, 2) + within) / grid
    sides = 0.02 + 0.9 * torch.rand(grid * grid, 2, generator=generator)
    xyxy = 448 * torch.cat([middles - sides / 2, middles + sides / 2], dim=-1)
    labels = torch.randint(0, 3, (1, grid * grid), generator=generator)
    order = torch.randperm(grid * grid, generator=generator)
    targets = box_targets(xyxy[None, order], labels[:, order], side=448)
    coded = torch.cat([within, sides, torch.ones(grid * grid, 1)], dim=-1).repeat(1, boxes)
    cells = torch.cat([coded, torch.eye(3)[labels[0]]], dim=-1).reshape(1, grid, grid, -1)
    decoded = one.decode(cells)
    torch.testing.assert_close(decoded["xyxy"][0], xyxy.repeat_interleave(boxes, 0), rtol=1e-4, atol=1e-2)
    terms = one.loss(cells, targets)
    assert float(sum(term for name, term in terms.items() if name != "no_object")) < 1e-3
    assert float(terms["no_object"]) == pytest.approx(0.5 * grid * grid * (boxes - 1))


def test_a_batch_is_the_mean_of_its_images():
    one = head(7, 2, 3, 448)
    generator = torch.Generator().manual_seed(3)
    cells = torch.randn(3, 7, 7, 13, generator=generator)
    corner = 300 * torch.rand(3, 4, 2, generator=generator)
    xyxy = torch.cat([corner, corner + 20 + 100 * torch.rand(3, 4, 2, generator=generator)], dim=-1)
    targets = box_targets(xyxy, torch.randint(-1, 3, (3, 4), generator=generator), side=448)
    together = one.loss(cells, targets)
    alone = [one.loss(cells[i : i + 1], {key: value[i : i + 1] for key, value in targets.items()}) for i in range(3)]
    for name, term in together.items():
        torch.testing.assert_close(term, sum(each[name] for each in alone) / 3)


def test_grid_boxes_and_side_can_be_changed():
    model = build_model("yolo_v1_fast", 4, width=1 / 16, grid=5, boxes=3, side=128)
    assert model.size == 128
    assert model(torch.zeros(2, 3, 128, 128))["cells"].shape == (2, 5, 5, 19)


@pytest.mark.parametrize(("arguments", "words"), [({"side": 100}, "multiple of 64"), ({"grid": 0}, "at least 1")])
def test_what_cannot_be_built_is_said(arguments, words):
    with pytest.raises(UsageError, match=words):
        build_model("yolo_v1_fast", 2, width=1 / 64, **arguments)
