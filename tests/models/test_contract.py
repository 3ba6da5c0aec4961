"""What every model of the catalogue keeps, whoever wrote it."""

import copy
import functools

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pellucid.catalog import catalogue
from pellucid.models.base import AbstractModel, build_model
from pellucid.models.weights import inherit_weights
from tests.inspection.networks import unsettled
from tests.models.kinds import SMALL, assert_shape, logits, narrowed, targets_of

CLASSES = 5
PLAIN = ("vgg16", "fcn32s", "fcn16s", "fcn8s")  # deep without normalisation: slow to learn, and huge unless thin
SMOOTH = ("silu", "gelu", "sigmoid", "tanh", "elu", "mish", "softplus", "swish", "exp", "softmax")
NORMS = (nn.BatchNorm2d, nn.Dropout, nn.Dropout2d)
NAMES = sorted(catalogue("MODELS"))

pytestmark = pytest.mark.parametrize("name", NAMES)


@functools.cache
def built(name: str) -> AbstractModel:
    torch.manual_seed(0)
    return build_model(name, CLASSES, **SMALL.get(name, {}))


def fresh(name: str) -> AbstractModel:
    return copy.deepcopy(built(name))


def stirred(name: str) -> AbstractModel:
    """As after some training: no normalisation is the identity, no gamma is 0, and no score."""
    return unsettled(fresh(name)).eval()


def images(model: AbstractModel, n: int, side: int | None = None, channels: int = 3) -> Tensor:
    side = model.size if model.fixed_size or side is None else side
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(n))


def test_outputs_do_not_depend_on_the_rest_of_the_batch(name):
    model = stirred(name)
    x = images(model, 3, 64)
    with torch.no_grad():
        together, alone = model(x), model(x[1:2])
    assert_shape(model, together, x, CLASSES)
    assert_shape(model, alone, x[1:2], CLASSES)
    torch.testing.assert_close(logits(together)[1:2], logits(alone), rtol=1e-3, atol=1e-4)


def test_decode_gives_what_its_task_reads(name):
    model = fresh(name).eval()
    with torch.no_grad():
        decoded = model.decode(narrowed(model(images(model, 2, 32))))
    found = {key: (value.dtype, tuple(value.shape)) for key, value in decoded.items()}
    side, candidates = model.size if model.fixed_size else 32, decoded.get("xyxy", torch.empty(0, 0)).shape[1]
    assert (
        found
        == {
            "classify": {"logits": (torch.float32, (2, CLASSES)), "probs": (torch.float32, (2, CLASSES))},
            "segment": {"labels": (torch.uint8, (2, side, side)), "scores": (torch.float32, (2, side, side))},
            "detect": {
                "xyxy": (torch.float32, (2, candidates, 4)),
                "scores": (torch.float32, (2, candidates, CLASSES)),
            },
        }[model.task]
    )


def test_wrong_channels_are_refused(name):
    model = fresh(name).eval()
    with pytest.raises(RuntimeError, match="channels"):
        model(images(model, 1, 32, channels=4))


def test_one_channel_and_one_class_more(name):
    with torch.device("meta"):
        model = build_model(name, CLASSES + 1, in_channels=1)
    x = torch.empty(2, 1, model.size, model.size, device="meta")
    assert_shape(model, model.eval()(x), x, CLASSES + 1)


def test_a_gradient_reaches_every_parameter(name):
    """Those that are fixed by design excepted."""
    model = stirred(name).train()
    torch.manual_seed(0)
    x = images(model, 3, 64)
    terms = model.loss(model(x), targets_of(model, x, torch.arange(3), CLASSES))
    sum(terms.values()).backward()
    learnt = {key: value for key, value in model.named_parameters() if value.requires_grad}
    assert [key for key, value in learnt.items() if value.grad is None or not value.grad.any()] == []


class Operations(TorchDispatchMode):
    """Every operation that forward comes down to."""

    def __init__(self) -> None:
        super().__init__()
        self.mutating: list[str] = []
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func._schema.name.removeprefix("aten::"))
        if func._schema.is_mutable:
            self.mutating.append(func._schema.name)
        return func(*args, **(kwargs or {}))


def test_no_operation_is_in_place_or_smooth(name):
    model = fresh(name).eval()
    with torch.no_grad(), Operations() as seen:
        model(images(model, 1, 32))
    assert seen.mutating == []
    assert {found for found in seen.names if found.strip("_") in SMOOTH} == set()


