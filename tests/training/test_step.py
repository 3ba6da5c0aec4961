"""One update: parts add up to the whole, draws hit image and target alike, what is no number is named."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pellucid.config import TrainConfig
from pellucid.data.augment import draw_matrices, recolor
from pellucid.errors import NonFiniteError
from pellucid.models.base import AbstractClassifier, AbstractModel, build_model
from pellucid.preprocess import Preprocess
from pellucid.tasks.classify import Classify
from pellucid.training.plan import Plan, augment_of, fill_settings
from pellucid.training.step import (
    augmented,
    average_into,
    backward,
    chunked,
    gradient_norm,
    moved_to,
    refuse_non_finite,
)
from pellucid.types import Batch

PREPROCESS = Preprocess((32, 32), "stretch", 3, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
CPU = torch.device("cpu")
TASK = Classify(("a", "b", "c"))
STILL = {"hflip": 0.0, "shift": 0.0, "zoom": 1.0}


def plan_of(**given) -> Plan:
    settings = {"batch": 12, "size": 32, "precision": "fp32"} | STILL | given
    return Plan(
        fill_settings(TrainConfig(**settings), Classify(("a", "b")), parameters=1000, steps=100)[0], PREPROCESS, 100
    )


def batch_of(count: int = 12, side: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
    return Batch(images, torch.arange(count) % 3, tuple(range(count)))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def net() -> AbstractClassifier:
    torch.manual_seed(0)
    return build_model("net", 3)


def gradients(model) -> list[torch.Tensor]:
    return [weight.grad.clone() for weight in model.parameters()]


def test_without_augmentation_training_sees_what_is_served():
    batch = batch_of()
    images, targets = augmented(batch, TASK, plan_of(smoothing=0.0), generator(), CPU)
    assert torch.equal(images, PREPROCESS.normalise(batch.images))
    assert torch.equal(targets, torch.eye(3)[batch.targets])
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_colour_changes_images_that_do_not_move():
    plan = plan_of(color=0.3)
    images, _ = augmented(batch_of(), TASK, plan, generator(), CPU)
    draws = generator()
    draw_matrices(12, 32, augment_of(plan, TASK), draws)
    torch.testing.assert_close(images, PREPROCESS.normalise(recolor(batch_of().images.float(), 0.3, draws)))


def test_a_wider_view_is_cropped_to_the_size():
    images, _ = augmented(batch_of(side=40), TASK, plan_of(zoom=0.8), generator(), CPU)
    assert images.shape == (12, 3, 32, 32)


@pytest.mark.parametrize("way", [{"mixup": 0.5}, {"cutmix": 1.0}])
def test_targets_are_mixed_as_the_images_are(way):
    """An image of one colour a class: its mean colour must be its target."""
    labels = torch.arange(12) % 3
    images = torch.zeros(12, 3, 32, 32)
    images[torch.arange(12), labels] = 255
    found, targets = augmented(
        Batch(images.to(torch.uint8), labels, ()), TASK, plan_of(smoothing=0.0, **way), generator(5), CPU
    )
    std, mean = (torch.tensor(values).view(1, 3) for values in (PREPROCESS.std, PREPROCESS.mean))
    torch.testing.assert_close(found.mean((2, 3)) * std + mean, targets, atol=1e-4, rtol=0)
    assert (targets.max(1).values < 0.999).any()


def test_the_generator_decides_the_batch():
    plan = plan_of(hflip=0.5, shift=0.1, color=0.3, erase=0.3, mixup=0.2, cutmix=1.0, rotate=5.0)
    first, again, other = (augmented(batch_of(), TASK, plan, generator(seed), CPU)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_micro_batches_add_up_to_the_whole_batch(parts):
    images, targets = augmented(batch_of(), TASK, plan_of(), generator(), CPU)
    whole, model = net(), net()
    loss = backward(whole, images, targets, plan_of())
    pieces = backward(model, images, targets, plan_of(accumulate=parts))
    assert pieces["cross_entropy"] == pytest.approx(loss["cross_entropy"], rel=1e-6)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, whole.get_parameter(name).grad, rtol=1e-4, atol=1e-6)


class TwoTerms(AbstractModel):
    """A loss of two terms, of which both must be minimised."""

    task, head = "classify", "weight"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.weight * x.mean()

    def loss(self, outputs, targets):
        return {"square": outputs**2, "line": 3 * outputs}

    def decode(self, outputs):
        return {"line": outputs}


def test_terms_are_summed_and_told_apart():
    model = TwoTerms()
    losses = backward(model, torch.ones(4, 1, 1, 1), torch.zeros(4), plan_of())
    assert losses == {"square": 4.0, "line": 6.0}
    assert float(model.weight.grad) == 7.0


def test_targets_may_be_tensors_by_name():
    targets = {"boxes": torch.arange(12.0).view(6, 2), "labels": torch.arange(6)}
    parts = chunked(targets, 3)
    assert [part["labels"].tolist() for part in parts] == [[0, 1], [2, 3], [4, 5]]
    assert torch.equal(torch.cat([part["boxes"] for part in parts]), targets["boxes"])
    assert moved_to(targets, CPU).keys() == targets.keys()


def with_gradients(*values: float) -> nn.Module:
    model = nn.ParameterList(torch.zeros(()) for _ in values)
    for weight, value in zip(model, values, strict=True):
        weight.grad = torch.tensor(value)
    return model


GRADIENTS = st.floats(-100, 100, width=32).map(lambda value: value if abs(value) > 1e-9 else 0.0)  # squares are float32


@given(st.lists(GRADIENTS, min_size=1, max_size=5), st.floats(1e-3, 1e3))
def test_the_gradient_is_clipped_to_the_norm(values, largest):
    expected = math.sqrt(sum(value**2 for value in values))
    model = with_gradients(*values)
    assert gradient_norm(model, None) == pytest.approx(expected, rel=1e-5, abs=1e-30)
    assert [float(weight.grad) for weight in model] == values
    assert gradient_norm(model, largest) == pytest.approx(expected, rel=1e-5, abs=1e-30)  # as it was before
    kept = math.sqrt(sum(float(weight.grad) ** 2 for weight in model))
    assert kept == pytest.approx(min(expected, largest), rel=1e-3, abs=1e-6)


def test_weights_without_a_gradient_have_no_part_in_the_norm():
    model = with_gradients(3.0, 4.0, 100.0)
    model[2].grad = None
    assert gradient_norm(model, 1.0) == pytest.approx(5.0)


def told(model, images=None, losses=None, clip=None, targets=None) -> str:
    plan = plan_of(clip=clip)
    drawn, wanted = augmented(batch_of(), TASK, plan, generator(), CPU)
    images = drawn if images is None else images
    found = backward(model, images, wanted if targets is None else targets, plan)
    norm = gradient_norm(model, clip)
    with pytest.raises(NonFiniteError) as caught:
        refuse_non_finite(model, losses or found, norm, images, plan)
    return str(caught.value)


def test_what_is_a_number_is_not_refused():
    model, plan = net(), plan_of()
    images, targets = augmented(batch_of(), TASK, plan, generator(), CPU)
    refuse_non_finite(model, backward(model, images, targets, plan), gradient_norm(model, None), images, plan)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_images_that_are_no_numbers_are_named(value):
    images = torch.zeros(12, 3, 32, 32)
    images[3, 1, 4, 4] = value
    assert "the images themselves are not finite" in told(net(), images)


def test_the_first_layer_that_gives_no_number_is_named():
    model = net()
    model.conv2.weight.data[0, 0, 0, 0] = math.inf
    assert "cross_entropy = nan; the first layer whose output is not finite is 'conv2'" in told(model)
    assert not model.conv1._forward_hooks


def test_a_loss_that_is_no_number_is_named():
    words = told(net(), losses={"cross_entropy": 0.5, "boxes": math.nan})
    assert words.startswith("boxes = nan; every layer's output is finite")


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_weight_whose_gradient_is_no_number_is_named(clip, value):
    """Also where the gradient is clipped, which must not spread it over all the others."""
    model = net()
    model.fc2.weight.register_hook(lambda gradient: gradient * value)
    words = told(model, clip=clip)
    assert "the norm of the gradient = " in words
    assert "the first gradient that is not is that of 'fc2.weight'" in words


@given(st.floats(0, 1))
def test_the_average_is_a_share_of_both(decay):
    torch.manual_seed(1)
    model, averaged = build_model("compact", 3, width=4, side=8), build_model("compact", 3, width=4, side=8)
    model.stem.bn.num_batches_tracked.fill_(9)
    model.stem.bn.running_mean.fill_(3.0)
    before, given_model = copy.deepcopy(averaged).state_dict(), copy.deepcopy(model).state_dict()
    average_into(*([*one.parameters(), *one.buffers()] for one in (averaged, model)), decay)
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            expected = decay * before[name].double() + (1 - decay) * given_model[name].double()
            torch.testing.assert_close(value.double(), expected, atol=1e-6, rtol=1e-6)
        else:
            assert torch.equal(value, given_model[name])
        assert torch.equal(model.state_dict()[name], given_model[name])
