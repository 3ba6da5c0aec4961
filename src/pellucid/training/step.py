"""One optimiser update: augmented images in, gradients and named losses out, refused when they are not numbers."""

import dataclasses
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from pellucid.data.augment import (
    Augment,
    blend,
    draw_matrices,
    draw_partners,
    draw_size,
    erase,
    recolor,
    warp,
    warp_tiled,
)
from pellucid.errors import NonFiniteError
from pellucid.machine import arithmetic
from pellucid.models.base import AbstractModel
from pellucid.preprocess import LETTERBOX_GREY
from pellucid.ranks import ALONE, Ranks
from pellucid.tasks.base import AbstractTask
from pellucid.training.plan import Plan, augment_of
from pellucid.types import Batch

__all__ = [
    "augmented",
    "average_into",
    "backward",
    "chunked",
    "first_wrong_layer",
    "gradient_norm",
    "moved_to",
    "refuse_non_finite",
]


def augmented(
    batch: Batch, task: AbstractTask, plan: Plan, generator: Generator, device: torch.device, done: float = 0.0
) -> tuple[Float[Tensor, "n c h w"], Any]:
    """Normalised images in network pixels and soft targets, both changed by the same draws.

    `done` is the share of the steps that lies behind.
    """
    augment = augment_of(plan, task, done)
    size = draw_size(plan.preprocess.size, augment, generator)
    images, targets, order = batch.images.to(device, non_blocking=True), batch.targets, None
    if augment.mosaic and torch.rand((), generator=generator).item() < augment.mosaic:
        order = draw_partners(len(images), generator)
        targets, augment = task.tile(targets, order), dataclasses.replace(augment, view=0.5)
    matrices = draw_matrices(len(images), size[1], augment, generator)
    if order is not None:
        images = warp_tiled(images, order, matrices, size, grey=LETTERBOX_GREY)
    elif _moves(augment) or images.shape[2:] != size:
        images = warp(images, matrices, size, grey=None if task.mirrors else LETTERBOX_GREY)
    else:
        images = images.float()
    targets = task.soften(task.move(targets, matrices, size), plan.settings)
    if augment.color:
        images = recolor(images, augment.color, generator)
    images = plan.preprocess.normalise(images)
    if augment.erase:
        images = erase(images, augment.erase, generator)
    if augment.mixup or augment.cutmix:
        images, order, share = blend(images, augment, generator)
        targets = task.mix(targets, order, share)
    if plan.settings.precision == "bf16":
        images = images.bfloat16()  # as the first convolution would, but before the memory is laid out anew
    return images.contiguous(memory_format=torch.channels_last), moved_to(targets, device)


def _moves(augment: Augment) -> bool:
    return bool(augment.hflip or augment.shift or augment.rotate or augment.zoom < 1)


def moved_to(targets: Any, device: torch.device) -> Any:
    """Targets (a tensor, or tensors by name) on a device."""
    if isinstance(targets, Tensor):
        return targets.to(device)
    return {name: value.to(device) for name, value in targets.items()}


def chunked(targets: Any, parts: int) -> list[Any]:
    """Targets cut into equal parts along the axis of images."""
    if isinstance(targets, Tensor):
        return list(targets.chunk(parts))
    columns = {name: value.chunk(parts) for name, value in targets.items()}
    return [{name: column[part] for name, column in columns.items()} for part in range(parts)]


def backward(
    model: AbstractModel,
    images: Tensor,
    targets: Any,
    plan: Plan,
    ranks: Ranks = ALONE,
    network: nn.Module | None = None,
) -> dict[str, float]:
    """Leave the gradient of the mean loss over the micro-batches and ranks in the parameters; the loss terms by name.

    `network` is what is called in place of the model where there are several ranks.
    """
    network = network or model
    parts = plan.settings.accumulate
    totals: dict[str, float] = {}
    for part, (micro_images, micro_targets) in enumerate(
        zip(images.chunk(parts), chunked(targets, parts), strict=True), start=1
    ):
        with ranks.apart(network) if part < parts else nullcontext():
            with arithmetic(images.device, plan.settings.precision):
                outputs = network(micro_images)
            terms = model.loss(outputs, micro_targets)
            total = torch.stack(list(terms.values())).sum() / parts
            total.backward()
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + term.item() / parts
    return ranks.mean(totals)


def gradient_norm(model: nn.Module, largest: float | None) -> float:
    """Euclidean norm of the whole gradient; scaled down to `largest` where it exceeds that.

    A norm that is not a number scales nothing, so that the gradient at fault can still be found.
    """
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    norm = get_total_norm(gradients)
    if largest is not None and torch.isfinite(norm):
        clip_grads_with_norm_(model.parameters(), largest, norm)
    return float(norm)


def refuse_non_finite(model: AbstractModel, losses: dict[str, float], norm: float, images: Tensor, plan: Plan) -> None:
    """Raise when a loss term or the gradient is not a number, naming the first layer where that is so."""
    wrong = [f"{name} = {value}" for name, value in losses.items() if not math.isfinite(value)]
    if not wrong and math.isfinite(norm):
        return
    if not wrong:
        wrong = [f"the norm of the gradient = {norm}"]
    raise NonFiniteError(f"{', '.join(wrong)}; {first_wrong_layer(model, images, plan)}.")


def first_wrong_layer(model: AbstractModel, images: Tensor, plan: Plan) -> str:
    """Where numbers stop being finite: the first layer by its name, or the first gradient, in words."""
    if not torch.isfinite(images).all():
        return "the images themselves are not finite"
    wrong: list[str] = []

    def look(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not torch.isfinite(output).all():
                wrong.append(name)

        return hook

    handles = [module.register_forward_hook(look(name)) for name, module in model.named_modules() if name]
    try:
        with torch.no_grad(), arithmetic(images.device, plan.settings.precision):
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    if wrong:
        return f"the first layer whose output is not finite is {wrong[0]!r}"
    for name, weight in model.named_parameters():
        if weight.grad is not None and not torch.isfinite(weight.grad).all():
            return f"every output is finite; the first gradient that is not is that of {name!r}"
    return "every layer's output is finite; the loss itself is not"


@torch.no_grad()
def average_into(averages: Sequence[Tensor], tensors: Sequence[Tensor], decay: float) -> None:
    """`average = decay · average + (1 - decay) · tensor` for weights and batch norm statistics; counters are copied."""
    pairs = list(zip(averages, tensors, strict=True))
    old, new = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
    torch._foreach_lerp_(old, new, 1 - decay)
    for counter, value in pairs:
        if not counter.is_floating_point():
            counter.copy_(value)
