"""What every detector of the catalogue keeps beside `test_contract.py`: objects in, losses; boxes out."""

import copy
import functools

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from pellucid.catalog import catalogue
from pellucid.models.base import AbstractDetector, build_model
from pellucid.ops.boxes import nms, pairwise_iou
from tests.models.kinds import SMALL, box_targets

CLASSES = 3
SIDE = 64
SLOW = ("yolo_v1_resnet50",)  # has four scenes to learn instead of eight


@functools.cache
def built(name: str) -> AbstractDetector:
    torch.manual_seed(0)
    return build_model(name, CLASSES, **SMALL.get(name, {}))


def is_detector(name: str) -> bool:
    with torch.device("meta"):
        return build_model(name, 1, **SMALL.get(name, {})).task == "detect"


pytestmark = pytest.mark.parametrize("name", [name for name in sorted(catalogue("MODELS")) if is_detector(name)])


def fresh(name: str) -> AbstractDetector:
    return copy.deepcopy(built(name))


def side_of(model: AbstractDetector) -> int:
    return model.size if model.fixed_size else SIDE


def noise(model: AbstractDetector, n: int) -> Tensor:
    side = side_of(model)
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(n))


def scenes(side: int, count: int = 8) -> tuple[Tensor, dict[str, Tensor]]:
    """Grey noise with one or two bright rectangles, each lit in the channel of its class, in opposite quarters."""
    generator = torch.Generator().manual_seed(5)
    x = 0.3 * torch.randn(count, 3, side, side, generator=generator)
    xyxy, labels = torch.zeros(count, 2, 4), torch.full((count, 2), -1)
    for image in range(count):
        for place in range(1 + image % 2):
            size = torch.randint(side // 5, side // 2 - 2, (2,), generator=generator)
            corner = place * side // 2 + torch.randint(0, 3, (2,), generator=generator)
            label = (image + place) % CLASSES
            left, top, right, bottom = *corner.tolist(), *(corner + size).tolist()
            x[image, label, top:bottom, left:right] += 3
            xyxy[image, place], labels[image, place] = torch.tensor([left, top, right, bottom]), label
    return x, box_targets(xyxy.float(), labels, side=side)


def gradients(model: AbstractDetector, outputs: dict[str, Tensor], targets: dict[str, Tensor]) -> dict[str, Tensor]:
    leaves = {key: value.detach().clone().requires_grad_() for key, value in outputs.items()}
    sum(model.loss(leaves, targets).values()).backward()
    return {key: value.grad for key, value in leaves.items()}


def without_any(images: int, rows: int, side: int) -> dict[str, Tensor]:
    return box_targets(torch.zeros(images, rows, 4), torch.full((images, rows), -1), side=side)


@pytest.mark.parametrize("rows", [0, 2])
def test_images_without_objects_teach_background(name, rows):
    model = fresh(name).eval()
    outputs = model(noise(model, 2))
    targets = without_any(2, rows, side_of(model))
    terms = model.loss(outputs, targets)
    assert all(term.isfinite() and term.ndim == 0 for term in terms.values())
    found = gradients(model, outputs, targets)
    assert all(value.isfinite().all() for value in found.values())
    assert any(value.any() for value in found.values())


def test_absent_rows_change_nothing(name):
    model = fresh(name).eval()
    x, targets = scenes(side_of(model), 3)
    padded = {
        key: torch.cat([value, value[:, :1]], dim=1) if key != "size" else value for key, value in targets.items()
    }
    padded["labels"][:, -1] = -1
    outputs = model(x)
    assert model.loss(outputs, targets) == model.loss(outputs, padded)


def test_the_order_of_boxes_changes_nothing(name):
    model = fresh(name).eval()
    x, targets = scenes(side_of(model))
    turned = {key: value.flip(1) if key != "size" else value for key, value in targets.items()}
    outputs = model(x)
    here, there = model.loss(outputs, targets), model.loss(outputs, turned)
    torch.testing.assert_close(here, there)


def test_nothing_is_learnt_of_what_is_ignored(name):
    """An ignored object over the whole image: every prediction meets it, so none is right or wrong."""
    model = fresh(name).eval()
    side = side_of(model)
    xyxy, labels = torch.tensor([[[0.0, 0, side, side]]]), torch.tensor([[1]])
    outputs = model(noise(model, 1))
    ignoring = box_targets(xyxy, labels, torch.tensor([[True]]), side=side)
    assert all(not value.any() for value in gradients(model, outputs, ignoring).values())
    assert any(value.any() for value in gradients(model, outputs, box_targets(xyxy, labels, side=side)).values())


def test_an_ignored_object_takes_nothing_from_others(name):
    """Far from it and from what overlaps it, predictions learn as before."""
    model = fresh(name).eval()
    side = side_of(model)
    near, far = [0.0, 0, side / 4, side / 4], [side * 0.55, side * 0.55, side * 0.95, side * 0.95]
    labels = torch.tensor([[0, 1]])
    outputs = model(noise(model, 1))
    boxes = torch.tensor([[near, far]])
    with_ignored = model.loss(outputs, box_targets(boxes, labels, torch.tensor([[True, False]]), side=side))
    alone = model.loss(outputs, box_targets(boxes[:, 1:], labels[:, 1:], side=side))
    coordinates = [key for key in alone if key in ("box", "xy", "wh", "object")]
    assert coordinates
    for key in coordinates:
        torch.testing.assert_close(with_ignored[key], alone[key])
    assert sum(with_ignored.values()) < sum(alone.values())


def test_loss_is_computed_in_float32(name):
    model = fresh(name).eval()
    x, targets = scenes(side_of(model), 2)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(x)
    terms = model.loss(outputs, targets)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    torch.testing.assert_close(terms, model.loss({key: value.float() for key, value in outputs.items()}, targets))


def test_decoding_does_not_depend_on_the_data(name):
    """Traced on one batch it gives the right boxes for another."""
    model = fresh(name).eval()

    def decode(outputs: dict[str, Tensor]) -> dict[str, Tensor]:  # make_fx counts the `self` of a method as an argument
        return model.decode(outputs)

    with torch.no_grad():
        one, other = model(noise(model, 2)), model(torch.zeros_like(noise(model, 2)))
        other = {key: value * 3 - 1 for key, value in other.items()}
        traced = make_fx(decode)(one)
        assert all(torch.equal(traced(other)[key], value) for key, value in model.decode(other).items())


def test_decoded_boxes_have_ordered_corners_and_scores_are_shares(name):
    model = fresh(name).eval()
    with torch.no_grad():
        decoded = model.decode({key: 5 * torch.randn_like(value) for key, value in model(noise(model, 2)).items()})
    assert (decoded["xyxy"][..., :2] <= decoded["xyxy"][..., 2:]).all()
    assert decoded["scores"].min() >= 0
    assert decoded["scores"].max() <= 1


def found_all(model: AbstractDetector, x: Tensor, targets: dict[str, Tensor]) -> bool:
    """Whether after suppression the best boxes, as many as there are objects, are these objects."""
    with torch.no_grad():
        decoded = model.decode(model(x))
    for boxes, every, xyxy, wanted in zip(*decoded.values(), targets["xyxy"], targets["labels"], strict=True):
        scores, labels = every.max(1)
        real = wanted >= 0
        kept = nms(boxes, scores, labels, 0.5, most=int(real.sum()))[0]
        right = (pairwise_iou(xyxy[real], boxes[kept]) > 0.5) & (wanted[real][:, None] == labels[kept])
        if not right.any(1).all():
            return False
    return True


def test_it_learns_scenes_by_heart(name):
    """Adam, full batch, train mode without dropout, up to 150 steps."""
    model = fresh(name).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    x, targets = scenes(side_of(model), 4 if name in SLOW else 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-4 if name in SLOW else 2e-3)
    losses = []
    for step in range(151):
        loss = sum(model.loss(model(x), targets).values())
        losses.append(float(loss.detach()))
        if step % 10 == 0 and losses[-1] < 0.5 * losses[0] and found_all(model, x, targets):
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"loss {losses[0]:.3f} to {losses[-1]:.3f}")
