"""Our detector: sizes, coding, losses against their definitions, the branch of one point an object."""

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.models.assignment import dynamic_soft, matches, task_aligned
from pellucid.models.base import build_model
from pellucid.models.pyramid import Pyramid, Trunk, padded
from pellucid.models.yolo import BOX_SHARE, STRIDES, anchors_of
from pellucid.ops.boxes import giou
from pellucid.ops.receptive import receptive_field
from tests.models.kinds import box_targets

CLASSES = 3


def tiny(**arguments):
    torch.manual_seed(0)
    return build_model("yolo_n", CLASSES, share=1 / 4, **arguments)


def objects(seed: int, images: int = 2, many: int = 4, side: int = 64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, side - 8, (images, many, 2), generator=generator)
    size = torch.randint(3, side // 2, (images, many, 2), generator=generator)
    labels = torch.randint(-1, CLASSES, (images, many), generator=generator)
    xyxy = torch.cat([corner, (corner + size).clamp(max=side)], dim=-1).float()
    return box_targets(xyxy, labels, side=side)


def drawn_outputs(seed: int, images: int = 2, side: int = 64) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs = {}
    for stride in STRIDES:
        cells = side // stride
        outputs[f"logits{stride}"] = torch.randn(images, CLASSES, cells, cells, generator=generator) - 1
        outputs[f"distances{stride}"] = 2 + torch.randn(images, 4, cells, cells, generator=generator)
    return outputs


@pytest.mark.parametrize(("name", "low", "high"), [("yolo_n", 1.5, 3), ("yolo_s", 6, 9), ("yolo_m", 15, 20)])
def test_millions_of_parameters(name, low, high):
    with torch.device("meta"):
        model = build_model(name, 80)
    assert low <= sum(weight.numel() for weight in model.parameters()) / 1e6 <= high


def test_cells_are_centred_on_their_anchor_points():
    """Every path from the pixels to a level of the trunk is centred on (stride - 1) / 2, as `features` say."""
    trunk = Trunk(3, 8, (0, 0, 0, 0))
    layers: list[nn.Module] = [trunk.stem.conv]
    for level, feature in zip(trunk.levels, trunk.features, strict=True):
        layers += [level[0], level[1].conv]
        field = receptive_field(layers)
        assert (field.jump, field.start) == (feature.stride, feature.centre)
        points = anchors_of({feature.stride: torch.zeros(1, 1, 2, 3)}).points
        assert points[0].tolist() == [feature.centre + 0.5] * 2  # the middle of pixel 0 lies at 0.5
        assert points[-1].tolist() == [feature.centre + 0.5 + 2 * feature.stride, feature.centre + 0.5 + feature.stride]


def test_enlarged_features_stay_in_place():
    """A pyramid whose way down only adds: a bright cell of stride 32 brightens the 4x4 cells of stride 8 it covers."""
    pyramid = Pyramid([1, 1, 1], 1)
    coarse = torch.zeros(1, 1, 2, 2)
    coarse[..., 1, 0] = 1
    twice = pyramid.enlarge[0](pyramid.enlarge[1](coarse))
    expected = torch.zeros(8, 8)
    expected[4:, :4] = 1
    assert torch.equal(twice[0, 0], expected)


def test_sides_are_filled_up_to_whole_cells():
    model = tiny().eval()
    x = torch.randn(1, 3, 70, 33)
    assert padded(x).shape == (1, 3, 96, 64)
    with torch.no_grad():
        outputs, whole = model(x), model(padded(x))
    assert all(torch.equal(outputs[key], whole[key]) for key in whole)
    assert outputs["logits8"].shape == (1, CLASSES, 12, 8)


def test_an_untrained_network_gives_the_prior_and_boxes_of_four_strides():
    model = tiny().eval()
    with torch.no_grad():
        decoded = model.decode(model(torch.zeros(1, 3, 64, 64)))
    assert abs(float(decoded["scores"].mean()) - 0.01) < 0.003
    sides = decoded["xyxy"][0, :, 2] - decoded["xyxy"][0, :, 0]
    strides = anchors_of({stride: torch.zeros(1, 1, 64 // stride, 64 // stride) for stride in STRIDES}).strides
    torch.testing.assert_close(sides, 4 * strides, rtol=0.2, atol=0)


@given(st.integers(0, 10**6))
def test_decoding_inverts_the_coding_at_every_cell(seed):
    """Any box with ordered corners, wherever it lies, written as distances of any cell."""
    generator = torch.Generator().manual_seed(seed)
    outputs = drawn_outputs(seed, images=1)
    boxes = []
    for stride in STRIDES:
        cells = 64 // stride
        corner = 80 * torch.rand(cells * cells, 2, generator=generator) - 8
        size = 50 * torch.rand(cells * cells, 2, generator=generator)
        y, x = torch.meshgrid(torch.arange(cells), torch.arange(cells), indexing="ij")
        points = torch.stack([x, y], dim=-1).reshape(-1, 2) * stride + stride / 2
        distances = torch.cat([points - corner, corner + size - points], dim=-1) / stride
        outputs[f"distances{stride}"] = distances.T.reshape(1, 4, cells, cells)
        boxes.append(torch.cat([corner, corner + size], dim=-1))
    decoded = tiny().decode(outputs)
    torch.testing.assert_close(decoded["xyxy"][0], torch.cat(boxes), rtol=1e-5, atol=1e-4)


def joined(outputs: dict[str, Tensor], name: str) -> Tensor:
    return torch.cat([outputs[f"{name}{stride}"].flatten(2).transpose(1, 2) for stride in STRIDES], dim=1)


def loss_by_hand(model, outputs, targets, assign) -> tuple[float, float, float]:
    """Class sum, box sum and divisor, one point after the other."""
    decoded = model.decode(outputs)
    maps = {stride: outputs[f"logits{stride}"] for stride in STRIDES}
    given_ = assign(matches(decoded["xyxy"], joined(outputs, "logits"), anchors_of(maps), targets))
    logits = joined(outputs, "logits")
    classes = boxes = shares = 0.0
    for image in range(len(logits)):
        for point in range(logits.shape[1]):
            goal, one = torch.zeros(CLASSES), int(given_.objects[image, point])
            share, weight = float(given_.shares[image, point]), 1.0
            if one >= 0:
                weight = float(targets["weights"][image, one]) if "weights" in targets else 1.0
                goal[targets["labels"][image, one]] = share
                boxes += weight * share * (1 - float(giou(decoded["xyxy"][image, point], targets["xyxy"][image, one])))
                shares += weight * share
            if given_.counted[image, point]:
                probs = logits[image, point].sigmoid()
                classes += weight * float(functional.binary_cross_entropy(probs, goal, reduction="sum"))
    return classes, BOX_SHARE * boxes, shares


@pytest.mark.parametrize("assignment", ["task_aligned", "dynamic_soft"])
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_its_definition(assignment, seed, weighted):
    model, outputs, targets = tiny(assignment=assignment), drawn_outputs(seed), objects(seed)
    targets["ignored"][:, 1] = True
    if weighted:
        targets["weights"] = 0.5 + 3 * torch.rand(
            targets["labels"].shape, generator=torch.Generator().manual_seed(seed)
        )
    assign = {"task_aligned": task_aligned, "dynamic_soft": dynamic_soft}[assignment]
    classes, boxes, shares = loss_by_hand(model, outputs, targets, assign)
    terms = model.loss(outputs, targets)
    assert float(terms["class"]) == pytest.approx(classes / max(shares, 1), rel=1e-4)
    assert float(terms["box"]) == pytest.approx(boxes / max(shares, 1), rel=1e-4)


def test_a_batch_is_its_images_side_by_side():
    """The sums before they are divided add up."""
    model, outputs, targets = tiny(), drawn_outputs(4, images=3), objects(4, images=3)

    def one(values: dict[str, Tensor], image: int) -> dict[str, Tensor]:
        return {key: value[image : image + 1] for key, value in values.items()}

    alone = [loss_by_hand(model, one(outputs, i), one(targets, i), task_aligned) for i in range(3)]
    classes, boxes, shares = (sum(column) for column in zip(*alone, strict=True))
    terms = model.loss(outputs, targets)
    assert float(terms["class"]) == pytest.approx(classes / shares, rel=1e-4)
    assert float(terms["box"]) == pytest.approx(boxes / shares, rel=1e-4)


def test_one_to_one_learns_one_point_an_object_and_is_decoded():
    model = tiny(one_to_one=True).eval()
    outputs = drawn_outputs(6)
    both = {**drawn_outputs(7), **{f"single_{key}": value for key, value in outputs.items()}}
    targets = objects(6)
    terms = model.loss(both, targets)
    assert list(terms) == ["class", "box", "single_class", "single_box"]
    plain = tiny()
    classes, _, shares = loss_by_hand(plain, outputs, targets, partial(task_aligned, top=1))
    assert float(terms["single_class"]) == pytest.approx(classes / max(shares, 1), rel=1e-4)
    for key, value in plain.decode(outputs).items():
        assert torch.equal(model.decode(both)[key], value)
    with torch.no_grad():
        assert set(model(torch.zeros(1, 3, 64, 64))) == set(both)


def test_one_to_one_keeps_one_of_neighbouring_boxes():
    """What it is for: after some training, one score an object stands out where the other branch has several."""
    targets = box_targets(torch.tensor([[[12.0, 16, 44, 52]]]), torch.tensor([[1]]), side=64)
    x = torch.zeros(1, 3, 64, 64)
    x[..., 16:52, 12:44] = 2
    model = tiny(one_to_one=True).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        sum(model.loss(model(x), targets).values()).backward()
        optimizer.step()
    with torch.no_grad():
        outputs = model(x)
    assert int((model.decode(outputs)["scores"][0, :, 1] > 0.4).sum()) == 1
    assert int((joined(outputs, "logits")[0, :, 1].sigmoid() > 0.4).sum()) > 1


@pytest.mark.parametrize("arguments", [{"share": 0.01}, {"assignment": "simota"}])
def test_what_cannot_be_built_is_said(arguments):
    with pytest.raises(UsageError, match="assignment"):
        build_model("yolo_n", 2, **arguments)
