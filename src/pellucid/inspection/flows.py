"""What passes from one operation to the next on its way to a number: every use of every value, with its own gradient.

A value that is used twice, as before a shortcut, has two uses. Each gets a copy of the value, so that the gradient of
the copy is what this use alone counts, whatever the others do; and an in-place operation overwrites nothing but its own
copy. One backward pass gives all of them.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from pellucid.inspection.biases import Biases
from pellucid.inspection.places import Places, kind_of

__all__ = ["Flow", "Flows", "Step"]

QUERIES = {"size", "dim", "numel", "stride", "is_floating_point", "is_complex", "is_contiguous"}
"""What asks about a tensor. Their answer is no tensor, and nothing has to be copied for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of the pass; `shape` is that of what it gave, without the axis of images."""

    name: str
    kind: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """What one use of a value counts: activation times gradient, summed by channel and by place.

    `maker` and `user` are numbers of steps; `places` is None of what is no map.
    """

    maker: int
    user: int
    channels: Float[Tensor, " c"]
    places: Float[Tensor, "h w"] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Made:
    """A value of the pass, kept so that its id stays its own; who made it, and what it is since it was written to."""

    tensor: Tensor
    maker: int
    now: Tensor


class Flows(TorchFunctionMode):
    """Copies what depends on the image at every use. Step 0 is the image.

    `flows` fills during the backward pass; `bias_steps` says of every bias that `biases` finds in which step it is
    added.
    """

    def __init__(self, image: Tensor, places: Places, biases: Biases) -> None:
        super().__init__()
        self.steps = [Step("input", "input", tuple(image.shape[1:]))]
        self.flows: list[Flow] = []
        self.bias_steps: list[int] = []
        self._places, self._biases = places, biases
        self._made = {id(image): _Made(image, 0, image)}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given, kind = (args, kwargs or {}), kind_of(func)
        if func.__name__ == "__get__" or kind in QUERIES:
            answer = func(*given[0], **given[1])
            if not _tensors(answer):
                return answer
        if not any(id(one) in self._made for one in _tensors(given)):
            return func(*given[0], **given[1])
        copies: dict[int, tuple[Tensor, Tensor]] = {}
        arguments, keywords = tree_map_only(Tensor, partial(self._copied, len(self.steps), copies), given)
        return self._noted(kind, func(*arguments, **keywords), copies)

    def closed(self, outputs: Any) -> Any:
        """The outputs of the network, whose use is the number that is explained."""
        return tree_map_only(Tensor, partial(self._copied, len(self.steps), {}), outputs)

    def _copied(self, user: int, copies: dict[int, tuple[Tensor, Tensor]], tensor: Tensor) -> Tensor:
        made = self._made.get(id(tensor))
        if made is None:
            return tensor
        while made.now is not made.tensor:
            made = self._made[id(made.now)]
        copy = made.tensor.clone()
        if copy.requires_grad:
            copy.register_hook(partial(self._count, made.maker, user, made.tensor.detach()))
        copies[id(copy)] = (tensor, copy)
        return copy

    def _noted(self, kind: str, result: Any, copies: dict[int, tuple[Tensor, Tensor]]) -> Any:
        """The result; where it is an argument as it was, that argument, as nothing has happened."""
        step = len(self.steps)
        for original, copy in copies.values():
            if copy._version:
                self._made[id(copy)] = _Made(copy, step, copy)
                self._made[id(original)] = _Made(original, step, copy)
        same = {key: original for key, (original, copy) in copies.items() if not copy._version}
        result = tree_map_only(Tensor, lambda one: same.get(id(one), one), result)
        fresh = [one for one in _tensors(result) if id(one) not in self._made]
        for one in fresh:
            self._made[id(one)] = _Made(one, step, one)
        if outputs := fresh or [copy for _, copy in copies.values() if copy._version]:
            self.steps.append(Step(self._places.name(kind), kind, tuple(outputs[0].shape[1:])))
            self.bias_steps += [step] * (len(self._biases.found) - len(self.bias_steps))
        return result

    def _count(self, maker: int, user: int, value: Tensor, gradient: Tensor) -> None:
        if not gradient.any():  # of other levels, beside which the number was picked
            return
        products = (value.double() * gradient.double()).cpu()
        channels = products.transpose(0, 1).flatten(1).sum(1) if products.ndim > 1 else products
        places = products[0].sum(0) if products.ndim == 4 else None
        self.flows.append(Flow(maker, user, channels, places))


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]
