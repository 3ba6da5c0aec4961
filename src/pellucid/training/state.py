"""A run's progress to and from a checkpoint: tensors and a few numbers, no state of any generator."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from pellucid.checkpoint import load_tensors, save_tensors
from pellucid.errors import ModelError
from pellucid.models.base import AbstractModel

__all__ = ["Progress", "load_progress", "save_progress"]


@dataclass(slots=True)
class Progress:
    """All that changes in a run, and so all that a checkpoint holds.

    `network` is what is called in place of the model, which makes ranks share their gradients. `elapsed` is seconds
    spent so far, `best` the highest validation figure, `behind` the evaluations since.
    `tensors` and `averages` are those of the model and of the averaged one, side by side and the same throughout.
    """

    model: AbstractModel
    network: nn.Module
    averaged: AbstractModel | None
    optimizers: list[Optimizer]
    steps: int
    step: int = 0
    elapsed: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    behind: int = 0
    tensors: list[Tensor] = field(init=False)
    averages: list[Tensor] = field(init=False)

    def __post_init__(self) -> None:
        """Gather the tensors once: looking them up takes longer than averaging them."""
        self.tensors = _tensors(self.model)
        self.averages = _tensors(self.averaged) if self.averaged is not None else []

    @property
    def judged(self) -> AbstractModel:
        """The weights that are evaluated and kept: the averaged ones where there are any."""
        return self.averaged or self.model


def _tensors(model: AbstractModel) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def save_progress(path: Path, progress: Progress) -> None:
    """Write the checkpoint, whole or not at all."""
    tensors = {f"model/{name}": value for name, value in progress.model.state_dict().items()}
    if progress.averaged is not None:
        tensors |= {f"averaged/{name}": value for name, value in progress.averaged.state_dict().items()}
    for name, (optimizer, weight) in _owners(progress).items():
        for key, value in optimizer.state[weight].items():
            tensors[f"optimizer/{key}/{name}"] = value
    numbers = ("steps", "step", "elapsed", "best", "behind")
    facts = {"kind": "checkpoint", "form": _form(progress), **{name: getattr(progress, name) for name in numbers}}
    save_tensors(path, tensors, facts)


def load_progress(path: Path, progress: Progress) -> None:
    """Put a checkpoint's state into a progress that was begun with the same settings."""
    tensors, facts = load_tensors(path)
    if facts.get("kind") != "checkpoint":
        raise ModelError(f"{path} is a {facts.get('kind')}, not a checkpoint.")
    if facts["form"] != _form(progress):
        raise ModelError(f"{path} was saved with another optimizer, freeze or ema. Go on with the settings it had.")
    try:
        progress.model.load_state_dict(_below("model/", tensors))
        if progress.averaged is not None:
            progress.averaged.load_state_dict(_below("averaged/", tensors))
    except RuntimeError as error:
        raise ModelError(f"{path} does not fit this run's model: {error}") from error
    owners = _owners(progress)
    for place, value in _below("optimizer/", tensors).items():
        key, _, name = place.partition("/")
        optimizer, weight = owners[name]
        optimizer.state[weight][key] = _like(value, weight)
    for name in ("steps", "step", "elapsed", "best", "behind"):
        setattr(progress, name, facts[name])


def _owners(progress: Progress) -> dict[str, tuple[Optimizer, torch.nn.Parameter]]:
    """Each trained parameter's name with its optimiser."""
    names = {weight: name for name, weight in progress.model.named_parameters()}
    owners: dict[str, tuple[Optimizer, torch.nn.Parameter]] = {}
    for optimizer in progress.optimizers:
        for group in optimizer.param_groups:
            owners |= {names[weight]: (optimizer, weight) for weight in group["params"]}
    return owners


def _form(progress: Progress) -> dict[str, Any]:
    """What a checkpoint and the run that goes on from it must have in common besides the network."""
    optimizers = {name: type(optimizer).__name__ for name, (optimizer, _) in _owners(progress).items()}
    return {"optimizers": optimizers, "averaged": progress.averaged is not None}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _like(value: Tensor, weight: Tensor) -> Tensor:
    """The value in the weight's memory layout and place, so that arithmetic takes the same path as before."""
    if value.shape == weight.shape:
        return torch.empty_like(weight, dtype=value.dtype, requires_grad=False).copy_(value)
    return value.to(weight.device)
