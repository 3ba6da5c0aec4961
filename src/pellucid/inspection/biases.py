"""Every use of a bias in a pass, as a leaf of its own."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pellucid.inspection.places import Places, kind_of

__all__ = ["Bias", "Biases"]

BIASES = {"linear": 2, "batch_norm": 4} | {
    f"conv{transposed}{d}d": 2 for d in (1, 2, 3) for transposed in ("", "_transpose")
}
"""Kinds that add a bias, and its place among their arguments."""


@dataclass(frozen=True, slots=True, eq=False)
class Bias:
    """One use of a layer's biases: the leaf that the pass saw, and the shift that it stands for."""

    name: str
    kind: str
    leaf: Tensor
    shift: Tensor


class Biases(TorchFunctionMode):
    """Gives every use of a bias a leaf of its own, whose gradient is the sum over the places where it was added."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.found: list[Bias] = []
        self._places = places

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords, kind = dict(kwargs or {}), kind_of(func)
        place = BIASES.get(kind)
        if place is None:
            return func(*args, **keywords)
        given = dict(zip(range(len(args)), args, strict=True))
        key: Any = "bias" if "bias" in keywords or place not in given else place
        store: dict[Any, Any] = keywords if key == "bias" else given
        bias = store.get(key)
        if kind == "batch_norm":
            store[key] = self._leaf(kind, *_shift(given, keywords, bias))
        elif bias is not None:
            store[key] = self._leaf(kind, bias, bias)
        return func(*given.values(), **keywords)

    def _leaf(self, kind: str, bias: Tensor, shift: Tensor) -> Tensor:
        leaf = bias.detach().clone().requires_grad_()
        self.found.append(Bias(self._places.name(kind), kind, leaf, shift.detach()))
        return leaf


def _shift(given: dict[int, Any], keywords: dict[str, Any], bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """The bias of a batch norm and its whole shift, with the arguments of `functional.batch_norm`."""
    mean, variance = given[1].detach(), given[2].detach()
    weight = keywords.get("weight", given.get(3))
    scale = torch.rsqrt(variance + keywords.get("eps", given.get(7, 1e-5)))
    scale = scale if weight is None else scale * weight.detach()
    bias = torch.zeros_like(mean) if bias is None else bias.detach()
    return bias, bias - scale * mean
