"""Loss and decoding of segmenters, against references written from the equations."""

import math

import numpy as np
import pytest
import torch

from pellucid.data import masks
from pellucid.errors import UsageError
from pellucid.models import base
from pellucid.models.base import build_model
from tests.models.kinds import pixel_targets

CLASSES = 4


@pytest.fixture(scope="module")
def model():
    with torch.device("meta"):
        return build_model("fcn32s_resnet18", CLASSES)


def drawn(seed=0, images=3, height=5, width=6):
    """Logits, labels and class weights with a fifth of the pixels ignored; class 3 nowhere."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES - 1, (images, height, width))
    weight = np.array([0.5, 1.0, 2.5, 9.0])[labels] * (rng.random(labels.shape) > 0.2)
    labels = np.where(weight > 0, labels, 0)
    return rng.normal(0, 3, (images, CLASSES, height, width)), labels, weight


def soft_probs(logits, labels, smoothing):
    """p and t, both pixels by classes, in float64."""
    rows = np.moveaxis(logits, 1, -1).reshape(-1, CLASSES)
    powers = np.exp(rows - rows.max(1, keepdims=True))
    onehot = np.eye(CLASSES)[labels.ravel()]
    return powers / powers.sum(1, keepdims=True), (1 - smoothing) * onehot + smoothing / CLASSES


def reference_cross_entropy(logits, labels, weight, smoothing):
    probs, targets = soft_probs(logits, labels, smoothing)
    entropies = -(targets * np.log(probs)).sum(1)
    return (weight.ravel() * entropies).sum() / weight.sum()


def reference_dice(logits, labels, weight):
    probs, targets = soft_probs(logits, labels, 0)
    probs, targets = probs[weight.ravel() > 0], targets[weight.ravel() > 0]
    found = [
        2 * (probs[:, at] * targets[:, at]).sum() / (probs[:, at].sum() + targets[:, at].sum())
        for at in range(CLASSES)
        if targets[:, at].any()
    ]
    assert len(found) == CLASSES - 1
    return 1 - np.mean(found)


def values(terms):
    return {name: float(term.detach()) for name, term in terms.items()}


def as_tensors(logits, labels, weight, **shares):
    outputs = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    return outputs, pixel_targets(torch.tensor(labels), torch.tensor(weight, dtype=torch.float32), **shares)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_loss_is_the_equation(model, smoothing, share):
    logits, labels, weight = drawn()
    outputs, targets = as_tensors(logits, labels, weight, smoothing=smoothing, dice=share)
    expected = {"cross_entropy": reference_cross_entropy(logits, labels, weight, smoothing)}
    if share:
        expected["dice"] = share * reference_dice(logits, labels, weight)
    assert values(model.loss(outputs, targets)) == pytest.approx(expected, rel=1e-5)


def test_without_weights_it_is_torchs_cross_entropy(model):
    logits, labels, _ = drawn()
    outputs, targets = as_tensors(logits, labels, np.ones(labels.shape), smoothing=0.2)
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(outputs, targets["labels"])
    torch.testing.assert_close(model.loss(outputs, targets)["cross_entropy"], expected)


def test_an_auxiliary_head_counts_half(model):
    logits, labels, weight = drawn()
    outputs, targets = as_tensors(logits, labels, weight, smoothing=0.1, dice=0.5)
    other = torch.tensor(drawn(1)[0], dtype=torch.float32)
    terms = model.loss({"out": outputs, "aux": other}, targets)
    plain = model.loss(outputs, targets)
    aux = 0.5 * model.loss(other, targets)["cross_entropy"]
    assert terms == {"cross_entropy": plain["cross_entropy"], "aux": aux, "dice": plain["dice"]}


def test_what_is_ignored_changes_nothing(model):
    """Neither its logits nor its label, in any term."""
    logits, labels, weight = drawn()
    outputs, targets = as_tensors(logits, labels, weight, smoothing=0.1, dice=1.0)
    ignored = weight == 0
    logits = np.where(ignored[:, None], 7 * logits[:, ::-1], logits)
    others, changed = as_tensors(logits, np.where(ignored, 3, labels), weight, smoothing=0.1, dice=1.0)
    before, after = model.loss(outputs, targets), model.loss(others, changed)
    for name in before:
        torch.testing.assert_close(after[name], before[name])
    sum(after.values()).backward()
    assert not others.grad.movedim(1, -1)[torch.tensor(ignored)].any()
    assert others.grad.movedim(1, -1)[torch.tensor(~ignored)].any(-1).all()


def test_a_batch_of_ignored_pixels_costs_nothing(model):
    logits, labels, weight = drawn()
    outputs, targets = as_tensors(logits, 0 * labels, 0 * weight, smoothing=0.1, dice=1.0)
    terms = model.loss({"out": outputs, "aux": outputs}, targets)
    sum(terms.values()).backward()
    assert values(terms) == {"cross_entropy": 0, "aux": 0, "dice": 0}
    assert not outputs.grad.any()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_gradient_is_that_of_the_equation(model, share):
    """Central differences of the reference, at a few logits."""
    logits, labels, weight = drawn(images=1, height=2, width=3)
    outputs, targets = as_tensors(logits, labels, weight + 0.1, smoothing=0.1, dice=share)

    def reference(at):
        dice = 0
        if share:
            probs, onehot = soft_probs(at, labels, 0)
            coefficients = 2 * (probs * onehot).sum(0) / (probs.sum(0) + onehot.sum(0))
            dice = share * (1 - coefficients[onehot.any(0)].mean())
        return reference_cross_entropy(at, labels, weight + 0.1, 0.1) + dice

    sum(model.loss(outputs, targets).values()).backward()
    for place in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[place] = 1e-5
        slope = (reference(logits + step) - reference(logits - step)) / 2e-5
        assert float(outputs.grad[place]) == pytest.approx(slope, abs=2e-6)


def test_loss_is_in_float32_and_bears_huge_logits(model):
    labels = torch.tensor([[[0, 1]]])
    outputs = torch.tensor([[[[1e4, 1e4]], [[-1e4, -1e4]], [[0.0, 0.0]], [[0.0, 0.0]]]], dtype=torch.bfloat16)
    terms = model.loss(outputs, pixel_targets(labels, dice=1.0))
    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert float(terms["cross_entropy"]) == pytest.approx(
        float(outputs[0, 0, 0, 0])
    )  # half of the pixels, twice as wrong
    assert float(terms["dice"]) == pytest.approx(1 - (2 / 3 + 0) / 2)


def test_decode_takes_the_greatest_logit_and_its_prob(model):
    logits = torch.tensor(drawn()[0], dtype=torch.float32)
    decoded = model.decode({"out": logits, "aux": -logits})
    probs = logits.softmax(1)
    assert torch.equal(decoded["labels"].long(), logits.argmax(1))
    torch.testing.assert_close(decoded["scores"], probs.amax(1))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_of_equal_logits_the_first_class_is_taken(model, layout):
    logits = torch.zeros(2, CLASSES, 9, 40)
    logits[:, 1:3, 4:] = 1.0
    decoded = model.decode(logits.contiguous(memory_format=layout))
    assert not decoded["labels"][:, :4].any()
    assert (decoded["labels"][:, 4:] == 1).all()
    torch.testing.assert_close(decoded["scores"][:, :4], torch.full((2, 4, 40), 0.25))


def test_scores_of_huge_logits_are_exact(model):
    logits = torch.tensor([1e6, 1e6 - math.log(3) * 2, -1e6, -1e6]).view(1, CLASSES, 1, 1)
    score = float(model.decode(logits)["scores"])
    assert score == pytest.approx(float(logits.double().softmax(1).amax()), rel=1e-6)


def test_what_is_not_a_number_shows_in_the_scores(model):
    logits = torch.zeros(1, CLASSES, 1, 2)
    logits[0, 2, 0, 1] = float("nan")
    assert model.decode(logits)["scores"].isnan().tolist() == [[[False, True]]]


def test_decode_can_be_traced(model):
    x = torch.tensor(drawn()[0], dtype=torch.float32)
    traced = torch.export.export(Decoding(model), (x,))
    for name, value in traced.module()(x).items():
        assert torch.equal(value, model.decode(x)[name])


class Decoding(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.decode = model.decode

    def forward(self, x):
        return self.decode(x)


@pytest.mark.parametrize("classes", [255, 256])
def test_more_classes_than_a_mask_holds_are_refused(classes):
    assert base.MOST_CLASSES == masks.MOST_CLASSES == masks.IGNORE
    with torch.device("meta"):
        if classes == 255:
            assert build_model("fcn32s_resnet18", classes).architecture["classes"] == 255
            return
        with pytest.raises(UsageError, match=r"'fcn32s_resnet18' for 256 classes: masks hold at most 255\. Merge"):
            build_model("fcn32s_resnet18", classes)
