"""What the outputs and targets of each task look like, for suites that meet every model."""

import torch
from torch import Tensor

from pellucid.models.base import AbstractModel


def logits(outputs: Tensor | dict[str, Tensor]) -> Tensor:
    """The logits that decide, of outputs that may hold those of an auxiliary head too."""
    return outputs["out"] if isinstance(outputs, dict) else outputs


def logits_shape(model: AbstractModel, x: Tensor, classes: int) -> tuple[int, ...]:
    return (len(x), classes) if model.task == "classify" else (len(x), classes, *x.shape[2:])


def targets_of(model: AbstractModel, x: Tensor, labels: Tensor, classes: int) -> Tensor | dict[str, Tensor]:
    """One class an image: that of the image, or that of all its pixels."""
    if model.task == "classify":
        return torch.eye(classes)[labels]
    return pixel_targets(labels[:, None, None].expand(-1, *x.shape[2:]))


def pixel_targets(labels: Tensor, weight: Tensor | float = 1.0, smoothing: float = 0, dice: float = 0) -> dict:
    """What a segmenter's loss takes."""
    images = len(labels)
    return {
        "labels": labels,
        "weight": torch.as_tensor(weight, dtype=torch.float32).expand(labels.shape),
        "smoothing": torch.full((images,), float(smoothing)),
        "dice": torch.full((images,), float(dice)),
    }
