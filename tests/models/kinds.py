"""What the outputs and targets of each task look like, for suites that meet every model."""

from typing import Any

import torch
from torch import Tensor

from pellucid.models.base import AbstractModel

SMALL: dict[str, dict[str, Any]] = {
    **{name: {"width": 4} for name in ("vgg16", "fcn32s", "fcn16s", "fcn8s")},
    "yolo_v1": {"width": 1 / 16, "side": 64, "grid": 4},
    "yolo_v1_fast": {"width": 1 / 8, "side": 64, "grid": 4},
    "yolo_v1_resnet18": {"side": 64, "grid": 4},
    "yolo_v1_resnet50": {"side": 64, "grid": 4},
    "yolo_n": {"share": 1 / 2},
    "yolo_s": {"share": 1 / 4},
    "yolo_m": {"share": 1 / 4},
}
"""Arguments with which large models are small enough to be tried out; any other is built as it is."""


def logits(outputs: Tensor | dict[str, Tensor]) -> Tensor:
    """The numbers that decide: of a detector's maps all, as rows; of an auxiliary head none."""
    if isinstance(outputs, Tensor):
        return outputs
    return outputs["out"] if "out" in outputs else torch.cat([value.flatten(1) for value in outputs.values()], dim=1)


def narrowed(outputs: Tensor | dict[str, Tensor]) -> Any:
    """In bf16, as autocast gives them."""
    if isinstance(outputs, Tensor):
        return outputs.bfloat16()
    return {name: value.bfloat16() for name, value in outputs.items()}


def assert_shape(model: AbstractModel, outputs: Any, x: Tensor, classes: int) -> None:
    """One logit a class and image, or a class and pixel; of a detector, what decoding makes of them."""
    if model.task == "detect":
        decoded = model.decode(outputs)
        candidates = decoded["xyxy"].shape[1]
        assert decoded["xyxy"].shape == (len(x), candidates, 4)
        assert decoded["scores"].shape == (len(x), candidates, classes)
    else:
        expected = (len(x), classes) if model.task == "classify" else (len(x), classes, *x.shape[2:])
        assert logits(outputs).shape == expected


def targets_of(model: AbstractModel, x: Tensor, labels: Tensor, classes: int) -> Tensor | dict[str, Tensor]:
    """One class an image: that of the image, of all its pixels, or of three objects in it, large to small."""
    if model.task == "classify":
        return torch.eye(classes)[labels]
    if model.task == "segment":
        return pixel_targets(labels[:, None, None].expand(-1, *x.shape[2:]))
    side = x.shape[-1]
    shares = torch.tensor([[0.05, 0.05, 0.95, 0.9], [0.5, 0.4, 0.98, 0.9], [0.1, 0.7, 0.28, 0.85]])
    return box_targets((shares * side).expand(len(x), 3, 4), labels[:, None].expand(-1, 3), side=side)


def pixel_targets(labels: Tensor, weight: Tensor | float = 1.0, smoothing: float = 0, dice: float = 0) -> dict:
    """What a segmenter's loss takes."""
    images = len(labels)
    return {
        "labels": labels,
        "weight": torch.as_tensor(weight, dtype=torch.float32).expand(labels.shape),
        "smoothing": torch.full((images,), float(smoothing)),
        "dice": torch.full((images,), float(dice)),
    }


def box_targets(xyxy: Tensor, labels: Tensor, ignored: Tensor | None = None, *, side: int) -> dict[str, Tensor]:
    """What a detector's loss takes."""
    return {
        "xyxy": xyxy,
        "labels": labels,
        "ignored": torch.zeros_like(labels, dtype=torch.bool) if ignored is None else ignored,
        "size": torch.full((len(labels), 2), side),
    }
