"""Every operation of a pass: modules and functional calls alike, with copies of what went in and came out.

Torch hands every call of its functions to a mode, whoever makes it, so that `functional.relu`, `x + y` and one pool
that serves two places are seen as any layer is. What an in-place operation overwrites was copied before.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from pellucid.catalog import suggestion
from pellucid.errors import UsageError
from pellucid.inspection.counts import bytes_moved, macs
from pellucid.inspection.listening import made_something, tensors_in
from pellucid.inspection.notebook import trace_html
from pellucid.inspection.places import Places, evaluating, kind_of

__all__ = ["INPUT", "Operation", "Trace", "record"]

INPUT = "input"


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One call: what was called, with which values, what it gave, and from which operations its values came.

    `parents` are indices into the trace, of a residual sum two. `params` are the learned numbers that are used here for
    the first time, `macs` and `bytes` as `counts` says. Operation 0 is the input, and calls nothing. `gradients` are
    those of the number that `record` was given, one an output, None where it does not depend on it.
    """

    index: int
    name: str
    kind: str
    parents: tuple[int, ...]
    outputs: tuple[Tensor, ...]
    params: int = 0
    macs: int | None = 0
    bytes: int = 0
    function: Callable[..., Any] | None = None
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] | None = None
    gradients: tuple[Tensor | None, ...] = ()

    @property
    def output(self) -> Tensor:
        """What it gave; of several tensors the first."""
        return self.outputs[0]

    def again(self) -> tuple[Tensor, ...]:
        """What the same call gives when it is made once more, by itself."""
        if self.function is None:
            return self.outputs
        arguments, keywords = tree_map_only(Tensor, torch.clone, (self.arguments, self.keywords or {}))
        with torch.no_grad():
            return tensors_in(self.function(*arguments, **keywords))


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The operations of one pass in their order, and the outputs of the network."""

    operations: tuple[Operation, ...]
    result: Any

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def _repr_html_(self) -> str:
        return trace_html(self)

    def __getitem__(self, name: str) -> Operation:
        """The operation of that name: that of a layer (`layer1.0.conv1`), or place and kind (`layer1.0.add`)."""
        for operation in self.operations:
            if operation.name == name:
                return operation
        names = [operation.name for operation in self.operations]
        raise UsageError(f"No operation is called {name!r}.{suggestion(name, names)}")


Number = Callable[[Any], Float[Tensor, ""]]


def record(model: nn.Module, x: Float[Tensor, "n ..."], number: Number | None = None) -> Trace:
    """One pass in evaluation mode; any torch module that takes one tensor will do.

    With `number`, a function of the network's outputs, every operation has the gradient of this number with respect to
    its output. The model is left as it was, and computes the same bits either way. On the meta device everything but
    values is recorded, at once and without memory.
    """
    image = x.detach().clone().requires_grad_(number is not None)
    with evaluating(model), torch.set_grad_enabled(number is not None), Places(model) as places:
        start = image.clone() if number else image  # a leaf that is followed must not be written to
        with _Recorder(model, start, places) as recorder:
            result = model(start)
        if number is not None:
            torch.autograd.grad(number(result), image, allow_unused=True)
    operations = (recorder.with_gradients(one) for one in recorder.operations)
    return Trace(tuple(operations), tree_map_only(Tensor, lambda one: one.detach().clone(), result))


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A tensor of the pass, so that its id stays its own; and what it held at that version."""

    tensor: Tensor
    version: int
    copy: Tensor
    parent: int


class _Recorder(TorchFunctionMode):
    def __init__(self, model: nn.Module, image: Tensor, places: Places) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self._places = places
        self._fixed = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
        self._unused = {id(parameter) for parameter in model.parameters()}
        self._kept: dict[int, _Kept] = {}
        self._writers: dict[int, int] = {}
        self._gradients: dict[int, Tensor] = {}
        self.operations.append(Operation(0, INPUT, INPUT, (), (self._keep(image, 0),)))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        tensors = tensors_in(given)
        before = {id(tensor): self._held(tensor) for tensor in tensors if id(tensor) not in self._fixed}
        arguments, keywords = tree_map_only(Tensor, lambda one: self._copied(one, before), given)
        result = func(*given[0], **given[1])
        outputs = tensors_in(result)
        if made_something(outputs, {key: kept.version for key, kept in before.items()}):
            self._note(func, arguments, keywords, [kept.parent for kept in before.values()], outputs)
        return result

    def with_gradients(self, operation: Operation) -> Operation:
        """The operation with the gradients that have come back to its outputs."""
        found = tuple(self._gradients.get(id(copy)) for copy in operation.outputs)
        return replace(operation, gradients=found) if self._gradients else operation

    def _note(self, function: Any, arguments: Any, keywords: Any, parents: list[int], outputs: tuple[Any, ...]) -> None:
        index, kind = len(self.operations), kind_of(function)
        copies = tuple(self._keep(tensor, index) for tensor in outputs)
        tensors = tensors_in((arguments, keywords))
        weights = [tensor for tensor in tensors if id(tensor) in self._fixed]
        fresh = [tensor for tensor in weights if id(tensor) in self._unused]
        self._unused -= {id(tensor) for tensor in fresh}
        self.operations.append(
            Operation(
                *(index, self._places.name(kind), kind, tuple(sorted({one for one in parents if one >= 0})), copies),
                params=sum(tensor.numel() for tensor in fresh),
                macs=macs(kind, tensors, copies[0]),
                bytes=bytes_moved(kind, tensors, copies),
                function=function,
                arguments=arguments,
                keywords=keywords,
            )
        )

    def _copied(self, tensor: Tensor, before: dict[int, _Kept]) -> Tensor:
        """The weights are not copied: nothing in evaluation mode changes them."""
        return tensor if id(tensor) in self._fixed else before[id(tensor)].copy

    def _held(self, tensor: Tensor) -> _Kept:
        """What the tensor holds now; where it was written to through another view, from whoever did that."""
        kept = self._kept.get(id(tensor))
        if kept is None or kept.version != tensor._version:
            self._keep(tensor, self._writers.get(_storage(tensor), -1), wrote=False)
        return self._kept[id(tensor)]

    def _keep(self, tensor: Tensor, parent: int, *, wrote: bool = True) -> Tensor:
        kept = _Kept(tensor, tensor._version, tensor.detach().clone(), parent)
        self._kept[id(tensor)] = kept
        if wrote:
            self._writers[_storage(tensor)] = parent
            self._follow(tensor, kept.copy)
        return kept.copy

    def _follow(self, tensor: Tensor, copy: Tensor) -> None:
        """The gradient of what the tensor holds now, whatever is written over it later."""
        if tensor.requires_grad:
            tensor.register_hook(functools.partial(self._gradients.__setitem__, id(copy)))


def _storage(tensor: Tensor) -> int:
    """What views of the same memory have in common, also where there is none (meta)."""
    return tensor.untyped_storage()._cdata
