"""Receptive fields on recorded graphs: against what is published, and against the support of the gradient."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pellucid.data.check_boxes import FIELD
from pellucid.errors import UsageError
from pellucid.inspection.effective import pixel_gradient
from pellucid.inspection.fields import box_around, fields, last_maps, seen
from pellucid.inspection.recording import Trace, record
from pellucid.models.base import build_model
from tests.inspection.networks import CourseNet, ForeignResNet
from tests.inspection.test_recording import NAMES, built, image


def traced(name: str, side: int | None = None, classes: int = 20) -> Trace:
    """Without a number computed."""
    with torch.device("meta"):
        model = build_model(name, classes)
        side = side or model.size
        return record(model, torch.empty(1, 3, side, side))


def by_name(name: str, side: int | None = None) -> dict:
    return {field.name: field for field in fields(traced(name, side))}


RESNETS = {
    "resnet18": (43, 99, 211, 435),
    "resnet34": (59, 179, 547, 899),
    "resnet50": (35, 91, 267, 427),
    "resnet101": (35, 91, 811, 971),
    "resnet152": (35, 155, 1291, 1451),
}
PADDINGS = {"resnet18": 217, "resnet34": 449, "resnet50": 213, "resnet101": 485, "resnet152": 725}


@pytest.mark.parametrize("name", RESNETS)
def test_resnets_are_the_published_ones(name):
    found = [field for field in by_name(name).values() if field.kind == "relu"]
    last = {field.rows.jump: field for field in found if field.name.startswith("layer")}
    assert [last[jump].rows.size for jump in (4, 8, 16, 32)] == list(RESNETS[name])
    assert last[32].rows.padding == PADDINGS[name]
    assert all(field.aligned for field in found)
    assert all(field.rows == field.columns for field in found)


def test_vgg16_and_fcn_are_the_published_ones():
    pools = [field for field in by_name("vgg16").values() if field.kind == "max_pool2d"]
    assert [field.rows.size for field in pools] == [6, 16, 44, 100, 212]
    assert (pools[-1].rows.jump, pools[-1].rows.padding) == (32, 90)
    score = next(field for field in fields(traced("fcn32s", 224)) if field.rows and field.rows.size == 404)
    assert score.kind == "conv2d"
    assert score.rows.jump == 32


@pytest.mark.parametrize(("name", "size", "jump"), [("yolo_v1", 749, 64), ("resnet20", 81, 4), ("resnet56", 249, 4)])
def test_others_of_the_table(name, size, jump):
    (last,) = last_maps(traced(name))
    assert (last.rows.size, last.rows.jump) == (size, jump)


def test_the_course_net():
    """Functional calls, one pool for two places: sizes, jumps, and the rows that a unit sees."""
    trace = record(CourseNet(), torch.randn(1, 3, 32, 32))
    kept = {field.name: (field.rows.size, field.rows.jump) for field in fields(trace) if field.rows}
    assert [kept[name] for name in ("conv1", "pool", "conv2", "pool#2")] == [(5, 1), (6, 2), (14, 2), (16, 4)]
    assert box_around(seen(trace, "pool#2", (2, 2))) == (8, 8, 24, 24)
    assert next(field for field in fields(trace) if field.name == "fc1").everything
    assert seen(trace, "fc3", (0, 0)).all()


def test_what_check_says_of_the_fields_of_detectors():
    """`pellucid check` compares boxes with what a cell of stride 8 in the middle sees at least, of all of them."""
    with torch.device("meta"):
        trace = record(build_model("yolo_s", 1, share=0.125), torch.empty(1, 3, 1344, 64))
    last = next(field for field in last_maps(trace) if field.rows.jump == 8)
    _, top, _, bottom = box_around(seen(trace, last.name, (last.output[0] // 2, 4)))
    assert bottom - top == FIELD
    assert last.rows.size >= FIELD


def positive(model: nn.Module) -> nn.Module:
    """Every weight above 0: whatever is read has a part in the gradient."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data.fill_(1 / module.weight[0].numel())
        if isinstance(module, nn.ConvTranspose2d):
            module.weight.data = module.weight.data.abs() + 1e-3 * (module.weight.data == 0)
        if isinstance(module, nn.BatchNorm2d):
            for tensor, value in (
                (module.weight, 1),
                (module.bias, 0),
                (module.running_mean, 0),
                (module.running_var, 1),
            ):
                tensor.data.fill_(value)
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()
    return model.double()


@pytest.fixture
def means(monkeypatch):
    """A maximum hides what it reads from the gradient; means over the same windows do not."""

    def forward(self, x):
        return functional.avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode)

    monkeypatch.setattr(nn.MaxPool2d, "forward", forward)