def test_activations_stay_as_a_hook_saw_them(name):
    model = stirred(name)
    seen: list[tuple[str, Tensor, Tensor]] = []
    for key, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _m, _x, y, key=key: seen.append((key, y, y.clone())))
    x = images(model, 1, 32)
    before = x.clone()
    with torch.no_grad():
        model(x)
    assert torch.equal(x, before)
    assert [key for key, now, then in seen if not torch.equal(now, then)] == []


def test_forward_does_not_read_training(name):
    model = stirred(name)
    x = images(model, 2, 32)
    with torch.no_grad():
        evaluating = logits(model(x))
        model.train()
        for module in model.modules():
            if isinstance(module, NORMS):
                module.eval()
        training = logits(model(x))
    assert torch.equal(evaluating, training)


def test_it_is_affine_around_an_image(name):
    """In one linear region the gradient is the same at two points; a smooth network's differs by the step."""
    model = stirred(name).double()
    x = images(model, 1, 32).double()
    shape = logits(model(x)).shape
    weights = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def gradient(at: Tensor) -> Tensor:
        at = at.clone().requires_grad_()
        (logits(model(at)) * weights).sum().backward()
        return at.grad

    here = gradient(x)
    direction = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    gaps = (float((gradient(x + step * direction) - here).abs().max()) for step in (1e-5, 1e-6, 1e-7))
    assert any(gap < 1e-11 * float(here.abs().max()) for gap in gaps)


def test_declared_features_are_the_real_ones(name):
    model = fresh(name).eval()
    if not model.features:
        assert not hasattr(model, "stages")
        return
    strides = [feature.stride for feature in model.features]
    assert strides == sorted(strides)
    with torch.no_grad():
        found = model.stages(torch.zeros(1, 3, 64, 96))
    assert list(found) == [feature.name for feature in model.features]
    for feature in model.features:
        expected = (1, feature.channels, 64 // feature.stride, 96 // feature.stride)
        assert found[feature.name].shape == expected


def test_the_head_is_where_it_says(name):
    with torch.device("meta"):
        few, many = build_model(name, 2).state_dict(), build_model(name, 7).state_dict()
    differ = {key for key in few if few[key].shape != many[key].shape}
    head = built(name).head
    prefixes = tuple(f"{part}." for part in ([head] if isinstance(head, str) else head))
    assert differ
    assert all(key.startswith(prefixes) for key in differ)


def test_it_takes_the_weights_of_its_ancestor(name):
    """All of its own but the head, all of the ancestor's but the head."""
    with torch.device("meta"):
        model = build_model(name, 2)
        if not model.ancestor:
            assert not model.inherits
            return
        ancestor = build_model(model.ancestor, 7)
    left = inherit_weights(model, ancestor.state_dict())
    assert all(key.startswith(("classifier", "aux_classifier", "extra", "connected")) for key in left)
    assert len(model.state_dict()) - len(left) == len(ancestor.state_dict()) - 2


def test_it_is_rebuilt_from_its_architecture(name):
    model = stirred(name)
    assert model.architecture["name"] == name
    twin = build_model(**model.architecture)
    twin.load_state_dict(model.state_dict(), strict=True)
    x = images(model, 1, 32)
    with torch.no_grad():
        assert torch.equal(logits(model(x)), logits(twin.eval()(x)))


def test_it_learns_images_by_heart(name):
    """Adam, full batch, train mode, as long as it takes up to 60 steps; two images and no dropout for the plain."""
    model = fresh(name).train()
    if model.task == "detect":
        return  # test_detector_contract has objects for them
    torch.manual_seed(0)
    count, steps = (2, 120) if name in PLAIN else (8, 60)
    for module in model.modules():
        if isinstance(module, nn.Dropout) and name in PLAIN:
            module.eval()
    x = images(model, count, 32)
    labels = torch.arange(count) % CLASSES
    targets = targets_of(model, x, labels, CLASSES)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        outputs = model(x)
        loss = sum(model.loss(outputs, targets).values())
        found = logits(outputs).argmax(1).reshape(count, -1)  # one class an image, or one a pixel
        if float(loss.detach()) < 0.3 and bool((found == labels[:, None]).all()):
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"loss {float(loss.detach()):.3f} after {steps} steps")
