"""A pass that is listened to: every operation is told while it happens, with the tensors of the pass themselves.

`recording` copies what it sees; this copies nothing, so that a pass over many images keeps its memory and its speed.
Operations have the same names here as there.
"""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from pellucid.inspection.places import Places, kind_of

__all__ = ["Listener", "made_something", "tensors_in"]


class Listener(TorchFunctionMode):
    """Hands every operation of a pass to `heard`; use it with `Places` of the same network."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self._places = places

    @abstractmethod
    def heard(self, name: str, kind: str, given: tuple[Any, Any], outputs: tuple[Tensor, ...]) -> None:
        """One operation: `given` are its arguments and keywords, after it ran."""

    def call(self, function: Any, arguments: Any, keywords: Any) -> Any:
        """Run the operation."""
        return function(*arguments, **keywords)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = (args, kwargs or {})
        before = {id(tensor): tensor._version for tensor in tensors_in(given)}
        result = self.call(func, *given)
        outputs = tensors_in(result)
        if made_something(outputs, before):
            kind = kind_of(func)
            self.heard(self._places.name(kind), kind, given, outputs)
        return result


def tensors_in(value: Any) -> tuple[Tensor, ...]:
    """The tensors of arguments or results, however they are nested."""
    return tuple(leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def made_something(outputs: Iterable[Tensor], before: Mapping[int, int]) -> bool:
    """Whether a call is an operation: it gave tensors, each new or written to; `before` are versions by id."""
    found = tuple(outputs)
    return bool(found) and all(id(one) not in before or one._version > before[id(one)] for one in found)