@pytest.mark.usefixtures("means")
@pytest.mark.parametrize("name", NAMES)
def test_what_a_unit_sees_is_the_support_of_the_gradient(name):
    """To the pixel, in operations and at places drawn by chance; and within the field that holds everywhere."""
    model = positive(built.__wrapped__(name))
    side = model.size if model.fixed_size else 64
    x = torch.ones(1, 3, side, side, dtype=torch.float64)
    trace = record(model, x)
    found = fields(trace)
    maps = [field for field in found[1:] if trace[field.name].output.ndim == 4]
    assert not [field.name for field in found if field.unknown]
    generator = np.random.default_rng(3)
    for field in [*generator.choice(np.array(maps, object), 4, replace=False), maps[-1]]:
        at = tuple(int(generator.integers(length)) for length in field.output)
        mask = seen(trace, field.name, at)
        gradient, _ = pixel_gradient(model, x, field.name, at)
        assert ((gradient > 0) == mask).all(), (field.name, at)
        assert_within(field, at, mask)


def assert_within(field, at, mask) -> None:
    """The pixels that are seen lie in jump·y + low … jump·y + high."""
    box = box_around(mask)
    if box is None:  # beyond the image: padding alone
        return
    for rule, place, first, last in (
        (field.rows, at[0], box[1], box[3] - 1),
        (field.columns, at[1], box[0], box[2] - 1),
    ):
        assert rule.jump * place + rule.low <= first
        assert last <= rule.jump * place + rule.high


class Odd(nn.Module):
    """Branches of different reach, dilation, a transposed convolution, slices with steps, padding, enlargements."""

    def __init__(self):
        super().__init__()
        self.far = nn.Conv2d(2, 2, 3, padding=4, dilation=4)
        self.up = nn.ConvTranspose2d(2, 2, 4, 2, 1)
        self.down = nn.Conv2d(2, 2, (3, 1), (2, 1), (1, 0))

    def forward(self, x):
        y = torch.cat([self.far(x), x], dim=1)[:, 1:3]
        y = self.up(y[:, :, ::2, ::2]) + x
        y = functional.interpolate(self.down(y), size=y.shape[2:], mode="bilinear")
        y = functional.interpolate(y, scale_factor=2)[:, :, 3:-2, 1:]
        return functional.pad(y, (2, 1, 0, 3), mode="replicate")


def test_branches_dilation_slices_and_padding_on_a_foreign_graph():
    model = positive(Odd())
    x = torch.ones(1, 2, 24, 20, dtype=torch.float64)
    trace = record(model, x)
    generator = np.random.default_rng(0)
    for field in fields(trace)[1:]:
        assert field.rows, field.unknown
        for _ in range(4):
            at = tuple(int(generator.integers(length)) for length in field.output)
            mask = seen(trace, field.name, at)
            gradient, _ = pixel_gradient(model, x, field.name, at)
            assert ((gradient > 0) == mask).all(), (field.name, at)
    holes = seen(trace, "far", (12, 10))
    assert box_around(holes) == (6, 8, 15, 17)
    assert holes.sum() == 9


def test_branches_that_are_not_centred_on_one_pixel_are_said():
    class Shifted(nn.Module):
        def forward(self, x):
            return x[:, :, 2:, 2:] + x[:, :, :-2, :-2]

    trace = record(Shifted(), torch.randn(1, 1, 9, 9))
    last = fields(trace)[-1]
    assert (last.rows.size, last.aligned) == (3, False)
    assert all(field.aligned for field in fields(record(ForeignResNet(), torch.randn(1, 3, 32, 32))))


def test_what_is_not_known_is_said_and_not_guessed():
    class Sorted(nn.Module):
        def forward(self, x):
            return functional.relu(torch.sort(x, dim=2)[0])

    trace = record(Sorted(), torch.randn(1, 1, 4, 4))
    found = fields(trace)
    assert [field.rows for field in found] == [found[0].rows, None, None]
    assert found[2].unknown == "sort (sort): which places it reads is not known"
    assert found[2].to_json()["known"] is False
    with pytest.raises(UsageError, match="Which places 'sort' reads, a sort, is not known"):
        seen(trace, "relu", (0, 0))
    with pytest.raises(UsageError, match="no unit 9,0"):
        seen(trace, "sort", (9, 0))


def test_the_stride_of_a_strided_shortcut():
    (last,) = last_maps(record(build_model("resnet20", 5), image(built("resnet20"), 32)))
    assert (last.rows.jump, last.rows.start) == (4, 0)
