"""Every operation of a pass: modules and functional calls alike, with copies of what went in and came out.

Torch hands every call of its functions to a mode, whoever makes it, so that `functional.relu`, `x + y` and one pool
that serves two places are seen as any layer is. What an in-place operation overwrites was copied before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map_only

from pellucid.catalog import suggestion
from pellucid.errors import UsageError
from pellucid.inspection.counts import bytes_moved, macs
from pellucid.inspection.places import Places, evaluating, kind_of

__all__ = ["INPUT", "Operation", "Trace", "record"]

INPUT = "input"


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One call: what was called, with which values, what it gave, and from which operations its values came.

    `parents` are indices into the trace, of a residual sum two. `params` are the learned numbers that are used here for
    the first time, `macs` and `bytes` as `counts` says. Operation 0 is the input, and calls nothing.
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
            return _tensors(self.function(*arguments, **keywords))


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """The operations of one pass in their order, and the outputs of the network."""

    operations: tuple[Operation, ...]
    result: Any

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def __getitem__(self, name: str) -> Operation:
        """The operation of that name: that of a layer (`layer1.0.conv1`), or place and kind (`layer1.0.add`)."""
        for operation in self.operations:
            if operation.name == name:
                return operation
        names = [operation.name for operation in self.operations]
        raise UsageError(f"No operation is called {name!r}.{suggestion(name, names)}")


def record(model: nn.Module, x: Float[Tensor, "n ..."]) -> Trace:
    """One pass in evaluation mode, without gradients; any torch module that takes one tensor will do.

    The model is left as it was. On the meta device everything but values is recorded, at once and without memory.
    """
    image = x.detach().clone()
    with evaluating(model), torch.no_grad(), Places(model) as places, _Recorder(model, image, places) as recorder:
        result = model(image)
    return Trace(tuple(recorder.operations), tree_map_only(Tensor, torch.clone, result))


def _tensors(value: Any) -> tuple[Tensor, ...]:
    return tuple(leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


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
        self.operations.append(Operation(0, INPUT, INPUT, (), (self._keep(image, 0),)))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        tensors = _tensors(given)
        before = {id(tensor): self._held(tensor) for tensor in tensors if id(tensor) not in self._fixed}
        arguments, keywords = tree_map_only(Tensor, lambda one: self._copied(one, before), given)
        result = func(*given[0], **given[1])
        outputs = _tensors(result)
        if outputs and all(id(one) not in before or one._version > before[id(one)].version for one in outputs):
            self._note(func, arguments, keywords, [kept.parent for kept in before.values()], outputs)
        return result

    def _note(self, function: Any, arguments: Any, keywords: Any, parents: list[int], outputs: tuple[Any, ...]) -> None:
        index, kind = len(self.operations), kind_of(function)
        copies = tuple(self._keep(tensor, index) for tensor in outputs)
        tensors = _tensors((arguments, keywords))
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
        return kept.copy


def _storage(tensor: Tensor) -> int:
    """What views of the same memory have in common, also where there is none (meta)."""
    return tensor.untyped_storage()._cdata
